"""A meter on Modbus, by profile: reads its plan once a period and publishes what it measures in the model's words.

meter = ModbusMeter("tcp://192.168.1.20:502", profile="sdm630", name="grid")
await meter.run(hub)
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from evcore.core.modbus import Value
from evcore.errors import InvalidReply, LinkError, ModbusException, ModbusTimeout
from evcore.meters.guard import CounterGuard
from evcore.modbus.link import Client
from evcore.modbus.plan import Plan, Step
from evcore.modbus.profile import Profile, ProfilePoint, plain
from evcore.model import Event, Health, Meter, Quality, Sample
from evcore.ports import Hub

BACKOFF_S = (1.0, 30.0)  # first and longest pause between attempts to connect
DEAD_PERIODS = 10
SILENT_ROUNDS = 3  # rounds without any answer before a TCP connection is taken for half-open and made anew


class ModbusMeter:
    """url: as of `evcore.modbus.connect`, or a Client that other meters on the same line use too. profile: a name, a
    file or a Profile. unit: the device's address. name: the source of the samples. period_s: between rounds. points:
    only these of the profile. evse, location: of the samples. timeout_s, retries: of a line of its own. stale_after_s:
    age at which the last value is published once more as "stale"; None: 3 periods, at least 5 s. max_power_w: an energy
    register that grows faster is "suspect", as is one that falls.

    Raises ConfigError (url, profile), KeyError (no such point), ValueError.
    """

    def __init__(
        self,
        url: str | Client,
        *,
        profile: Profile | str | Path,
        unit: int = 1,
        name: str = "meter",
        period_s: float = 1.0,
        points: Iterable[str] | None = None,
        evse: int = 0,
        location: str = "Outlet",
        timeout_s: float = 1.0,
        retries: int = 1,
        stale_after_s: float | None = None,
        max_power_w: float = 1_000_000.0,
    ) -> None:
        for key, number in (("period_s", period_s), ("stale_after_s", stale_after_s), ("max_power_w", max_power_w)):
            if number is not None and not number > 0:
                raise ValueError(f"{key}: expected more than 0, got {number}")
        self.client = url if isinstance(url, Client) else Client(url, timeout_s=timeout_s, retries=retries)
        self.name, self.unit, self.url = name, unit, self.client.url
        self.profile = profile if isinstance(profile, Profile) else Profile.load(profile)
        serial = self.client.address.framing == "rtu"
        self.plan = Plan(self.profile, baudrate=self.client.address.baudrate if serial else None, names=points)
        self._requests = [(step, step.request(unit)) for step in self.plan.steps]
        self._period, self._evse, self._location = period_s, evse, location
        self._stale_after = max(3 * period_s, 5.0) if stale_after_s is None else stale_after_s
        self._guards = {p.name: CounterGuard(max_power_w) for p in self.profile.points if p.counts_up}
        self._latest: dict[str, tuple[Sample, float]] = {}  # by point, with the monotonic time of its arrival
        self._meter = Meter(name, False, model=f"{self.profile.manufacturer} {self.profile.model}")
        self._health: tuple[str, str] = ("", "")
        self._failures = 0  # to connect, or to get any answer, one after the other

    async def run(self, hub: Hub) -> None:
        """Until cancelled. Reconnects by itself, with back-off and jitter."""
        self._publish_meter(hub, online=False)
        self._report(hub, "starting")
        self.client.hold()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(hub))
                group.create_task(self._keep_reading(hub))
        finally:
            await self.client.release()
            self._publish_meter(hub, online=False)
            self._report(hub, "stopped")

    async def _keep_reading(self, hub: Hub) -> None:
        while True:
            try:
                await self.client.open()
                await self._read_while_connected(hub)
            except LinkError as error:
                self._count(hub)
                hub.count("evcore_modbus_failures_total", connector=self.name)
                self._report(hub, "down", str(error))
                self._publish_meter(hub, online=False)
                first, longest = BACKOFF_S
                await asyncio.sleep(min(longest, first * 2.0**self._failures) * random.uniform(0.5, 1.0))
                self._failures = min(self._failures + 1, 10)

    async def _read_while_connected(self, hub: Hub) -> None:
        """Round after round; raises LinkError when the connection is gone or has become useless."""
        silent = 0
        due = time.monotonic()
        while True:
            answers, wrong = await self._read_round(hub)
            self._count(hub)
            if answers:
                silent = self._failures = 0
                self._publish_meter(hub, online=True)
                self._report(hub, "degraded" if wrong else "up", wrong)
            else:
                silent += 1
                self._report(hub, "degraded", wrong)
                if silent >= SILENT_ROUNDS:
                    self._publish_meter(hub, online=False)
                    if self.client.address.framing != "rtu" and self.client.holders == 1:
                        await self.client.close()
                        raise LinkError(wrong)
            # A dead device costs a line its time-outs: where others share the line, it is asked less often.
            dead = silent >= SILENT_ROUNDS and self.client.holders > 1
            due = max(due + self._period * (DEAD_PERIODS if dead else 1), time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _read_round(self, hub: Hub) -> tuple[int, str]:
        """Number of answers, and what was wrong last. A device that is silent is not asked on in this round."""
        answers, wrong = 0, ""
        for step, request in self._requests:
            try:
                data = await self.client.request(request)
            except ModbusException as error:
                answers, wrong = answers + 1, str(error)
            except (ModbusTimeout, InvalidReply) as error:
                return answers, str(error)
            else:
                answers += 1
                self._publish_step(hub, step, data)
        return answers, wrong

    def _publish_step(self, hub: Hub, step: Step, registers: bytes) -> None:
        now_ns, now = time.time_ns(), time.monotonic()
        for point, raw in step.decode(registers):
            if not point.measurand:
                self._note_identity(point, raw)
                continue
            value = point.exact(raw)
            if value is None:
                continue  # the device has no value now: the last one grows stale
            quality = self._judge(hub, point, value, now_ns)
            sample = Sample(
                source=self.name,
                measurand=point.measurand,
                value=float(value),
                unit=point.unit,
                time_ns=now_ns,
                evse=self._evse,
                phase=point.phase,
                location=self._location,
                quality=quality,
                digits=plain(value) if point.counts_up else None,
            )
            self._latest[point.name] = (sample, now)
            hub.publish(sample)

    def _judge(self, hub: Hub, point: ProfilePoint, value: Decimal, now_ns: int) -> Quality:
        guard = self._guards.get(point.name)
        if guard is None:
            return "good"
        good = guard.judge(value, time.monotonic_ns(), point.resolution(value))
        if guard.accepted_jump is not None:
            before, after = guard.accepted_jump
            text = f"{point.measurand} went from {plain(before)} to {plain(after)} Wh and stays there"
            data = {"measurand": point.measurand, "before": plain(before), "after": plain(after)}
            hub.publish(Event(self.name, "meter.jumped", now_ns, self._evse, severity="warning", text=text, data=data))
        return "good" if good else "suspect"

    def _note_identity(self, point: ProfilePoint, raw: Value) -> None:
        if point.name == "serial_number" and raw is not None:
            self._meter = replace(self._meter, serial=str(raw))

    async def _watch(self, hub: Hub) -> None:
        """Publish what has grown old once more, as stale."""
        while True:
            await asyncio.sleep(self._stale_after / 5)
            limit = time.monotonic() - self._stale_after
            for name, (sample, arrived) in list(self._latest.items()):
                if arrived < limit and sample.quality != "stale":
                    stale = replace(sample, quality="stale")
                    self._latest[name] = (stale, arrived)
                    hub.publish(stale)

    # --- how it is ---

    def _publish_meter(self, hub: Hub, *, online: bool) -> None:
        seen = time.time_ns() if online else self._meter.last_seen_ns
        self._meter = replace(self._meter, online=online, last_seen_ns=seen)
        hub.publish(self._meter)

    def _report(self, hub: Hub, state: str, detail: str = "") -> None:
        if (state, detail) != self._health:
            self._health = (state, detail)
            hub.publish(Health(self.name, state, detail, time.time_ns()))  # type: ignore[arg-type]

    def _count(self, hub: Hub) -> None:
        traffic, new = hub.traffic("modbus"), self.client.counters.take()
        traffic.sent += new.sent
        traffic.received += new.answered + new.refused
        traffic.errors += new.invalid
        hub.count("evcore_modbus_timeouts_total", new.timeouts)
        hub.count("evcore_modbus_late_replies_total", new.late)
        hub.count("evcore_modbus_stray_bytes_total", new.stray_bytes)
