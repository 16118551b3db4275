"""A whole site that charges: gateway with every kind of port, one genuine station, a real broker, a meter, a bus."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import os
import pwd
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from waiting import until

from evcore.gateway.config import parse
from evcore.gateway.gateway import Gateway
from evcore.model import Health, Sample, Session
from evcore.sim import SimMeter, SimPsp, SimStation

PASSWORD, PSP_KEY = "password-of-cp1-1", "key-of-the-provider"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"secret-of-the-webhooks-123456789").decode()
GROWTH = 48 << 20  # bytes that a test's bad input may leave behind in caches and the allocator's arenas
SITE = """
[site]
id = "s1"
[[ocpp]]
port = 0
[[ocpp.stations]]
id = "CP1"
password = "{password}"
[[ocpp.stations]]
id = "BAD"
[http]
port = 0
[[mqtt]]
url = "{broker}"
node = "n1"
[[mqtt.sources]]
topic = "pv/power"
source = "pv"
measurand = "Power.Active.Export"
unit = "W"
[[modbus]]
name = "grid"
url = "{meter}"
profile = "sdm630"
period_s = 0.1
[[can]]
name = "bay"
interface = "virtual"
channel = "{channel}"
observer = "gbt27930"
vehicle = "car-1"
[[payments]]
name = "acme"
url = "{psp}"
api_key = "{psp_key}"
webhook_secrets = ["{webhook_secret}"]
[tariff]
currency = "EUR"
per_kwh = 0.50
[[tokens]]
id = "CARD-1"
[limits]
drain_s = 2
"""


class BadSite:
    """What a test needs of a site that gets bad input. channel: of the virtual bus."""

    def __init__(self, gateway: Gateway, station: SimStation, psp: SimPsp, broker_port: int, channel: str) -> None:
        self.gateway, self.station, self.psp = gateway, station, psp
        self.broker_port, self.channel = broker_port, channel
        self.hub = gateway.hub
        self._before: tuple[set[str], int, int] = set(), 0, 0

    @property
    def http(self) -> str:
        return self.gateway.urls["http"]

    def port(self, name: str) -> int:
        return int(self.gateway.urls[name].rpartition(":")[2])

    async def connect(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port(name))

    async def send(self, name: str, data: bytes, *, hang_up: bool = False) -> bytes:
        """Everything that a port says to these bytes until it closes the connection, or we do."""
        reader, writer = await self.connect(name)
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                if hang_up:
                    writer.write_eof()
                async with asyncio.timeout(8):
                    return await reader.read()
            return b""
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """/metrics as Prometheus reads it: (name, labels) -> value."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.http}/metrics") as answer:
            assert answer.status == 200
            text = await answer.text()
        families = text_string_to_metric_families(text)
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    async def counted(self, name: str, **labels: str) -> float:
        """The sum of a metric's lines that carry these labels."""
        found = await self.metrics()
        return sum(value for (known, its), value in found.items() if known == name and labels.items() <= set(its))

    async def counts(self, at_least: float, name: str, **labels: str) -> None:
        deadline = time.monotonic() + 8
        while (now := await self.counted(name, **labels)) < at_least:
            assert time.monotonic() < deadline, f"{name}{labels}: {now}, expected at least {at_least}"
            await asyncio.sleep(0.02)

    def health(self, name: str) -> str:
        item = self.hub.last(f"health/{name}")
        return f"{item.state}: {item.detail}" if isinstance(item, Health) else "none"

    def session(self) -> Session:
        [session] = [item for item in self.hub.snapshot("session/") if isinstance(item, Session)]
        return session

    def metered(self) -> Sample | None:
        item = self.hub.last("sample/grid/0/Energy.Active.Import.Register")
        return item if isinstance(item, Sample) else None

    async def goes_on(self) -> None:
        """The genuine station charges on over the connection that it had, the meter is read, REST and MQTT answer."""
        energy, metered = self.session().energy_wh, self.metered()
        await until(lambda: self.session().energy_wh > energy + 1, "more energy")
        await until(lambda: self.metered().time_ns > metered.time_ns, "a newer meter value")
        assert self.metered().quality == "good"
        assert (self.session().state, self.station.closings) == ("active", [])
        assert self.health("mqtt").startswith("up"), self.health("mqtt")
        assert self.health("grid").startswith("up"), self.health("grid")
        assert self.health("bay").startswith("up"), self.health("bay")
        async with aiohttp.ClientSession() as client, client.get(f"{self.http}/v1/sessions") as answer:
            assert [one["station"] for one in (await answer.json())["items"]] == ["CP1"]
        parts = {name for name, _ in self.hub.counters() if name == "evcore_part_failures_total"}
        assert not parts, "a part of the gateway failed"

    def remember(self) -> None:
        self._before = _task_names(), _descriptors(), _resident()

    async def leaves_nothing(self, more: int = 0) -> None:
        """No task, descriptor or memory beyond what there was at `remember`. more: tasks and descriptors of connections
        that were down then."""
        tasks, descriptors, resident = self._before
        await until(lambda: len(_task_names()) <= len(tasks) + more, f"no task more than {tasks}, but {_task_names()}")
        await until(lambda: _descriptors() <= descriptors + more, "no descriptor more")
        gc.collect()
        assert _resident() - resident < GROWTH


