"""`Fleet`: many light stations on real WebSockets, the load side of benches and of trials."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import ssl as tls
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from picows import WSCloseCode, WSError, WSHandshakeError, WSTransport, ws_connect

from evcore.errors import ConfigError
from evcore.model import rfc3339
from evcore.ocpp.upgrade import write_basic, write_url
from evcore.sim.fleet_report import FleetReport
from evcore.sim.fleet_station import FleetStation

_quiet = logging.getLogger("evcore.sim.fleet.picows")
_quiet.setLevel(logging.CRITICAL)

VERSIONS = ("1.6", "2.0.1", "2.1")
_TICK_S = 0.01
_GOODBYE_S = 3.0  # for the last answers


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """url: of the CSMS. stations: how many; they are called prefix and a number. versions: taken in turn. rate: CALLs a
    second of all together, 0 for as fast as answers come. meters: meter values in a transaction, 0 for one that never
    ends. reboot: BootNotification on a reconnect too. faults: share of CALLs in whose place a station sends a broken
    frame or drops its connection. password: of each, {id} stands for its name. opening: handshakes under way at once.
    answer_s: how long an answer is waited for. seed: of the faults. Raises ConfigError.
    """

    url: str
    stations: int = 10
    versions: Sequence[str] = ("1.6",)
    rate: float = 0.0
    meters: int = 20
    reboot: bool = False
    faults: float = 0.0
    prefix: str = "FLEET-"
    token: str = "FLEET"  # noqa: S105 - shown to the CSMS by each driver
    password: str | None = field(default=None, repr=False)
    ssl: tls.SSLContext | None = field(default=None, repr=False)
    opening: int = 200
    answer_s: float = 30.0
    seed: int = 1

    def __post_init__(self) -> None:
        for key, good, expected in (
            ("stations", self.stations >= 1, "at least 1"),
            ("versions", bool(self.versions) and set(self.versions) <= set(VERSIONS), "some of 1.6, 2.0.1, 2.1"),
            ("rate", self.rate >= 0, "at least 0"),
            ("meters", self.meters >= 0, "at least 0"),
            ("faults", 0 <= self.faults < 1, "0 to below 1"),
            ("opening", self.opening >= 1, "at least 1"),
            ("url", self.url.startswith(("ws://", "wss://")), "ws://HOST or wss://HOST"),
        ):
            if not good:
                raise ConfigError("Fleet", key, expected, str(getattr(self, key))[:80])


class Fleet:
    """One run. stations: the stations. report: counts as it goes. sending: may CALLs be sent? stamp: the time, as
    messages show it. connected: set while all stations are.

        report = await Fleet(FleetPlan("ws://127.0.0.1:9000", stations=100)).run(10)
    """

    def __init__(self, plan: FleetPlan) -> None:
        self.plan, self.report = plan, FleetReport()
        self.run_text = secrets.token_hex(4)
        self.run_id = self.run_text.encode()
        self.chance = random.Random(plan.seed).random
        self.stations = [
            FleetStation(self, f"{plan.prefix}{n}", plan.versions[n % len(plan.versions)]) for n in range(plan.stations)
        ]
        self.sending = False
        self.stamp = b""
        self.connected = asyncio.Event()
        self._ending = False
        self._open = 0
        self._gate = asyncio.Semaphore(plan.opening)

    async def run(self, seconds: float) -> FleetReport:
        """Connect, boot and send for so long from now on, then hang up; what was counted."""
        began = time.monotonic()
        self._look_at_clock()
        self.sending = True
        loop = asyncio.get_running_loop()
        lives = [loop.create_task(self._live(station)) for station in self.stations]
        try:
            try:
                await self._pace(began + seconds)
            finally:  # also when it is cancelled: what was counted is of use
                self.report.seconds = time.monotonic() - began
            self.sending, self._ending = False, True
            await self._last_answers()
        finally:
            self.sending, self._ending = False, True
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
        return self.report

    # For its stations

    def step_on(self, station: FleetStation) -> None:
        """It may go on: at once where the CSMS sets the pace, and to boot in any case."""
        if station.ready and (not self.plan.rate or not station.booted):
            station.send_next()

    def pause(self, station: FleetStation, seconds: float) -> None:
        """It is not accepted, and is to boot again later."""
        station.paused = True
        asyncio.get_running_loop().call_later(seconds, self._resume, station)

    def _resume(self, station: FleetStation) -> None:
        station.paused = False
        self.step_on(station)

    # Inside

    async def _pace(self, until: float) -> None:
        """The clock of all messages, and with a rate what says when the next one goes."""
        began = last = swept = time.monotonic()
        due, turn = 0.0, 0
        while (now := time.monotonic()) < until:
            self._look_at_clock()
            due += (now - last) * self.plan.rate
            for _ in range(min(len(self.stations), 4 * int(due) + 64) if due >= 1 else 0):
                station = self.stations[turn]
                turn = (turn + 1) % len(self.stations)
                if station.ready:
                    station.send_next()
                    due -= 1
                    if due < 1:
                        break
            if due >= 1 and now - began > 1:  # the first second is for connecting
                self.report.behind += int(due)
            due, last = due % 1, now
            if now - swept > 1:
                swept = now
                self._give_up(now)
            await asyncio.sleep(_TICK_S)

    def _look_at_clock(self) -> None:
        self.stamp = rfc3339(time.time_ns()).encode()

    def _give_up(self, now: float) -> None:
        oldest = int((now - self.plan.answer_s) * 1e9)
        for station in self.stations:
            if station.awaited and station.sent_at < oldest:
                station.awaited = ""
                self.report.unanswered += 1
                self.step_on(station)

    async def _last_answers(self) -> None:
        until = time.monotonic() + _GOODBYE_S
        while any(station.awaited for station in self.stations) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_TICK_S)
        self.report.unanswered += sum(bool(station.awaited) for station in self.stations)

    async def _live(self, station: FleetStation) -> None:
        """Connected, again and again."""
        wait = 0.5
        while not self._ending:
            drops = station.drops
            try:
                async with self._gate:
                    began = time.monotonic_ns()
                    transport = await self._connect(station)
            except (OSError, WSError, TimeoutError) as error:
                self.report.failures[_why(error)] += 1
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(2 * wait, 10.0)
                continue
            self.report.opening.add(time.monotonic_ns() - began)
            wait = 0.5
            self._count(1)
            try:
                await transport.wait_disconnected()
            except Exception as error:  # noqa: BLE001 - however it ended, it ended
                _quiet.debug("%s: %s", station.identity, error)
            finally:
                self._count(-1)
                if self._ending:
                    _hang_up(transport)
                elif station.drops == drops:
                    self.report.lost += 1
            await asyncio.sleep(random.uniform(0.05, 0.5))

    async def _connect(self, station: FleetStation) -> WSTransport:
        headers = [("Sec-WebSocket-Protocol", station.subprotocol)]
        if self.plan.password is not None:
            password = self.plan.password.replace("{id}", station.identity)
            headers.append(("Authorization", write_basic(station.identity, password)))
        transport, _ = await ws_connect(
            lambda: station,
            write_url(self.plan.url, station.identity),
            ssl_context=self.plan.ssl,
            extra_headers=headers,
            max_redirects=0,
            websocket_handshake_timeout=30,
            read_buffer_init_size=2048,
            logger_name=_quiet,
        )
        if transport.response is None:  # picows takes an end before the answer for an opening
            raise ConnectionResetError("closed during the handshake")
        return transport

    def _count(self, change: int) -> None:
        self._open += change
        if self._open == len(self.stations):
            self.connected.set()
        else:
            self.connected.clear()


def _hang_up(transport: WSTransport) -> None:
    if not transport.is_disconnected:
        transport.send_close(WSCloseCode.OK)
        transport.disconnect(False)


def _why(error: Exception) -> str:
    """Short, for a count."""
    if isinstance(error, WSHandshakeError) and error.response is not None:
        return f"HTTP {int(error.response.status)}"
    return type(error).__name__
