"""The asyncio door against pymodbus's servers, on TCP and on a pseudo-terminal, and against wrong answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from evcore.core.modbus import Layout, Point, ReadRequest
from evcore.errors import ConfigError, InvalidReply, LinkError, ModbusException, ModbusTimeout
from evcore.modbus import connect
from evcore.modbus.url import parse


def device() -> SimDevice:
    """Separate blocks: 32 coils, 16 inputs, 200 holding registers = 1000 + address, 10 input registers = 5 floats."""
    coils = [SimData(0, values=[i % 3 == 0 for i in range(32)], datatype=DataType.BITS)]
    inputs = [SimData(0, values=[i % 2 == 0 for i in range(16)], datatype=DataType.BITS)]
    holding = [SimData(0, values=list(range(1000, 1200)), datatype=DataType.REGISTERS)]
    input_registers = [SimData(0, values=[230.5, 16.25, -11.0, 50.0, 0.5], datatype=DataType.FLOAT32)]
    return SimDevice(1, simdata=(coils, inputs, holding, input_registers))


@contextlib.asynccontextmanager
async def tcp_server(framer: FramerType = FramerType.SOCKET) -> AsyncIterator[int]:
    server = ModbusTcpServer(device(), framer=framer, address=("127.0.0.1", 0), ignore_missing_devices=True)
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def use_all_functions(client) -> None:
    assert await client.read_coils(1, 0, 10) == [i % 3 == 0 for i in range(10)]
    assert await client.read_discrete_inputs(1, 3, 9) == [i % 2 == 0 for i in range(3, 12)]
    assert await client.read_holding_registers(1, 75, 125) == list(range(1075, 1200))
    assert await client.read_input_registers(1, 0, 2) == [0x4366, 0x8000]
    layout = Layout([Point(2 * i, "float32") for i in range(5)])
    assert await client.read_values(ReadRequest(1, 4, 0, 10), layout) == [230.5, 16.25, -11.0, 50.0, 0.5]
    await client.write_register(1, 5, 0xBEEF)
    await client.write_registers(1, 6, [1, 2, 3])
    assert await client.read_holding_registers(1, 4, 6) == [1004, 0xBEEF, 1, 2, 3, 1009]
    await client.write_coil(1, 1, True)
    await client.write_coils(1, 2, [True, True, False])
    assert await client.read_coils(1, 0, 6) == [True, True, True, True, False, False]
    with pytest.raises(ModbusException) as refused:
        await client.read_holding_registers(1, 500, 1)
    assert (refused.value.code, refused.value.address) == (2, 500)


@pytest.mark.parametrize(("scheme", "framer"), [("tcp", FramerType.SOCKET), ("rtu+tcp", FramerType.RTU)])
async def test_all_functions_against_pymodbus_on_tcp(scheme, framer):
    async with tcp_server(framer) as port, connect(f"{scheme}://127.0.0.1:{port}") as client:
        await use_all_functions(client)
        assert client.counters.invalid == client.counters.timeouts == 0


@contextlib.asynccontextmanager
async def serial_server(path: str) -> AsyncIterator[None]:
    server = ModbusSerialServer(device(), port=path, baudrate=115200, ignore_missing_devices=True)
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()


async def test_all_functions_against_pymodbus_on_a_serial_line(wire):
    async with serial_server(wire.device), connect(f"rtu://{wire.master}?baudrate=115200") as client:
        await use_all_functions(client)
        assert client.counters.invalid == client.counters.timeouts == 0


@pytest.mark.parametrize("noise", [b"\x00", b"\xff", b"\x01", b"\x01\x03\xfa\x01", b"\x55" * 20])
async def test_garbage_before_and_after_each_reply_on_a_serial_line_loses_none(wire, noise):
    wire.spoil = lambda data: noise + data + noise
    url = f"rtu://{wire.master}?baudrate=115200"
    async with serial_server(wire.device), connect(url, timeout_s=3, retries=0) as client:
        for _ in range(5):
            assert await client.read_holding_registers(1, 10, 2) == [1010, 1011]


async def test_a_wrong_crc_on_a_serial_line_is_refused_by_name(wire):
    url = f"rtu://{wire.master}?baudrate=115200"
    async with serial_server(wire.device), connect(url, timeout_s=0.2, retries=0) as client:
        wire.spoil = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        with pytest.raises(InvalidReply, match="crc"):
            await client.read_holding_registers(1, 10, 2)
        wire.spoil = lambda data: data
        assert await client.read_holding_registers(1, 10, 2) == [1010, 1011]


async def test_a_unit_that_is_not_there_times_out_and_the_next_is_answered(wire):
    wire.spoil = lambda data: b"" if data[0] == 9 else data  # pymodbus answers for units that it does not have
    url = f"rtu://{wire.master}?baudrate=115200"
    async with serial_server(wire.device), connect(url, timeout_s=0.1, retries=1) as client:
        dead = asyncio.create_task(client.read_holding_registers(9, 0, 1))
        alive = asyncio.create_task(client.read_holding_registers(1, 0, 1))
        assert await alive == [1000]
        with pytest.raises(ModbusTimeout, match="unit 9"):
            await dead


async def test_an_unplugged_port_is_a_link_error_and_the_next_call_says_so_too(wire):
    async with connect(f"rtu://{wire.master}", timeout_s=5) as client:
        waiting = asyncio.create_task(client.read_holding_registers(1, 0, 1))
        await asyncio.sleep(0)
        wire.unplug()
        with pytest.raises(LinkError, match="port lost"):
            await waiting
        assert not client.connected
        with pytest.raises(LinkError, match="not connected"):
            await client.read_holding_registers(1, 0, 1)
        with pytest.raises(LinkError):
            await client.open()


async def test_a_port_that_another_has_is_refused(wire):
    async with connect(f"rtu://{wire.master}"):
        with pytest.raises(LinkError, match="lock"):
            await connect(f"rtu://{wire.master}").open()


# --- servers that answer wrongly ---


@contextlib.asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """A TCP server that gives `answer(request)`; empty: none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(300):
                writer.write(answer(request))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def with_pdu(pdu: str) -> Callable[[bytes], bytes]:
    body = bytes.fromhex(pdu)
    return lambda request: request[:4] + (len(body) + 1).to_bytes(2, "big") + request[6:7] + body


