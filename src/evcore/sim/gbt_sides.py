"""A side of a GB/T 27930-2015 session, sans-I/O, and the charger: what it says, when, and what it answers.

Source: GB/T 27930-2015, 8 (stages), table 2 (periods) and annex A. Enough to play sessions and their ends against a
listener; what each side must do about a peer that breaks the rules is the work of a real charger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evcore.can.frames import Frame
from evcore.can.gbt27930 import CAR, CHARGER, MESSAGES, decode, encode
from evcore.can.j1939 import Message
from evcore.can.j1939_node import Node
from evcore.sim.gbt_battery import Battery

MS = 1_000_000
SECOND = 1000 * MS
INSULATION_TEST = 1 * SECOND
ERROR_TIME = 5 * SECOND  # how long a side repeats its error message before it gives up
PACKET_GAP = 10 * MS  # as real cars leave between packets

Values = Mapping[str, Any]


@dataclass(slots=True)
class _Repeated:
    values: Callable[[], Values]
    period: int
    due: int
    length: int


class Side:
    """One end of the line. stage: as the observer calls it; "done" when it has nothing more to say."""

    def __init__(self, address: int, peer: int) -> None:
        self.node = Node(address, gap_ns=PACKET_GAP)
        self.stage = "idle"
        self.reason = ""
        self.silent = False
        self._peer = peer
        self._repeated: dict[str, _Repeated] = {}
        self._watched: dict[str, tuple[int, int]] = {}  # message -> (deadline, timeout)
        self._at: list[tuple[int, Callable[[int], None]]] = []
        self._wanted: tuple[Values, str] | None = None  # a stop asked for before there was anything to stop

    def receive(self, frame: Frame, now: int) -> None:
        self.node.receive(frame, now)
        self._hear(now)

    def poll(self, now: int) -> None:
        self._hear(now)
        due, self._at = [item for item in self._at if item[0] <= now], [item for item in self._at if item[0] > now]
        for _, action in due:
            action(now)
        for name, (deadline, _) in list(self._watched.items()):
            if deadline <= now:
                self._watched.clear()
                self.missed(name, now)
                break
        for name, repeated in list(self._repeated.items()):
            if repeated.due <= now:
                repeated.due = max(repeated.due + repeated.period, now + repeated.period // 2)
                self._say(name, repeated.values(), now, repeated.length)

    def to_send(self) -> list[Frame]:
        return self.node.to_send()

    def fall_silent(self, now: int) -> None:
        """Say nothing more, hear nothing more."""
        self.end(now)
        self.silent = True

    def stop(self, now: int, values: Values, reason: str) -> None:
        """End the session; before charging has begun, as soon as it has."""
        if self.stage == "charging":
            self.stage, self.reason = "stopping", reason
            self._watched.clear()
            self.only()
            self.stopping(states(self.stop_message, values), now)
        elif self.stage not in ("stopping", "stopped", "ended", "counted", "error", "done"):
            self._wanted = (values, reason)

    def next_deadline(self) -> int | None:
        due = [item.due for item in self._repeated.values()] + [item[0] for item in self._at]
        due += [deadline for deadline, _ in self._watched.values()]
        transfer = self.node.next_deadline()
        return min(due + ([] if transfer is None else [transfer]), default=None)

    # What the two sides do differently. stop_message: BST or CST.

    stop_message = ""

    def heard(self, name: str, values: Values, now: int) -> None:
        raise NotImplementedError

    def missed(self, name: str, now: int) -> None:
        raise NotImplementedError

    def stopping(self, values: Values, now: int) -> None:
        raise NotImplementedError

    def every(self, name: str, values: Callable[[], Values], now: int, *, length: int = 0) -> None:
        """Say this message now and then in its period."""
        period = MESSAGES[name].period_ms * MS
        if name in self._repeated:
            self._repeated[name].values = values
        else:
            self._repeated[name] = _Repeated(values, period, now, length)

    def only(self, *names: str) -> None:
        """Fall silent about everything else."""
        self._repeated = {name: item for name, item in self._repeated.items() if name in names}

    def watch(self, name: str, timeout: int, now: int) -> None:
        self._watched[name] = (now + timeout, timeout)

    def after(self, delay: int, now: int, action: Callable[[int], None]) -> None:
        self._at.append((now + delay, action))

    def give_up(self, message: str, late: str, now: int) -> None:
        """Say CEM or BEM about the message that did not come, for a while."""
        self.stage, self.reason = "error", self.reason or f"timeout: {late}"
        self.node = Node(self.node.address, gap_ns=PACKET_GAP)  # nobody is there to take what still waits
        self.only()
        self._at.clear()
        self.every(message, lambda: states(message, {late: "yes"}), now)
        self.after(ERROR_TIME, now, self.end)

    def end(self, now: int) -> None:
        self.node = Node(self.node.address, gap_ns=PACKET_GAP)
        self.only()
        self._watched.clear()
        self._at.clear()
        self.stage = "done"

    def _hear(self, now: int) -> None:
        for event in self.node.poll(now):
            if isinstance(event, Message):
                for name, layout in MESSAGES.items():
                    if layout.pgn == event.pgn and not self.silent:
                        if name in self._watched:
                            self.watch(name, self._watched[name][1], now)
                        self.heard(name, decode(name, event.data), now)

    def _say(self, name: str, values: Values, now: int, length: int = 0) -> None:
        layout = MESSAGES[name]
        data = encode(name, values, length=length)
        self.node.send(layout.pgn, data, now, destination=self._peer, priority=layout.priority)


def states(name: str, values: Values) -> Values:
    """All states of a message that are not in `values` as "no" or "normal"."""
    quiet = {field.name: field.words[0] for field in MESSAGES[name].fields if field.words and 0 in field.words}
    return {**quiet, **values}


class Charger(Side):
    """max_*: what it can deliver. limit_w: what it may, changed at will."""

    def __init__(
        self,
        battery: Battery,
        *,
        max_voltage_v: float,
        max_current_a: float,
        max_power_w: float,
        speed: float,
        number: int,
    ) -> None:
        super().__init__(CHARGER, CAR)
        self.max_voltage_v, self.max_current_a, self.limit_w = max_voltage_v, max_current_a, max_power_w
        self.voltage_v = self.current_a = self.energy_wh = 0.0
        self._battery, self._speed, self._number = battery, speed, number
        self._demand_a, self._allowed = 0.0, True
        self._began = self._then = 0
        self._minutes = 0

    def start(self, now: int) -> None:
        self.stage = "handshake"
        self.every("CHM", lambda: {"version": "1.1"}, now)
        self.watch("BHM", 5 * SECOND, now)

    stop_message = "CST"

    def stopping(self, values: Values, now: int) -> None:
        self._output(now, 0.0)
        self.every("CST", lambda: values, now)
        self.watch("BST", 5 * SECOND, now)

    def fall_silent(self, now: int) -> None:
        self._output(now, 0.0)
        super().fall_silent(now)

    def heard(self, name: str, values: Values, now: int) -> None:
        if name == "BHM" and self.stage == "handshake":
            self.stage = "insulation"
            self._watched.clear()
            self.after(INSULATION_TEST, now, self._recognise)
        elif name == "BRM" and self.stage == "recognition":
            self._watched.pop("BRM", None)
            self.watch("BCP", 5 * SECOND, now)
            self.every("CRM", lambda: {"recognised": "yes", "charger_number": self._number}, now)
        elif name == "BCP" and self.stage == "recognition":
            self._configure(now)
        elif name == "BRO" and values.get("ready") == "yes" and self.stage == "configuration":
            self.only()
            self._watched.clear()
            self.every("CRO", lambda: {"ready": "yes"}, now)
            self.watch("BCL", 5 * SECOND, now)
        elif name == "BCL" and self.stage in ("configuration", "charging"):
            self._demanded(values, now)
        elif name == "BSM":
            self._allowed = values.get("allowed") != "no"
        elif name == "BST":
            self._watched.clear()
            if self.stage == "configuration":
                self.stage = "charging"  # the car stops with its first word of it
            self.stop(now, {"car_stopped": "yes"}, "the car stopped")
        elif name == "BSD" and self.stage == "stopping":
            self.stage = "ended"
            self.only()
            self.every("CSD", self._account, now)
            self.after(SECOND, now, self.end)
        elif name == "BEM":
            self._output(now, 0.0)
            self.reason = self.reason or "the car gave up"
            self.end(now)

    def missed(self, name: str, now: int) -> None:
        self._output(now, 0.0)
        if name == "BHM":  # no car: there is nobody to say it to
            self.reason = "timeout: BHM"
            self.end(now)
        else:
            self.give_up("CEM", name, now)

    def _recognise(self, now: int) -> None:
        self.stage = "recognition"
        self.only()
        self.every("CRM", lambda: {"recognised": "no", "charger_number": self._number}, now)
        self.watch("BRM", 5 * SECOND, now)

    def _configure(self, now: int) -> None:
        self.stage = "configuration"
        self.only()
        self._watched.clear()
        self.watch("BRO", 60 * SECOND, now)
        self.every("CTS", lambda: {}, now)
        limits = {
            "max_voltage_v": self.max_voltage_v,
            "min_voltage_v": 50.0,
            "max_current_a": -self.max_current_a,
            "min_current_a": 0.0,
        }
        self.every("CML", lambda: limits, now)

    def _demanded(self, values: Values, now: int) -> None:
        if self.stage == "configuration":
            self.stage, self._began, self._then = "charging", now, now
            self.only()
            self.every("CCS", lambda: self._delivered(), now, length=8)
            self.watch("BCL", SECOND, now)
            self.watch("BCS", 5 * SECOND, now)
            if self._wanted is not None:
                self.stop(now, *self._wanted)
                return
        self._demand_a = -(values.get("current_a") or 0.0)
        wanted = min(self._demand_a, self.max_current_a, self.limit_w / max(self._battery.voltage_v, 1.0))
        self._output(now, wanted if self._allowed else 0.0)

    def _output(self, now: int, current_a: float) -> None:
        """Account for the current that flowed until now, then let this one flow."""
        seconds = (now - self._then) / SECOND * self._speed if self._then else 0.0
        self.energy_wh += self._battery.charge(self.current_a, seconds)
        self._minutes = min(600, round((now - self._began) / SECOND * self._speed / 60)) if self._began else 0
        self._then = now if self.stage == "charging" else 0
        self.current_a = self._battery.current_a = max(current_a, 0.0)
        self.voltage_v = self._battery.voltage_v

    def _delivered(self) -> Values:
        return {
            "voltage_v": self.voltage_v,
            "current_a": -self.current_a,
            "elapsed_min": self._minutes,
            "allowed": "yes" if self._allowed else "no",
        }

    def _account(self) -> Values:
        energy = min(self.energy_wh / 1000, 6553.4)
        return {"elapsed_min": self._minutes, "energy_kwh": energy, "charger_number": self._number}
