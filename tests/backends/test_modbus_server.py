"""The site's registers, read and written by pymodbus and by raw sockets."""

from __future__ import annotations

import asyncio
import math
import struct

import pytest
from modbus_peers import mbap, raw, served
from pymodbus.client import AsyncModbusTcpClient
from waiting import until

from evcore.backends import EvseSlot, MeterSlot, ModbusServer, register_map
from evcore.errors import ConfigError
from evcore.local import LocalHub
from evcore.model import Answer, Command, Evse, Meter, Sample, Session, Station

EVSES = (EvseSlot("CP-1", 1, 1, writable=True, most_a=32), EvseSlot("CP-2", 1, 3))


def server(**more: object) -> ModbusServer:
    return ModbusServer(port=0, evses=EVSES, meters=[MeterSlot("grid", 2)], site_id="depot", **more)  # type: ignore[arg-type]


def f32(registers: list[int], at: int) -> float:
    return float(struct.unpack(">f", struct.pack(">HH", *registers[at : at + 2]))[0])


async def test_pymodbus_reads_the_site_as_the_page_says():
    hub = LocalHub()
    hub.publish(Station("CP-1", True))
    hub.publish(Evse("CP-1", 1, "Occupied", "Charging", limit_a=16.0))
    hub.publish(Sample("CP-1", "Power.Active.Import", 7360.0, "W", 1, evse=1))
    hub.publish(Sample("CP-1", "Current.Import", 10.5, "A", 1, evse=1, phase="L2"))
    hub.publish(Sample("CP-1", "Energy.Active.Import.Register", 5_000_000_000.0, "Wh", 1, evse=1))
    hub.publish(Meter("grid", True))
    hub.publish(Sample("grid", "Voltage", 230.25, "V", 1, phase="L1-N"))
    hub.publish(Sample("grid", "Power.Active.Import", -1500.0, "W", 1, quality="suspect"))
    async with served(server(), hub) as one, AsyncModbusTcpClient("127.0.0.1", port=one.port) as client:
        head = (await client.read_holding_registers(0, count=60)).registers
        assert struct.pack(">HH", *head[:2]) == b"EVCR"
        assert head[2:9] == [1, head[3], 3, 2, 1000, 30_000, 100]
        assert struct.pack(">16H", *head[14:30]).rstrip(b"\0") == b"depot"
        assert head[30:34] == [1, 1, 1, 0]
        assert (f32(head, 34), head[36]) == (7360.0, 1)
        first = (await client.read_input_registers(1000, count=80)).registers
        assert first[:4] == [1, 2, 2, 0]
        assert math.isnan(f32(first, 4))
        assert (f32(first, 6), f32(first, 16), f32(first, 34)) == (10.5, 7360.0, 16.0)
        assert struct.unpack(">Q", struct.pack(">4H", *first[24:28])) == (5_000_000_000,)
        third = (await client.read_holding_registers(1200, count=80)).registers
        assert third[:2] == [0, 0]
        assert third[24:28] == [0xFFFF] * 4
        meter = (await client.read_holding_registers(30_100, count=80)).registers
        assert meter[:2] == [1, 3]
        assert (f32(meter, 4), f32(meter, 30)) == (230.25, -1500.0)
        assert (await client.read_holding_registers(1100, count=1)).exception_code == 2  # slot 2 is not in use
        hub.publish(Sample("grid", "Voltage", 230.25, "V", 1, phase="L1-N", quality="stale"))
        hub.publish(Session("s", "CP-1", 1, "t", "ended", 0, ended_ns=90 * 10**9, energy_wh=1234.4))
        await until(lambda: one.image.get("evse1.session_seconds") == 90)
        meter = (await client.read_holding_registers(30_104, count=2)).registers
        assert math.isnan(f32(meter, 0))
        beat = one.image.get("site.heartbeat")
        one.tick()
        assert (await client.read_holding_registers(3, count=1)).registers == [beat + 1]


