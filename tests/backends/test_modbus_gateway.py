"""Many masters behind one device, which is pymodbus's or a scripted one."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from modbus_peers import mbap, raw, served
from pymodbus.client import AsyncModbusTcpClient

from evcore.backends import ModbusGateway, WriteRule
from evcore.errors import ConfigError
from evcore.local import LocalHub
from evcore.modbus import Device, Image, Register, Server


class Slow:
    """A device for one client, which answers when it is let; seen: the PDUs that reached it."""

    def __init__(self) -> None:
        self.image = Image([Register(f"r{n}", n, writable=True) for n in range(200)])
        for n in range(200):
            self.image.set(f"r{n}", 0)
        self.seen: list[bytes] = []
        self.frames: list[bytes] = []
        self.go = asyncio.Event()
        self.go.set()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = Server(Device(self.image), units=(1,))
        try:
            while head := await reader.readexactly(6):
                frame = head + await reader.readexactly(struct.unpack(">H", head[4:])[0])
                self.frames.append(frame)
                self.seen.append(frame[7:])
                await self.go.wait()
                server.receive(frame, 0)
                server.poll(0)
                writer.write(b"".join(server.to_send()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def device() -> AsyncIterator[Slow]:
    slow = Slow()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    slow.port = server.sockets[0].getsockname()[1]
    yield slow
    server.close()


def gateway(device: Slow, **more: object) -> ModbusGateway:
    more.setdefault("timeout_s", 10.0)
    return ModbusGateway(f"tcp://127.0.0.1:{device.port}", port=0, **more)  # type: ignore[arg-type]


async def test_fifty_masters_with_the_same_question_are_one_read(device):
    device.image.set("r7", 77)
    device.go.clear()
    async with served(gateway(device, clients=50, cache_s=3600), LocalHub()) as one:
        asking = [asyncio.create_task(raw(one.port, mbap("03 0007 0001", n), 11)) for n in range(50)]
        while not device.seen:
            await asyncio.sleep(0.005)
        device.go.set()
        answers = await asyncio.gather(*asking)
        assert answers == [mbap("03 02 004D", n) for n in range(50)]
        assert len(device.seen) == 1
        assert await raw(one.port, mbap("03 0000 0020"), 73) != b""
        assert await raw(one.port, mbap("03 0005 0003"), 15) == mbap("03 06 0000 0000 004D")  # out of the longer one
        assert len(device.seen) == 2


async def test_who_reads_after_a_write_sees_the_new_value(device):
    rules = [WriteRule(1, 10, 19)]
    served_one = served(gateway(device, writes=rules, cache_s=3600), LocalHub())
    async with served_one as one, AsyncModbusTcpClient("127.0.0.1", port=one.port) as client:
        for value in range(1, 20):
            assert not (await client.write_register(10, value)).isError()
            assert (await client.read_holding_registers(10, count=1)).registers == [value]
            assert (await client.read_holding_registers(10, count=1)).registers == [value]
        assert len(device.seen) == 2 * 19
        for address, count, code in ((9, 1, 2), (20, 1, 2), (18, 3, 2)):
            assert (await client.write_registers(address, [1] * count)).exception_code == code
        assert (await client.write_coil(10, True)).exception_code == 1
        assert (await client.read_holding_registers(10, count=1, device_id=9)).exception_code == 10


async def test_a_read_that_a_write_has_overtaken_is_not_kept(device):
    async with served(gateway(device, writes=[WriteRule(1, 0, 99)], cache_s=3600), LocalHub()) as one:
        device.go.clear()
        read = asyncio.create_task(raw(one.port, mbap("03 0005 0001"), 11))
        while not device.seen:
            await asyncio.sleep(0.005)
        write = asyncio.create_task(raw(one.port, mbap("06 0005 0009"), 12))
        while 1 not in one._generation:
            await asyncio.sleep(0.005)
        device.go.set()
        await asyncio.gather(read, write)
        assert await raw(one.port, mbap("03 0005 0001"), 11) == mbap("03 02 0009")


async def test_smuggled_pdus_reach_no_device_and_ids_are_the_gateways_own(device):
    async with served(gateway(device, writes=[WriteRule(1, 0, 99)]), LocalHub()) as one:
        write = "06 0005 0009"
        assert await raw(one.port, struct.pack(">HHHB", 1, 0, 11, 1) + bytes.fromhex(write + write), 1) == b""
        assert device.seen == []
        assert await raw(one.port, mbap("03 0005 0001", 0xBEEF), 11) == mbap("03 02 0000", 0xBEEF)
        assert [frame[:2] for frame in device.frames] == [b"\0\1"]
        answer = await raw(one.port, b"".join(mbap(f"03 {n:04x} 0001", n) for n in range(100)), 1100)
        assert [answer[at : at + 2] for at in range(0, 1100, 11)] == [n.to_bytes(2, "big") for n in range(100)]


async def test_no_device_is_no_path_and_a_silent_one_is_said_to_be(device, free_port):
    async with served(ModbusGateway(f"tcp://127.0.0.1:{free_port()}", port=0), LocalHub()) as one:
        assert await raw(one.port, mbap("03 0005 0001"), 9) == mbap("83 0A")
    device.go.clear()
    async with served(gateway(device, timeout_s=0.1, queue=1), LocalHub()) as one:
        both = mbap("03 0005 0001"), mbap("03 0009 0001")
        answers = await asyncio.gather(*(raw(one.port, data, 9) for data in both))
        assert sorted(answers) == [mbap("83 06"), mbap("83 0B")]
    device.go.set()


async def test_the_devices_own_refusal_is_passed_on(device):
    async with served(gateway(device), LocalHub()) as one:
        assert await raw(one.port, mbap("04 0190 0001"), 9) == mbap("84 02")
        assert await raw(one.port, mbap("03 0000 0000"), 9) == mbap("83 03")
        assert await raw(one.port, mbap("08 0004 0000"), 9) == mbap("88 01")
        assert len(device.seen) == 1


def test_rules_that_cannot_be_are_refused():
    for rules in ([WriteRule(1, 5, 4)], [WriteRule(1, 0, 4, (3,))]):
        with pytest.raises(ConfigError, match="writes"):
            ModbusGateway("tcp://127.0.0.1:1", writes=rules)
