"""Whole plans in one call, TLS, ASCII and UDP, and servers that answer out of order, twice, or only the last."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
import trustme
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusUdpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from evcore.core.modbus import ReadRequest
from evcore.errors import ConfigError, InvalidReply, LinkError, ModbusException, ModbusTimeout
from evcore.modbus import connect
from evcore.modbus.url import parse


def device() -> SimDevice:
    return SimDevice(1, simdata=[SimData(0, values=list(range(1000, 1200)), datatype=DataType.REGISTERS)])


def reply_to(frame: bytes) -> bytes:
    """Each register holds its address; address 999 is refused."""
    address, count = int.from_bytes(frame[8:10], "big"), int.from_bytes(frame[10:12], "big")
    if address == 999:
        return frame[:4] + b"\0\3" + frame[6:7] + b"\x83\2"
    data = b"".join((address + i).to_bytes(2, "big") for i in range(count))
    return frame[:4] + (3 + len(data)).to_bytes(2, "big") + frame[6:8] + bytes([len(data)]) + data


@contextlib.asynccontextmanager
async def raw_server(
    answer: Callable[[list[bytes]], list[bytes]], context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """answer: from the requests that came in one piece to what is written, each piece on its own."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                for piece in answer([data[i : i + 12] for i in range(0, len(data), 12)]):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def plain(frames: list[bytes]) -> list[bytes]:
    return [reply_to(frame) for frame in frames]


PLAN = [ReadRequest(1, 3, 10 * i, 2) for i in range(16)]
WANTED = [(10 * i).to_bytes(2, "big") + (10 * i + 1).to_bytes(2, "big") for i in range(16)]


@pytest.mark.parametrize(
    "answer",
    [
        plain,
        lambda frames: [b"".join(map(reply_to, frames))],
        lambda frames: [reply_to(frame) for frame in reversed(frames)],
        lambda frames: [2 * reply_to(frame) for frame in frames],
        lambda frames: [bytes([byte]) for frame in frames for byte in reply_to(frame)],
    ],
    ids=["one by one", "in one piece", "in reverse", "twice", "byte by byte"],
)
@pytest.mark.parametrize("window", [1, 16, "auto"])
async def test_a_whole_plan_is_answered_in_order_however_the_replies_come(answer, window):
    async with raw_server(answer) as port, connect(f"tcp://127.0.0.1:{port}", window=window) as client:
        for _ in range(4):
            assert await client.requests(PLAN) == WANTED
        assert client.counters.timeouts == client.counters.invalid == 0
        assert client.counters.answered == 64


async def test_a_server_that_answers_only_the_last_of_a_burst_loses_nothing():
    last = raw_server(lambda frames: [reply_to(frames[-1])])
    async with last as port, connect(f"tcp://127.0.0.1:{port}", timeout_s=0.2, retries=0) as client:
        assert await client.requests(PLAN) == WANTED
        assert client.statistics().window == 1
        assert client.counters.timeouts == 1


