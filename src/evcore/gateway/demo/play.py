"""The demonstration from its first port to its verdict."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from evcore.errors import ConfigError, LinkError
from evcore.gateway.demo import settings
from evcore.gateway.demo.clients import FeedWatcher, MqttWatcher, RestClient
from evcore.gateway.demo.judge import PROTOCOLS, Judge, lost_records
from evcore.gateway.demo.scenario import Scenario, StepFailed
from evcore.gateway.gateway import Gateway
from evcore.model import Health
from evcore.sim.psp import SimPsp
from evcore.sim.site import SimSite
from evcore.sim.station import SimStation

START_S = 15.0
METER_START_WH = 1_234_000.0
CHARGE_S = (1.0, 10.0)  # shortest and longest, see Scenario; a longer demonstration charges longer
OVERHEAD_S = 6.5  # of a round, beside twice the charging: charger and car greet and part, the last meter value
SHORT_S = 12.0  # in a demonstration this short charger and car talk twice as fast
LOST_SHOWN = 20
_log = logging.getLogger("evcore.demo")


class Demo:
    """One demonstration. say: told what happens, in words. urls: where to look, once `started` is set.

    Raises ConfigError from `run`: no free port, no embedded broker installed, a bad URL.
    """

    def __init__(self, options: settings.Options, say: Callable[[str], None]) -> None:
        self.options, self.say = options, say
        self.urls: dict[str, str] = {}
        self.started = asyncio.Event()
        self.gateway: Gateway | None = None
        self.site: SimSite | None = None
        self._abandoned = asyncio.Event()

    def stop(self) -> None:
        """End now: the round is abandoned, what is under way is finished."""
        self._abandoned.set()

    async def run(self) -> dict[str, Any]:
        """Play, and judge. The result: docs/gateway.md, "The report"."""
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="evcore-demo-") as folder:
            judge = await self._play(Path(folder), began)
            gateway = self.gateway
            if gateway is None:
                raise RuntimeError("no gateway")
            lost = await asyncio.to_thread(lost_records, gateway.config.store.path, judge.promises)
            problems = judge.problems + lost[:LOST_SHOWN]
        traffic = {
            name: {"in": flow.received, "out": flow.sent, "errors": flow.errors}
            for name in PROTOCOLS
            for flow in (gateway.hub.traffic(name),)
        }
        if not self._abandoned.is_set():
            problems += [f"{name} carried nothing" for name, flow in traffic.items() if not flow["in"] + flow["out"]]
            problems += [f"no session was {what}" for what, n in _counts(judge).items() if not n]
        return {
            "ok": not problems,
            "seconds": round(time.monotonic() - began, 1),
            "protocols": traffic,
            "sessions": {
                "started": judge.started,
                "ended": judge.ended,
                "energy_wh": round(judge.energy_wh, 1),
                "paid": judge.paid,
            },
            "urls": self.urls,
            "problems": problems,
        }

    async def _play(self, folder: Path, began: float) -> Judge:
        """Everything from the first listener to the gateway's end."""
        options, keys = self.options, settings.Keys()
        async with contextlib.AsyncExitStack() as stack:
            mqtt_url = options.mqtt_url or await self._broker(stack)
            modbus_port = self._port(stack, "Modbus", options.modbus_port)
            http_port = self._port(stack, "HTTP", options.http_port)
            ocpp_port = self._port(stack, "OCPP", options.ocpp_port)
            site = self.site = SimSite(
                ac=settings.AC,
                dc=settings.DC,
                passwords={settings.AC: keys.ac_password, settings.DC: keys.dc_password},
                channel=keys.channel,
                meter_port=modbus_port,
                meter_start_wh=METER_START_WH,
                pace=2.0 if options.seconds is not None and options.seconds <= SHORT_S else 1.0,
            )
            await stack.enter_async_context(site)
            psp = SimPsp(
                api_key=keys.psp_key,
                secret=keys.psp_secret,
                webhook_url=f"http://127.0.0.1:{http_port}/v1/psp/{settings.PROVIDER}/webhook",
                auto_pay=True,
            )
            await psp.start()
            stack.push_async_callback(psp.stop)
            config = settings.configuration(
                folder,
                keys,
                http_port=http_port,
                ocpp_port=ocpp_port,
                meter_url=site.meter.url,
                mqtt_url=mqtt_url,
                psp_url=psp.url,
            )
            gateway = self.gateway = Gateway(config)
            await gateway.check()
            running = asyncio.create_task(gateway.run(), name="gateway")
            stack.push_async_callback(_stopped, gateway, running)
            await _until_started(gateway, running)
            site.connect(gateway.urls["ocpp"])
            self._show_urls(gateway.urls, mqtt_url, site.meter.url)
            stations = asyncio.create_task(site.run(), name="stations")
            stack.push_async_callback(_ended, stations)
            judge = await self._rounds(site, mqtt_url, began, running)
            await _ended(stations)
            judge.promise(site.stations.values())
        if not running.cancelled() and (failure := running.exception()) is not None:
            raise failure
        return judge

    async def _rounds(self, site: SimSite, mqtt_url: str, began: float, running: asyncio.Task[None]) -> Judge:
        """Round after round, until time is up, somebody stops it or the gateway ends."""
        url = self.urls["dashboard"].rstrip("/")
        async with contextlib.AsyncExitStack() as stack:
            rest = await stack.enter_async_context(RestClient(url))
            mqtt = await stack.enter_async_context(MqttWatcher(mqtt_url, settings.SITE_ID, settings.METER, self._event))
            feed = FeedWatcher(url, settings.METER)
            watching = asyncio.create_task(feed.run(), name="feed watcher")
            stack.push_async_callback(_ended, watching)
            judge = Judge(rest, mqtt, feed, site.stations.values())
            playing = asyncio.create_task(self._play_rounds(judge, mqtt.connected, rest, site, began))
            abandoned = asyncio.create_task(self._abandoned.wait())
            stack.push_async_callback(_ended, abandoned)
            await asyncio.wait([playing, abandoned, running], return_when=asyncio.FIRST_COMPLETED)
            playing.cancel()
            try:
                await playing
            except LinkError as error:
                judge.problems += [str(error), *self._down()]
            except asyncio.CancelledError:
                pass
            return judge

    async def _play_rounds(
        self, judge: Judge, heard: asyncio.Event, rest: RestClient, site: SimSite, began: float
    ) -> None:
        """heard: set once the broker listens to us. Raises LinkError: it, or a station, does not come."""
        await _within(START_S, heard, lambda: f"the broker {self.urls['mqtt']} does not answer")
        for station in site.stations.values():
            await _within(START_S, station.online, partial(_absent, station))
        await judge.ready()
        self.started.set()
        left = self._left(began)
        scenario = Scenario(site, rest, self.say, min(max((left - OVERHEAD_S) / 2, CHARGE_S[0]), CHARGE_S[1]))
        while True:
            judge.begin()
            try:
                await scenario.round()
            except* (StepFailed, RuntimeError, aiohttp.ClientError) as failures:
                judge.problems += [str(failure) for failure in failures.exceptions]
                for station in site.stations.values():
                    await station.fault(1, "")
                    await station.unplug(1)
            await judge.end(scenario.payments)
            if self._left(began) < OVERHEAD_S + 2 * scenario.charge_s:
                await asyncio.sleep(max(0.0, self._left(began)))
                return

    def _left(self, began: float) -> float:
        """Seconds until the demonstration is to end."""
        return math.inf if self.options.seconds is None else began + self.options.seconds - time.monotonic()

    async def _broker(self, stack: contextlib.AsyncExitStack) -> str:
        try:
            from evcore.sim.broker import EmbeddedBroker
        except ImportError:
            raise ConfigError(
                "evcore demo", "--mqtt", 'a broker, or pip install "evcore[demo]" for an embedded one', "neither"
            ) from None
        broker = EmbeddedBroker(self._port(stack, "MQTT", self.options.mqtt_port))
        await stack.enter_async_context(broker)
        return broker.url

    def _down(self) -> list[str]:
        """What the gateway itself says of a broker that it does not reach."""
        health = self.gateway and self.gateway.hub.last("health/mqtt")
        return (
            [f"mqtt is {health.state}: {health.detail}"]
            if isinstance(health, Health) and health.state == "down"
            else []
        )

    def _port(self, stack: contextlib.AsyncExitStack, what: str, wanted: int) -> int:
        taken: set[int] = set()
        while (held := settings.reserve(port := settings.free_port(wanted, taken=taken))) is None:
            taken.add(port)
        stack.callback(held.close)
        if port != wanted:
            self.say(f"{what}: port {wanted} is taken, {port} instead")
        return port

    def _show_urls(self, listening: Mapping[str, str], mqtt_url: str, modbus_url: str) -> None:
        http = listening["http"]
        self.urls |= {
            "dashboard": f"{http}/",
            "api": f"{http}/openapi.json",
            "metrics": f"{http}/metrics",
            "feed": http.replace("http", "ws", 1) + "/feed",
            "ocpp": listening["ocpp"],
            "mqtt": settings.split_login(mqtt_url)[0],
            "modbus": modbus_url,
        }

    def _event(self, kind: str, body: Mapping[str, Any]) -> None:
        _log.debug("%s %s", kind, body.get("source"))


def _absent(station: SimStation) -> str:
    return f"{station.id} does not come online: {station.last_error}"


async def _within(seconds: float, event: asyncio.Event, otherwise: Callable[[], str]) -> None:
    """Raises LinkError. Not wait_for: before Python 3.12 that may swallow a cancellation."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        raise LinkError(otherwise()) from None


async def _until_started(gateway: Gateway, running: asyncio.Task[None]) -> None:
    """Raises what the gateway raised instead, or LinkError."""
    started = asyncio.create_task(gateway.started.wait())
    try:
        await asyncio.wait([started, running], timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _ended(started)
    if running.done():
        running.result()
    if not gateway.started.is_set():
        raise LinkError(f"the gateway does not listen after {START_S:g} s")


async def _stopped(gateway: Gateway, running: asyncio.Task[None]) -> None:
    gateway.stop()
    await asyncio.wait([running])


async def _ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _counts(judge: Judge) -> dict[str, int]:
    return {"started": judge.started, "ended": judge.ended, "paid for": judge.paid}
