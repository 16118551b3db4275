"""The site read by libmodbus (mbpoll), over TLS with certificates, and with a gateway that shares a meter's line."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_peers import mbap, raw, served
from waiting import until

from evcore.backends import EvseSlot, ModbusGateway, ModbusServer
from evcore.gateway.config import parse
from evcore.gateway.wiring import device_parts
from evcore.local import LocalHub
from evcore.model import Answer, Command
from evcore.sim import SimMeter


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode()


async def test_mbpoll_reads_and_writes(program: Callable[[str], str]):
    hub, asked, mbpoll = LocalHub(), [], program("mbpoll")

    async def station(command: Command) -> Answer:
        asked.append(command.args)
        return Answer("Accepted", True)

    hub.serve("CP-1", station)
    async with served(ModbusServer(port=0, evses=[EvseSlot("CP-1", writable=True, most_a=32)]), hub) as one:
        where = (mbpoll, "-m", "tcp", "-p", str(one.port), "-0", "-1", "-a", "1")
        assert "[2]: \t1" in await run(*where, "-r", "2", "-t", "4", "127.0.0.1")
        assert "Written 1 references" in await run(*where, "-r", "1042", "-t", "4", "127.0.0.1", "160")
        await until(lambda: asked)
        assert asked == [{"evse": 1, "limit": 16.0, "unit": "A"}]
        assert "Written" not in await run(*where, "-r", "1042", "-t", "4", "127.0.0.1", "330")
        assert "[1040]: \t16" in await run(*where, "-r", "1040", "-t", "4:float", "-B", "127.0.0.1")


async def test_over_tls_only_masters_with_a_certificate_are_served():
    ours, theirs = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("localhost").configure_cert(context)
    ours.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with served(ModbusServer("127.0.0.1", 0, ssl=context), LocalHub()) as one:
        assert one.url.startswith("tls://")
        for authority, answer in ((ours, mbap("03 02 0001")), (theirs, b""), (None, b"")):
            master = ssl.create_default_context()
            ours.configure_trust(master)
            if authority is not None:
                authority.issue_cert("bms").configure_cert(master)
            try:
                where = {"ssl": master, "server_hostname": "localhost"}
                reader, writer = await asyncio.open_connection("127.0.0.1", one.port, **where)
                writer.write(mbap("03 0002 0001"))
                got = await asyncio.wait_for(reader.read(100), 10)
                writer.close()
            except (ssl.SSLError, ConnectionError):
                got = b""
            assert got == answer


async def test_a_gateway_takes_its_turns_with_the_meter_on_its_line(tmp_path: Path):
    async with SimMeter("sdm630", values=lambda: {"voltage_l1": 230.0}) as sim:
        text = f"""
            [[modbus]]
            name = "grid"
            url = "{sim.url}"
            profile = "sdm630"
            [[modbus_gateway]]
            upstream = "{sim.url}"
            port = 0
        """
        meter, gateway = device_parts(parse(text, file="site.toml", base=tmp_path))
        assert isinstance(gateway.listens, ModbusGateway)
        hub = LocalHub()
        reading = asyncio.create_task(meter.run(hub))
        async with served(gateway.listens, hub) as one:
            await until(lambda: hub.snapshot("sample/grid"))
            assert await raw(one.port, mbap("04 0000 0002"), 13) == mbap("04 04 43660000")
            assert one.client.holders == 2
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@settings(max_examples=50)
@given(st.lists(st.one_of(st.binary(min_size=1, max_size=60), st.binary(min_size=1, max_size=60).map(bytes.hex))))
def test_any_bytes_to_a_gateway_end_in_replies_or_a_close(parts):
    async def main() -> None:
        gateway = ModbusGateway("tcp://127.0.0.1:1", port=0)  # where nobody listens
        async with served(gateway, LocalHub()) as one:
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            for part in parts:
                writer.write(part if isinstance(part, bytes) else mbap(part))
            writer.write(bytes.fromhex("0000 FFFF 0000"))  # what ends the connection, if nothing before did
            try:
                answer = await asyncio.wait_for(reader.read(), 10)
            except ConnectionError:
                answer = b""
            while answer:  # whole frames, each an exception, since there is no device
                assert (answer[2:6], answer[7] & 0x80) == (b"\0\0\0\3", 0x80)
                assert answer[8] in (1, 2, 3, 10)
                answer = answer[9:]
            writer.close()

    asyncio.run(main())