async def test_pymodbus_s_sequential_server_is_asked_one_by_one_after_the_first_loss():
    server = ModbusTcpServer(device(), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        port = server.transport.sockets[0].getsockname()[1]
        async with connect(f"tcp://127.0.0.1:{port}", timeout_s=0.3) as client:
            answers = await client.requests(PLAN)
            assert [int.from_bytes(answer[:2], "big") for answer in answers] == [1000 + 10 * i for i in range(16)]
    finally:
        await server.shutdown()


async def test_an_error_stands_in_the_place_of_its_request_and_an_empty_plan_is_empty():
    async with raw_server(plain) as port, connect(f"tcp://127.0.0.1:{port}", window=4) as client:
        first, refused, last = await client.requests([PLAN[0], ReadRequest(1, 3, 999, 1), PLAN[1]])
        assert (first, last) == (WANTED[0], WANTED[1])
        assert isinstance(refused, ModbusException)
        assert await client.requests([]) == []


async def test_a_lost_connection_ends_a_plan_and_a_cancelled_one_is_no_longer_sent():
    async with raw_server(lambda frames: []) as port, connect(f"tcp://127.0.0.1:{port}", timeout_s=30) as client:
        plan = asyncio.create_task(client.requests(PLAN))
        await asyncio.sleep(0)
        plan.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plan
        assert client.statistics().waiting == 0
        plan = asyncio.create_task(client.requests(PLAN))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(LinkError, match="closed"):
            await plan
        with pytest.raises(LinkError, match="not connected"):
            await client.requests(PLAN)


async def test_a_task_that_is_woken_at_once_may_ask_again_close_or_be_timed_out():
    async with raw_server(plain) as port, connect(f"tcp://127.0.0.1:{port}") as client:

        async def many(start: int) -> None:
            for i in range(50):
                async with asyncio.timeout(5):
                    assert await client.read_holding_registers(1, start + i, 1) == [start + i]

        await asyncio.gather(*(many(100 * k) for k in range(5)))
        assert await asyncio.wait_for(client.read_holding_registers(1, 5, 1), 5) == [5]

        async def closing() -> None:
            await client.read_holding_registers(1, 1, 1)
            await client.close()

        others = [asyncio.create_task(client.read_holding_registers(1, 2, 1)) for _ in range(3)]
        results = await asyncio.gather(closing(), *others, return_exceptions=True)
        assert all(result is None or result == [2] or isinstance(result, LinkError) for result in results)
        assert not client.connected


# --- TLS ---


async def test_tls_by_url_checks_the_peer_and_shows_our_own_certificate(tmp_path):
    authority = trustme.CA()
    mine, theirs = authority.issue_cert("master.example"), authority.issue_cert("meter.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ca, cert = tmp_path / "ca.pem", tmp_path / "cert.pem"
    authority.cert_pem.write_to_path(ca)
    mine.private_key_and_cert_chain_pem.write_to_path(cert)
    async with raw_server(plain, context) as port:
        url = f"tls://127.0.0.1:{port}"
        async with connect(f"{url}?ca={ca}&cert={cert}&hostname=meter.example", window=4) as client:
            assert await client.requests(PLAN) == WANTED
        with pytest.raises(LinkError, match="certificate"):
            await connect(f"{url}?ca={ca}&cert={cert}").open()  # 127.0.0.1 is not in it
        with pytest.raises(LinkError, match="certificate"):
            await connect(f"{url}?hostname=meter.example").open()
        own = ssl.create_default_context()
        own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
        mine.configure_cert(own)
        async with connect(url, ssl=own) as client:
            assert await client.read_holding_registers(1, 7, 1) == [7]
    with pytest.raises(ConfigError, match="ca"):
        connect("tls://host?ca=/nonesuch.pem")
    with pytest.raises(ConfigError, match="cert"):
        connect("tls://host?key=key.pem")


# --- through pymodbus ---


async def use(client) -> None:
    assert await client.read_holding_registers(1, 5, 3) == [1005, 1006, 1007]
    await client.write_register(1, 5, 77)
    await client.write_registers(1, 6, [8, 9])
    assert await client.read_holding_registers(1, 5, 3) == [77, 8, 9]
    with pytest.raises(ModbusException) as refused:
        await client.read_holding_registers(1, 900, 1)
    assert refused.value.code == 2
    assert client.counters.timeouts == client.counters.invalid == 0


async def test_ascii_on_tcp():
    server = ModbusTcpServer(device(), framer=FramerType.ASCII, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        port = server.transport.sockets[0].getsockname()[1]
        async with connect(f"ascii+tcp://127.0.0.1:{port}") as client:
            await use(client)
    finally:
        await server.shutdown()


async def test_ascii_on_a_serial_line(wire):
    server = ModbusSerialServer(device(), framer=FramerType.ASCII, port=wire.device, baudrate=115200)
    await server.serve_forever(background=True)
    try:
        async with connect(f"ascii://{wire.master}?baudrate=115200&bytesize=8") as client:
            await use(client)
    finally:
        await server.shutdown()


@pytest.mark.parametrize(("scheme", "framer"), [("udp", FramerType.SOCKET), ("rtu+udp", FramerType.RTU)])
async def test_udp(scheme, framer):
    server = ModbusUdpServer(device(), framer=framer, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        port = server.transport.get_extra_info("socket").getsockname()[1]
        async with connect(f"{scheme}://127.0.0.1:{port}") as client:
            await use(client)
    finally:
        await server.shutdown()


class Wrong(asyncio.DatagramProtocol):
    """A UDP device that answers with this PDU; empty: not at all."""

    pdu = b""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if self.pdu:
            reply = data[:4] + (len(self.pdu) + 1).to_bytes(2, "big") + data[6:7] + self.pdu
            self.transport.sendto(reply, addr)


@pytest.mark.parametrize(
    ("reason", "pdu"), [("function", "04 04 00010002"), ("count", "03 02 0001"), ("count", "03 03 000100")]
)
async def test_what_pymodbus_would_take_for_a_reply_is_refused(reason, pdu):
    transport, wrong = await asyncio.get_running_loop().create_datagram_endpoint(Wrong, ("127.0.0.1", 0))
    try:
        url = f"udp://127.0.0.1:{transport.get_extra_info('socket').getsockname()[1]}"
        async with connect(url, timeout_s=0.2, retries=0) as client:
            wrong.pdu = bytes.fromhex(pdu)
            with pytest.raises(InvalidReply) as caught:
                await client.read_holding_registers(1, 0, 2)
            assert caught.value.reason == reason
            wrong.pdu = b""
            with pytest.raises(ModbusTimeout):
                await client.read_holding_registers(1, 0, 1)
            wrong.pdu = bytes.fromhex("03 02 0007")
            assert await client.read_holding_registers(1, 0, 1) == [7]
    finally:
        transport.close()


def test_urls_of_the_other_framings():
    assert (parse("tls://meter").port, parse("tls://meter").framing) == (802, "tcp")
    assert parse("udp://meter").foreign
    line = parse("rtu:///dev/ttyUSB0?rs485=1&echo=0")
    assert (line.rs485, line.echo) == (True, False)
    for wrong in ("rtu:///dev/x?rs485=yes", "ascii:///dev/x?echo=1", "udp://", "tls://host?verify=0", "tcp://h?ca=x"):
        with pytest.raises(ConfigError):
            parse(wrong)
