"""The connector to a CAN bus: decodes it by a database, or follows the charging session on it."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Literal

from evcore.can.bus import CanBus
from evcore.can.database import Database
from evcore.can.frames import Frame
from evcore.errors import LinkError
from evcore.meters.can_signals import Reading, SignalSamples
from evcore.meters.can_vehicle import GbtVehicle
from evcore.model import Event, Health, Item, Sample, Vehicle
from evcore.ports import Hub, Traffic

_SINCE_2001 = 1_000_000_000 * 1_000_000_000  # a time stamp before is none of the calendar, but of the adapter's start
_LATE = 60_000_000_000  # a stamp older than this is of another clock
_AT_ONCE = 200  # frames handled before others get their turn
_LAST_SEEN_S = 5.0
_BACK_OFF_S = (1.0, 30.0)
_BUS_EVENT_S = 10.0


class CanSource:
    """Listens to a CAN bus and publishes what it hears; it never sends.

    interface, channel, options: python-can's (bitrate, ...). database: a file or a Database; its signals become samples
    with source `name`; signals: which and as what, see `SignalSamples`. observer: "gbt27930" follows charger and car
    and publishes a Vehicle with id `vehicle` at `station` and `evse`, its samples (location EV) and its events; the VIN
    is masked unless show_vin. period_s: samples of one key are published at most so often, the newest. stale_s: after
    this time without a new value, or when the bus is gone, a sample is published once more with quality "stale".
    started: set once the bus is open.
    Raises ConfigError (a database that cannot be read, or does not have one of `signals`), ValueError (neither database
    nor observer, an observer that there is not, or a time that is not above 0).
    """

    def __init__(
        self,
        interface: str = "virtual",
        channel: str | int = "ch",
        *,
        database: str | PathLike[str] | Database | None = None,
        observer: Literal["gbt27930"] | str | None = None,
        name: str = "can",
        vehicle: str = "car-1",
        station: str = "",
        evse: int = 0,
        signals: Mapping[str, str | Reading] | None = None,
        show_vin: bool = False,
        period_s: float = 0.5,
        stale_s: float = 10.0,
        **options: Any,
    ) -> None:
        if database is None and observer is None:
            raise ValueError("expected a database or an observer, got neither")
        if observer not in (None, "gbt27930"):
            raise ValueError(f"observer: expected 'gbt27930', got {observer!r}")
        for key, seconds in (("period_s", period_s), ("stale_s", stale_s)):
            if not seconds > 0:
                raise ValueError(f"{key}: expected more than 0, got {seconds}")
        self.name = name
        self.started = asyncio.Event()
        self._settings = {"interface": interface, "channel": channel, **options}
        self._signals: SignalSamples | None = None
        if database is not None:
            loaded = database if isinstance(database, Database) else Database.load(database)
            self._signals = SignalSamples(loaded, source=name, evse=evse, signals=signals)
        self._vehicle: GbtVehicle | None = None
        if observer is not None:
            self._vehicle = GbtVehicle(vehicle, station=station, evse=evse, show_vin=show_vin)
        self._period, self._stale = period_s, stale_s
        self._pending: dict[str, Sample] = {}
        self._published: dict[str, tuple[float, Sample]] = {}  # key -> (when, what), to find what became stale
        self._vehicle_at = 0.0
        self._bus_faults: dict[str, int] = {}
        self._bus_told: dict[str, float] = {}
        self._dropped = 0

    async def run(self, hub: Hub) -> None:
        """Listen until cancelled; a bus that goes away is opened again, with back-off."""
        self._health(hub, "starting")
        pause = _BACK_OFF_S[0]
        try:
            while True:
                opened = time.monotonic()
                try:
                    async with CanBus(**self._settings) as bus:
                        self._dropped = 0
                        self._health(hub, "up")
                        self.started.set()
                        await self._listen(hub, bus)
                except LinkError as error:
                    self._age(hub, math.inf)
                    self._bus_event(hub, "bus.error", str(error))
                    self._health(hub, "down", str(error))
                if time.monotonic() - opened > _BACK_OFF_S[1]:
                    pause = _BACK_OFF_S[0]
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))
                pause = min(2 * pause, _BACK_OFF_S[1])
        finally:
            self._health(hub, "stopped")

    async def _listen(self, hub: Hub, bus: CanBus) -> None:
        """Raises LinkError: the bus is gone."""
        traffic = hub.traffic("can")
        flush_at = time.monotonic()
        while True:
            frames = await self._frames(bus, flush_at)
            for start in range(0, len(frames), _AT_ONCE):
                self._take(hub, frames[start : start + _AT_ONCE], traffic)
                await asyncio.sleep(0)
            if self._vehicle is not None and not bus.waiting:  # else its timers would run ahead of what was sent
                self._publish(hub, self._vehicle.poll(time.monotonic_ns()))
            if time.monotonic() >= flush_at:
                flush_at = time.monotonic() + self._period
                self._flush(hub, bus)

    async def _frames(self, bus: CanBus, flush_at: float) -> Sequence[Frame]:
        """What came; nothing when it is time to do something else."""
        wait = flush_at - time.monotonic()
        due = self._vehicle.next_deadline() if self._vehicle is not None else None
        if due is not None:
            wait = min(wait, (due - time.monotonic_ns()) / 1e9)
        try:
            async with asyncio.timeout(max(wait, 0)):
                return await bus.receive()
        except TimeoutError:
            return ()

    def _take(self, hub: Hub, frames: Sequence[Frame], traffic: Traffic) -> None:
        wall, now = time.time_ns(), time.monotonic_ns()
        for frame in frames:
            traffic.received += 1
            if frame.time_ns < _SINCE_2001:
                frame = frame._replace(time_ns=wall)
            if frame.is_error:
                traffic.errors += 1
                self._bus_faults[frame.fault] = self._bus_faults.get(frame.fault, 0) + 1
                continue
            if self._signals is not None and not self._signals.receive(frame):
                traffic.errors += 1
            if self._vehicle is not None:
                broken = self._vehicle.violations
                # It came when its stamp says, however late it is handled: a busy loop is no fault of the charger.
                age = wall - frame.time_ns
                self._publish(hub, self._vehicle.receive(frame, now - age if 0 <= age < _LATE else now))
                traffic.errors += self._vehicle.violations > broken

    def _publish(self, hub: Hub, items: Sequence[Item]) -> None:
        """Events and states at once, samples with the next flush."""
        for item in items:
            if isinstance(item, Sample):
                self._pending[item.key] = item
            else:
                hub.publish(item)
                if isinstance(item, Vehicle):
                    self._vehicle_at = time.monotonic()

    def _flush(self, hub: Hub, bus: CanBus) -> None:
        now = time.monotonic()
        if self._signals is not None:
            self._pending |= {sample.key: sample for sample in self._signals.samples()}
            self._tell_broken(hub, self._signals)
        pending, self._pending = self._pending, {}
        for key, sample in pending.items():
            self._published[key] = (now, sample)
            hub.publish(sample)
        self._age(hub, now - self._stale)
        if self._vehicle is not None and now - self._vehicle_at > _LAST_SEEN_S:
            state, last = self._vehicle.state, hub.last(self._vehicle.state.key)
            if state.last_seen_ns and state != last:
                self._publish(hub, [state])
        self._tell_bus(hub, bus)

    def _age(self, hub: Hub, before: float) -> None:
        """Mark what came before this time."""
        for key, (when, sample) in self._published.items():
            if when < before and sample.quality == "good":
                stale = replace(sample, quality="stale")
                self._published[key] = (when, stale)
                hub.publish(stale)

    def _tell_broken(self, hub: Hub, signals: SignalSamples) -> None:
        errors, signals.errors = signals.errors, {}
        for message, detail in errors.items():
            data = {"kind": "payload", "message": message, "detail": detail}
            self._bus_event(hub, "protocol.violation", f"{message}: {detail}", data, about=message)

    def _tell_bus(self, hub: Hub, bus: CanBus) -> None:
        """Lost frames and error frames, counted; told at most every 10 s each."""
        faults, self._bus_faults = self._bus_faults, {}
        for fault, count in faults.items():
            hub.count("evcore_can_error_frames_total", count, bus=self.name)
            self._bus_event(hub, "bus.error", f"{fault} ({count} error frames)", about=fault)
        lost = bus.dropped - self._dropped
        if lost:
            self._dropped = bus.dropped
            hub.count("evcore_can_dropped_frames_total", lost, bus=self.name)
            self._bus_event(
                hub, "bus.error", f"{lost} frames lost: they came faster than they were handled", about="lost"
            )

    def _bus_event(
        self, hub: Hub, kind: str, text: str, data: Mapping[str, Any] | None = None, *, about: str = ""
    ) -> None:
        now = time.monotonic()
        if about and now - self._bus_told.get(about, -_BUS_EVENT_S) < _BUS_EVENT_S:
            return
        if about:
            self._bus_told[about] = now
        hub.publish(Event(self.name, kind, time.time_ns(), severity="warning", text=text, data=data or {}))

    def _health(self, hub: Hub, state: Literal["starting", "up", "down", "stopped"], detail: str = "") -> None:
        hub.publish(Health(self.name, state, detail, time.time_ns()))