def _task_names() -> set[str]:
    return {f"{task.get_name()} {task.get_coro()}" for task in asyncio.all_tasks()}


def _descriptors() -> int:
    """Open ones, but for the temporary file that SQLite opens when it first needs it."""
    names = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            names.append(os.readlink(f"/proc/self/fd/{number}"))
    return sum("etilqs_" not in name for name in names)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def broker(program: Callable[[str], str], tmp_path: Path, free_port: Callable[[], int]) -> Iterator[int]:
    """The port of a real mosquitto."""
    port, config = free_port(), tmp_path / "mosquitto.conf"
    # As root mosquitto would become a user who may not read the folder of the test.
    user = pwd.getpwuid(os.getuid()).pw_name
    config.write_text(f"user {user}\nlistener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program("mosquitto"), "-c", str(config)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 8
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        assert time.monotonic() < deadline, "mosquitto does not listen"
        time.sleep(0.01)
    yield port
    process.kill()
    process.wait()


@pytest.fixture
async def bad_site(
    broker: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Callable[..., Awaitable[BadSite]]]:
    """await bad_site(more TOML): a site whose one station charges; at the end it must stop cleanly, and no exception
    may have surprised anybody."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(more: str = "") -> BadSite:
            meter = SimMeter("sdm630", values=lambda: {"energy_import": 1_000_000 + time.monotonic() % 100_000})
            await stack.enter_async_context(meter)
            psp = SimPsp(api_key=PSP_KEY, secret=WEBHOOK_SECRET)
            await psp.start()
            stack.push_async_callback(psp.stop)
            channel = f"bad-{uuid4()}"
            text = SITE.format(
                password=PASSWORD,
                broker=f"mqtt://127.0.0.1:{broker}",
                meter=meter.url,
                channel=channel,
                psp=psp.url,
                psp_key=PSP_KEY,
                webhook_secret=WEBHOOK_SECRET,
            )
            gateway = Gateway(parse(text + more, file="site.toml", base=tmp_path))
            running = asyncio.create_task(gateway.run(), name="gateway")
            stack.push_async_callback(_stop, gateway, running)
            await until(lambda: gateway.started.is_set() or running.done(), "a started gateway")
            assert not running.done(), running.result()
            station = SimStation(gateway.urls["ocpp"], "CP1", password=PASSWORD, speed=60, interval_s=5)
            stack.push_async_callback(_end, asyncio.create_task(station.run(), name="station"))
            site = BadSite(gateway, station, psp, broker, channel)
            await until(station.online.is_set, "the station online")
            assert await station.plug_in(1, "CARD-1")
            await until(lambda: site.metered() and site.session().energy_wh > 0, "a session with energy")
            for name in ("mqtt", "bay", "grid"):
                await until(lambda name=name: site.health(name).startswith("up"), f"{name} up")
            await site.goes_on()
            site.remember()
            return site

        yield start
    surprises = [
        record.getMessage() for when in ("call", "teardown") for record in caplog.get_records(when) if record.exc_info
    ]
    assert not surprises


async def _stop(gateway: Gateway, running: asyncio.Task[None]) -> None:
    gateway.stop()
    await asyncio.wait_for(running, 10)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until


@pytest.fixture
def webhook_secret() -> str:
    return WEBHOOK_SECRET
