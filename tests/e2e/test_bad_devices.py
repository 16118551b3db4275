"""Bad input from the devices of a whole site: Modbus meters that answer wrongly before they answer, a CAN bus that is
full of noise."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Callable

import can
import pytest

from evcore.can.j1939 import make_id
from evcore.core.modbus import crc16
from evcore.model import Vehicle
from evcore.sim import GbtSession

GOOD, BAD = struct.pack(">f", 230.0), struct.pack(">f", 77.0)  # no meter of the test says 77
Wrong = Callable[[bytes], bytes]  # request -> what comes instead of the reply


def mbap(request: bytes, pdu: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
    number = int.from_bytes(request[:2], "big") if transaction is None else transaction & 0xFFFF
    return struct.pack(">HHHB", number, 0, len(pdu) + 1, request[6] if unit is None else unit) + pdu


def pdu(request: bytes, value: bytes, *, extra: int = 0) -> bytes:
    """A reply to a read, every float in it `value`. extra: registers more than were asked for."""
    count = int.from_bytes(request[10:12], "big") + extra
    return bytes([request[7], 2 * count]) + value * (count // 2)


def rtu(request: bytes, body: bytes, *, crc: int = 0, unit: int | None = None) -> bytes:
    """crc: what it is wrong by."""
    frame = bytes([request[6] if unit is None else unit]) + body
    return frame + struct.pack("<H", crc16(frame) ^ crc)


def number(request: bytes) -> int:
    return int.from_bytes(request[:2], "big")


# What a device on TCP says. Requests come with an MBAP header, on RTU the test gives them one.
WRONG_TCP: dict[str, Wrong] = {
    "transaction": lambda request: mbap(request, pdu(request, BAD), transaction=number(request) + 999),
    "function": lambda request: mbap(request, b"\x03" + pdu(request, BAD)[1:]),
    "unit": lambda request: mbap(request, pdu(request, BAD), unit=9),
    "length": lambda request: mbap(request, pdu(request, BAD, extra=2)),
    "short": lambda request: mbap(request, pdu(request, BAD)[:-3]),
    "protocol": lambda request: b"\0\0\xff\xff" + mbap(request, pdu(request, BAD))[4:],
    "garbage": lambda request: bytes(range(255, 0, -1)),
    "silence": lambda request: b"",
    "exception": lambda request: mbap(request, bytes([request[7] | 0x80, 4])),
    "before": lambda request: mbap(request, pdu(request, BAD), transaction=0) + mbap(request, pdu(request, GOOD)),
}
WRONG_RTU: dict[str, Wrong] = {
    "crc": lambda request: rtu(request, pdu(request, BAD), crc=0x0100),
    "function": lambda request: rtu(request, b"\x03" + pdu(request, BAD)[1:]),
    "unit": lambda request: rtu(request, pdu(request, BAD), unit=9),
    "length": lambda request: rtu(request, pdu(request, BAD, extra=2)),
    "short": lambda request: rtu(request, pdu(request, BAD))[:-9],
    "before": lambda request: bytes(range(40)) + rtu(request, pdu(request, GOOD)),
}
ERRORS = {
    "tcp": set(WRONG_TCP) - {"silence", "exception"},
    "rtu+tcp": set(WRONG_RTU) - {"before"},  # there the bytes before the reply are noise of the line
}


@contextlib.asynccontextmanager
async def device(framing: str, wrong: Wrong, times: int) -> AsyncIterator[int]:
    """A device that answers so many requests wrongly and then well; its port."""
    left = times
    connections: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        connections.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                if framing == "tcp":
                    request = await reader.readexactly(12)
                else:
                    line = await reader.readexactly(8)
                    request = bytes(6) + line[:6]
                left -= 1
                good = mbap(request, pdu(request, GOOD)) if framing == "tcp" else rtu(request, pdu(request, GOOD))
                writer.write(wrong(request) if left >= 0 else good)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


@pytest.mark.parametrize(("framing", "faults"), [("tcp", WRONG_TCP), ("rtu+tcp", WRONG_RTU)], ids=["tcp", "rtu"])
async def test_meters_that_answer_wrongly_are_believed_only_when_they_answer_well(bad_site, until, framing, faults):
    async with contextlib.AsyncExitStack() as stack:
        more = ""
        for name, wrong in faults.items():
            port = await stack.enter_async_context(device(framing, wrong, 2))
            more += f'[[modbus]]\nname = "m-{name}"\nurl = "{framing}://127.0.0.1:{port}"\nprofile = "sdm630"\n'
            more += "period_s = 0.2\n"
        site = await bad_site(more)
        for name in faults:
            await until(lambda name=name: site.hub.snapshot(f"sample/m-{name}/"), f"a value of {name}")
        values = {item.value for name in faults for item in site.hub.snapshot(f"sample/m-{name}/")}
        assert values == {230.0, 230_000.0}, "also in kWh"
        await site.goes_on()
        await site.counts(len(ERRORS[framing]), "evcore_message_errors_total", protocol="modbus")
        if framing == "tcp":
            await site.counts(1, "evcore_modbus_timeouts_total")
            await site.counts(2, "evcore_modbus_failures_total")  # protocol, garbage: the boundary of frames is lost
        else:
            await site.counts(40, "evcore_modbus_stray_bytes_total")
        assert await site.counted("evcore_modbus_failures_total", connector="grid") == 0
        await site.leaves_nothing(4)  # both ends of the two connections that were made anew


@pytest.mark.parametrize("framing", ["tcp", "rtu+tcp"])
async def test_a_device_that_says_more_and_more_is_bounded(bad_site, framing):
    def flood(request: bytes) -> bytes:
        return bytes(random.Random(number(request)).randbytes(1 << 20))

    async with device(framing, flood, 10**9) as port:
        more = f'[[modbus]]\nname = "m"\nurl = "{framing}://127.0.0.1:{port}"\nprofile = "sdm630"\nperiod_s = 0.1\n'
        site = await bad_site(more)
        for _ in range(3):
            await site.goes_on()
        await site.counts(1, "evcore_message_errors_total", protocol="modbus")
        assert site.hub.snapshot("sample/m/") == []
        await site.leaves_nothing()


CAR, CHARGER, PGN_CM, PGN_DT = 0x56, 0xF4, 0xEC00, 0xEB00


def noise(seed: random.Random) -> can.Message:
    """A frame of any kind; none in the name of the car or of the charger."""
    kind = seed.randrange(6)
    if kind == 0:
        return can.Message(arbitration_id=seed.randrange(1 << 11), is_extended_id=False, data=seed.randbytes(8))
    if kind == 1:
        return can.Message(arbitration_id=seed.randrange(1 << 11), is_error_frame=True, data=seed.randbytes(8))
    if kind == 2:
        return can.Message(arbitration_id=seed.randrange(1 << 29), is_remote_frame=True, dlc=8)
    source, destination = seed.choice([(0x11, 0x22), (0x33, 0xFF), (seed.randrange(0x40), CHARGER)])
    if kind == 3:  # a transfer that begins, with or without sense, and is never finished
        size = seed.randrange(1 << 16).to_bytes(2, "little")
        data = bytes([seed.choice([0x10, 0x11, 0x13, 0x20, 0xFF, 0x77])]) + size + seed.randbytes(5)
        return can.Message(arbitration_id=make_id(7, PGN_CM, destination, source) & 0x1FFFFFFF, data=data)
    if kind == 4:
        data = seed.randbytes(seed.randrange(9))
        return can.Message(arbitration_id=make_id(7, PGN_DT, destination, source) & 0x1FFFFFFF, data=data)
    pgn = seed.randrange(1 << 18)
    id = make_id(seed.randrange(8), pgn, destination, source) & 0x1FFFFFFF
    return can.Message(arbitration_id=id, data=seed.randbytes(seed.randrange(9)))


async def test_noise_on_the_bus_costs_its_frames_only_and_the_car_is_followed(bad_site, until):
    site = await bad_site()
    play = GbtSession(site.channel, pace=4.0)
    playing = asyncio.create_task(play.run(), name="play")
    seed, sent = random.Random(27930), 0
    with can.Bus(interface="virtual", channel=site.channel) as bus:
        async with asyncio.timeout(9):
            while not (isinstance(car := site.hub.last("vehicle/car-1"), Vehicle) and car.stage == "charging"):
                for _ in range(20):
                    bus.send(noise(seed))
                sent += 20
                await asyncio.sleep(0.01)
        await until(lambda: site.hub.snapshot("sample/car-1/"), "values of the car")
        errors = site.hub.traffic("can").errors
        assert errors > 0
        for _ in range(5000):  # now in the name of both, in the middle of what they say
            for source, destination in ((CAR, CHARGER), (CHARGER, CAR)):
                data = bytes([seed.choice([0x10, 0x20, 0xFF]), *seed.randbytes(7)])
                id = make_id(7, seed.choice([PGN_CM, PGN_DT]), destination, source) & 0x1FFFFFFF
                bus.send(can.Message(arbitration_id=id, data=data))
        sent += 10_000
        await until(lambda: site.hub.traffic("can").errors > errors + 1000, "counting the forged ones")
        play.stop()
        await asyncio.wait([playing], timeout=5)
        playing.cancel()
    lost = await site.counted("evcore_can_dropped_frames_total")
    await until(lambda: site.hub.traffic("can").received + lost >= sent, "all that was sent")
    await site.counts(errors, "evcore_message_errors_total", protocol="can")
    await site.counts(1, "evcore_can_error_frames_total", bus="bay")
    await site.goes_on()
    await site.leaves_nothing()