async def test_a_written_limit_becomes_a_command_and_its_result_can_be_read():
    hub, asked, go = LocalHub(), [], asyncio.Event()

    async def station(command: Command) -> Answer:
        asked.append((str(command.verb), dict(command.args)))
        await go.wait()
        return Answer("Accepted", True) if len(asked) < 4 else Answer("Rejected", False)

    hub.serve("CP-1", station)
    async with served(server(), hub) as one, AsyncModbusTcpClient("127.0.0.1", port=one.port) as client:
        assert not (await client.write_register(1042, 160)).isError()
        await until(lambda: asked)
        assert (await client.read_holding_registers(1044, count=3)).registers == [1, 1, 1]
        await client.write_registers(1040, list(struct.unpack(">HH", struct.pack(">f", 20.0))))
        await client.write_registers(1040, list(struct.unpack(">HH", struct.pack(">f", 10.0))))
        go.set()
        await until(lambda: one.image.get("evse1.result") == 2)
        # The middle one never went out: the last one counts.
        limit = {"evse": 1, "limit": 16.0, "unit": "A"}
        assert asked == [("set_limit", limit), ("set_limit", {**limit, "limit": 10.0})]
        assert (await client.read_holding_registers(1042, count=5)).registers == [100, 0, 2, 3, 3]
        await client.write_register(1043, 1)
        await until(lambda: one.image.get("evse1.result_of") == 4 and one.image.get("evse1.result") == 2)
        assert asked[-1] == ("clear_limit", {"evse": 1})
        await client.write_register(1042, 60)
        await until(lambda: one.image.get("evse1.result") == 3)
        for address, value, code in ((1042, 330, 3), (1043, 2, 3), (1242, 100, 2), (42, 100, 2), (1044, 1, 2)):
            assert (await client.write_register(address, value)).exception_code == code
        assert len(asked) == 4


async def test_the_sites_limit_goes_to_its_target_and_offline_is_said():
    hub = LocalHub()
    async with served(server(limit_target="power"), hub) as one:
        assert await raw(one.port, mbap("06 002A 03E8"), 12) == mbap("06 002A 03E8")
        await until(lambda: one.image.get("site.result") == 5)


async def test_smuggled_pdus_end_the_connection_and_nobody_elses():
    hub = LocalHub()
    write = "06 0412 00A0"
    async with served(server(), hub) as one, AsyncModbusTcpClient("127.0.0.1", port=one.port) as client:
        bad = struct.pack(">HHHB", 1, 0, 11, 1) + bytes.fromhex(write + write)
        assert await raw(one.port, bad, 1) == b""
        assert await raw(one.port, b"GET / HTTP/1.1\r\n\r\n", 1) == b""
        assert one.image.get("evse1.writes") == 0
        assert not (await client.read_holding_registers(0, count=1)).isError()


async def test_a_flood_is_answered_wholly_and_in_order():
    hub = LocalHub()
    async with served(server(), hub) as one:
        flood = b"".join(mbap("03 0000 0002", n) for n in range(5000))
        answer = await raw(one.port, flood, 13 * 5000)
        assert [answer[at : at + 2] for at in range(0, len(answer), 13)] == [n.to_bytes(2, "big") for n in range(5000)]


async def test_of_a_thousand_connections_the_idle_ones_make_room_and_a_busy_master_stays():
    hub = LocalHub()
    async with served(server(clients=8), hub) as one, AsyncModbusTcpClient("127.0.0.1", port=one.port) as client:
        assert not (await client.read_holding_registers(0, count=1)).isError()
        writers = []
        for n in range(1000):
            _, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writers.append(writer)
            if n % 100 == 0:
                assert not (await client.read_holding_registers(0, count=1)).isError()
        await until(lambda: len(one.listener.open) == 8)
        assert not (await client.read_holding_registers(0, count=1)).isError()
        for writer in writers:
            writer.close()


async def test_who_asks_nothing_is_closed_though_he_trickles():
    hub = LocalHub()
    async with served(server(idle_s=0.3), hub) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(b"\0\1\0")
        assert await asyncio.wait_for(reader.read(1), 10) == b""
        writer.close()


async def test_only_addresses_that_are_allowed_may_connect():
    hub = LocalHub()
    async with served(server(allow=["10.0.0.0/8"]), hub) as one:
        assert await raw(one.port, mbap("03 0000 0001"), 1) == b""
    with pytest.raises(ConfigError, match="allow"):
        ModbusServer("0.0.0.0")
    with pytest.raises(ConfigError, match=r"10\.1"):
        ModbusServer(allow=["10.1.0.0/8"])
    with pytest.raises(ConfigError, match="slot"):
        ModbusServer(evses=[EvseSlot("a", 1, 1), EvseSlot("b", 1, 1)])


def test_the_map_can_be_printed():
    assert (
        "| +40 | 2 | float32 | `limit_asked` | A | limit per phase that a master asks for (write) |" in register_map()
    )