# What pymodbus 3.16.1 takes for the answer to a read of two holding registers.
@pytest.mark.parametrize(
    ("reason", "answer"),
    [
        ("function", with_pdu("04 04 00010002")),
        ("count", with_pdu("03 02 0001")),
        ("count", with_pdu("03 08 0001000200030004")),
        ("count", with_pdu("03 03 000100")),
        ("function", with_pdu("06 0000 0002")),
        ("transaction", lambda request: b"\0\0" + with_pdu("03 04 00010002")(request)[2:]),
        ("function", with_pdu("84 02")),
        ("unit", lambda request: with_pdu("03 04 00010002")(request[:6] + b"\x09")),
    ],
)
async def test_each_wrong_reply_is_refused_by_name(reason, answer):
    async with answering(answer) as url, connect(url, timeout_s=0.2, retries=0) as client:
        with pytest.raises(InvalidReply) as caught:
            await client.read_holding_registers(1, 0, 2)
        assert caught.value.reason == reason
        assert client.connected


async def test_bytes_that_are_not_modbus_close_the_connection():
    async with answering(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, connect(url) as client:
        with pytest.raises(LinkError, match="frame boundary lost"):
            await client.read_holding_registers(1, 0, 2)
        assert not client.connected


async def test_a_peer_that_closes_fails_all_that_waits(free_port):
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server, connect(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        results = await asyncio.gather(
            *(client.read_holding_registers(1, i, 1) for i in range(5)), return_exceptions=True
        )
        assert {type(result) for result in results} == {LinkError}
    with pytest.raises(LinkError, match=r"refused|Connect"):
        await connect(f"tcp://127.0.0.1:{free_port()}").open()


async def test_a_caller_that_gives_up_leaves_the_line_to_the_others():
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(300):
                await gate.wait()
                writer.write(with_pdu("03 04 00010002")(request))
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server, connect(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5) as client:
        calls = [asyncio.create_task(client.read_holding_registers(1, 0, 2)) for _ in range(3)]
        await asyncio.sleep(0)
        calls[0].cancel()
        calls[1].cancel()
        await asyncio.wait(calls[:2])
        gate.set()
        assert await calls[2] == [1, 2]
        assert client.counters.sent == 2


async def test_closing_while_a_call_waits_ends_it():
    async with answering(lambda _: b"") as url:
        client = connect(url, timeout_s=30)
        await client.open()
        call: Awaitable[list[int]] = asyncio.create_task(client.read_holding_registers(1, 0, 1))
        await asyncio.sleep(0)
        begin = time.monotonic()
        await client.close()
        with pytest.raises(LinkError, match="closed"):
            await call
        assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://host", "scheme"),
        ("tcp://", "host"),
        ("tcp://host/path", "path"),
        ("tcp://host:99999", ""),
        ("rtu://", "path"),
        ("rtu:///dev/ttyUSB0?baud=9600", "baud"),
        ("rtu:///dev/ttyUSB0?baudrate=fast", "baudrate"),
        ("rtu:///dev/ttyUSB0?parity=X", "parity"),
        ("rtu:///dev/ttyUSB0?stopbits=3", "stopbits"),
    ],
)
def test_a_wrong_url_names_the_part_that_is_wrong(url, key):
    with pytest.raises(ConfigError) as caught:
        parse(url)
    assert caught.value.key == key


def test_urls():
    assert parse("tcp://meter").port == 502
    assert parse("tcp://[::1]:1502").host == "::1"
    line = parse("rtu:///dev/ttyUSB0?baudrate=19200&parity=e&stopbits=2")
    assert (line.device, line.baudrate, line.parity, line.stopbits) == ("/dev/ttyUSB0", 19200, "E", 2)
