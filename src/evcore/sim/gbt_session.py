"""A whole GB/T 27930-2015 charging session, charger and car, on one CAN bus."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from evcore.can.bus import CanBus
from evcore.can.frames import Frame
from evcore.sim.gbt_battery import Battery
from evcore.sim.gbt_car import Car
from evcore.sim.gbt_sides import Charger

_STEP = 100_000_000  # ns that the play goes on at most at once


class GbtPlay:
    """Both sides, sans-I/O: `poll(now)`, `to_send()`, `next_deadline()`. Each hears what the other sends."""

    def __init__(
        self,
        battery: Battery | None = None,
        *,
        vin: str = "LEVCRE00000000517",
        speed: float = 1.0,
        max_power_w: float = 60_000.0,
        max_voltage_v: float = 750.0,
        max_current_a: float = 200.0,
        charger_number: int = 1,
    ) -> None:
        self.battery = battery or Battery()
        self.car = Car(self.battery, vin=vin)
        self.charger = Charger(
            self.battery,
            max_voltage_v=max_voltage_v,
            max_current_a=max_current_a,
            max_power_w=max_power_w,
            speed=speed,
            number=charger_number,
        )
        self._frames: list[Frame] = []
        self._started = False

    @property
    def done(self) -> bool:
        """Neither side has anything more to say."""
        return self.charger.stage == self.car.stage == "done"

    def receive(self, frame: Frame, now: int) -> None:
        """Others on the bus are not listened to."""

    def poll(self, now: int) -> list[Any]:
        """Let both sides do what is due."""
        if not self._started:
            self._started = True
            self.charger.start(now)
        if self.battery.full:
            reached = "soc_reached" if self.battery.soc >= self.battery.target_soc else "voltage_reached"
            self.car.stop(now, {reached: "yes"}, "full")
        self.charger.poll(now)
        self.car.poll(now)
        while True:
            said, answered = self.charger.to_send(), self.car.to_send()
            if not said and not answered:
                return []
            self._frames += said + answered
            for frame in said:
                self.car.receive(frame, now)
            for frame in answered:
                self.charger.receive(frame, now)

    def to_send(self) -> list[Frame]:
        frames, self._frames = self._frames, []
        return frames

    def next_deadline(self) -> int | None:
        due = [side.next_deadline() for side in (self.charger, self.car)]
        return min((deadline for deadline in due if deadline is not None), default=None)


class GbtSession:
    """Plays a session on a python-can bus. interface, channel, options: python-can's; "virtual" stays in the process.

    battery: its state when the car is plugged in. speed: how much faster than real it fills; the messages keep their
    periods. pace: how much faster everything goes, messages too (tests). max_*: the charger's.
    charging: set once current flows. energy_wh, power_w(): what the charger delivers, for a simulated DC station.
    """

    def __init__(
        self,
        channel: str | int,
        *,
        interface: str = "virtual",
        battery: Battery | None = None,
        vin: str = "LEVCRE00000000517",
        speed: float = 1.0,
        pace: float = 1.0,
        max_power_w: float = 60_000.0,
        max_voltage_v: float = 750.0,
        max_current_a: float = 200.0,
        charger_number: int = 1,
        **options: Any,
    ) -> None:
        if speed <= 0 or pace <= 0:
            raise ValueError(f"speed and pace: expected more than 0, got {speed} and {pace}")
        self._play = GbtPlay(
            battery,
            vin=vin,
            speed=speed,
            max_power_w=max_power_w,
            max_voltage_v=max_voltage_v,
            max_current_a=max_current_a,
            charger_number=charger_number,
        )
        self._bus = CanBus(interface, channel, transmit=True, limit=1, **options)
        self._pace = pace
        self._clock, self._then = 0, time.monotonic_ns()
        self._wake = asyncio.Event()
        self.charging = asyncio.Event()

    @property
    def battery(self) -> Battery:
        return self._play.battery

    @property
    def stage(self) -> str:
        """Of the charger: idle, handshake, insulation, recognition, configuration, charging, stopping, ended, error or
        done."""
        return self._play.charger.stage

    @property
    def energy_wh(self) -> float:
        """Delivered since the start."""
        return self._play.charger.energy_wh

    @property
    def limit_w(self) -> float:
        """What the charger may deliver; set it at will."""
        return self._play.charger.limit_w

    @limit_w.setter
    def limit_w(self, watts: float) -> None:
        self._play.charger.limit_w = max(watts, 0.0)

    def power_w(self) -> float:
        """Delivered now."""
        return self._play.charger.voltage_v * self._play.charger.current_a

    async def run(self) -> str:
        """Play to the end; the result is its reason: "manual", "full", a fault's name, "timeout: CCS", ...

        Raises LinkError: the bus cannot be opened, or refuses a frame.
        """
        play = self._play
        async with self._bus as bus:
            while True:
                play.poll(self._now())
                for frame in play.to_send():
                    bus.send(frame)
                if play.charger.stage == "charging" and play.charger.current_a > 0:
                    self.charging.set()
                if play.done:
                    break
                await self._sleep(play.next_deadline())
        return next((side.reason for side in (play.charger, play.car) if _own(side.reason)), play.charger.reason)

    def stop(self, reason: str = "manual") -> None:
        """The charger ends the session. reason: "manual", "target_reached", or a fault of CST, as "emergency_stop"."""
        kind = {"manual": "yes", "target_reached": "yes"}.get(reason)
        values = {reason: kind} if kind else {"fault": "yes", reason: "fault"}
        self._play.charger.stop(self._now(), values, reason)
        self._wake.set()

    def stop_car(self, reason: str = "soc_reached") -> None:
        """The car ends the session. reason: "soc_reached", "voltage_reached", or a fault of BST, as "insulation"."""
        kind = "yes" if reason.endswith("_reached") else "fault"
        self._play.car.stop(self._now(), {reason: kind}, reason)
        self._wake.set()

    def go_silent(self, side: str) -> None:
        """From now on "charger" or "car" says nothing more; the other one will notice."""
        {"charger": self._play.charger, "car": self._play.car}[side].fall_silent(self._now())
        self._wake.set()

    def _now(self) -> int:
        """The time of the play. It stands still while the process does: neither side is to blame for that."""
        then, self._then = self._then, time.monotonic_ns()
        self._clock += min(round((self._then - then) * self._pace), _STEP)
        return self._clock

    async def _sleep(self, until: int | None) -> None:
        """Until then, or until somebody interferes."""
        seconds = None if until is None else max(until - self._now(), 0) / 1e9 / self._pace
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()


def _own(reason: str) -> bool:
    """A reason of its own, not that the other side had one."""
    return bool(reason) and not reason.startswith("the ")
