"""Listens to a charger and a car that speak GB/T 27930, and tells what happens; it never sends.

Sans-I/O: `receive(frame, now)`, `poll(now)`, `next_deadline()`; now is monotonic ns. Whatever comes over the bus is an
event: nothing raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from evcore.can.frames import EXTENDED, Frame
from evcore.can.gbt27930 import codec, events, stages
from evcore.can.gbt27930.codec import Value
from evcore.can.gbt27930.events import Event, Side, Stage, StageChanged, Stopped, Violation
from evcore.can.gbt27930.messages import BY_PGN, CAR, CHARGER, DIAGNOSTIC, MESSAGES, NEGOTIATION, Layout
from evcore.can.gbt27930.reading import EVENT_OF, faults, stop_reasons, timed_out
from evcore.can.j1939 import Listener, Message, TransferFault

SECOND = 1_000_000_000
SILENCE = 10 * SECOND  # of both sides: the session is over (2015, 10.2: the longest wait within one)
SILENCE_AFTER_ERROR = 30 * SECOND  # the wait for a new CRM
# GB/T 27930-2015, 8.4 and annex A: what must come again while charging.
CHARGING_TIMEOUTS = {"BCL": 1 * SECOND, "CCS": 1 * SECOND, "BCS": 5 * SECOND}
_REMEMBERED = 256  # reports that are made once a session


class Observer:
    """One charger and one car. stage, vin: as heard so far.

    Violations of one kind by one message are told once a stage, "length" and "range" once a session; transfers that
    break are told each time.
    """

    def __init__(self) -> None:
        self.stage: Stage = "idle"
        self.vin = ""
        self._listener = Listener(max_transfers=16)
        self._events: deque[Event] = deque(maxlen=10_000)
        self._deadlines: dict[str, int] = {}  # message -> when it must have come again
        self._silent_at: int | None = None
        self._now = 0
        self._heard = (0, 0)  # (now, time_ns) of the last frame
        self._stopped = False
        self._faults: dict[tuple[Side, str], None] = {}
        self._timeouts: dict[Side, tuple[str, ...]] = {}
        self._told: dict[tuple[str, str], None] = {}

    def receive(self, frame: Frame, now: int) -> None:
        """Take one frame; those of other stations on the bus are ignored."""
        self._now = max(self._now, now)
        if frame.id >> 29 != EXTENDED >> 29 or not {frame.id & 0xFF, frame.id >> 8 & 0xFF} <= {CHARGER, CAR}:
            return
        self._run_timers()
        self._heard = (self._now, frame.time_ns)
        self._listener.receive(frame, self._now)
        self._take(self._listener.poll(self._now))

    def poll(self, now: int) -> list[Event]:
        """What happened, in order; late or repeated calls are harmless."""
        self._now = max(self._now, now)
        self._run_timers()
        happened = list(self._events)
        self._events.clear()
        return happened

    def next_deadline(self) -> int | None:
        """When `poll` has to be called at the latest."""
        due = [*self._deadlines.values(), self._silent_at, self._listener.next_deadline()]
        return min((deadline for deadline in due if deadline is not None), default=None)

    # What comes in

    def _take(self, heard: list[Message | TransferFault]) -> None:
        for item in heard:
            if isinstance(item, TransferFault):
                name = BY_PGN[item.pgn].name if item.pgn in BY_PGN else f"{item.pgn:04X}" if item.pgn else "TP"
                self._violation("transfer", name, f"{item.kind}: {item.detail}")
            else:
                self._message(item)

    def _message(self, message: Message) -> None:
        layout = BY_PGN.get(message.pgn)
        if layout is None:
            self._foreign(message)
        elif (message.source, message.destination) != (layout.source, layout.destination):
            self._once("direction", layout.name, f"from {message.source:02X} to {message.destination:02X}")
        else:
            self._known(layout, message.data)

    def _foreign(self, message: Message) -> None:
        name = DIAGNOSTIC.get(message.pgn)
        if message.pgn in NEGOTIATION:
            self._once(
                "unknown", f"{message.pgn:04X}", "version negotiation of GB/T 27930-2023, which is not spoken here"
            )
        elif name is not None:
            self._once("unknown", name, f"diagnostic message, {message.data.hex()}")
        else:
            self._once("unknown", f"{message.pgn:04X}", f"no such message, {message.data.hex()}")

    def _known(self, layout: Layout, data: bytes) -> None:
        name = layout.name
        values = codec.decode(name, data)
        self._move(f"CRM({'AA' if values.get('recognised') == 'yes' else '00'})" if name == "CRM" else name)
        self._silent_at = self._now + (SILENCE_AFTER_ERROR if self.stage == "error" else SILENCE)
        wrong = codec.length_fault(name, data)
        if wrong:
            self._once("length", name, wrong)
        for field, detail in codec.out_of_range(name, values).items():
            values[field] = None
            self._once("range", name, detail)
        if name in CHARGING_TIMEOUTS and self.stage == "charging":
            self._deadlines[name] = self._now + CHARGING_TIMEOUTS[name]
            self._told.pop(("timeout", name), None)
        self._tell(layout, values)

    def _tell(self, layout: Layout, values: dict[str, Value]) -> None:
        time_ns = self._heard[1]
        make: Callable[[dict[str, Value], int], list[Event]] | None = EVENT_OF.get(layout.name)
        if make is not None:
            made = make(values, time_ns)
            self._events.extend(made)
            for event in made:
                if isinstance(event, events.CarIdentified):
                    self.vin = event.vin
        if layout.name in ("BSM", "BST", "CST"):
            self._states(layout, values)
        if layout.name in ("BST", "CST"):
            self._stop(*stop_reasons(layout.sender, values))
        if layout.name in ("BEM", "CEM"):
            self._late(layout, values)

    # What it means

    def _move(self, message: str) -> None:
        if stages.begins_again(self.stage, message):
            self._begin()
        after = stages.TRANSITIONS.get((self.stage, message))
        if after is None:
            self._once("order", message[:3], f"{message} in stage {self.stage}")
            after = stages.goes_on_from(self.stage, message)
        self._enter(after)

    def _enter(self, stage: Stage) -> None:
        if stage == self.stage:
            return
        before, self.stage = self.stage, stage
        self._events.append(StageChanged(stage, before, self._time()))
        self._told = {key: None for key in self._told if key[0] in ("length", "range")}
        self._deadlines.clear()
        if stage == "charging":
            self._deadlines = dict.fromkeys(CHARGING_TIMEOUTS, self._now + 5 * SECOND)  # 8.4: the first of each

    def _begin(self) -> None:
        """Forget the session before."""
        self._clear_faults()
        self._stopped = False
        self._timeouts.clear()
        self._told.clear()
        self._deadlines.clear()
        self.vin = ""

    def _clear_faults(self) -> None:
        for by, name in self._faults:
            self._events.append(events.Fault(by, name, False, self._time()))
        self._faults.clear()

    def _states(self, layout: Layout, values: dict[str, Value]) -> None:
        """2015, annex C.3: an untrusted state leaves what was before."""
        for name, active in faults(layout, values):
            key: tuple[Side, str] = (layout.sender, name)
            if active == (key in self._faults):
                continue
            if active:
                self._faults[key] = None
            else:
                del self._faults[key]
            self._events.append(events.Fault(layout.sender, name, active, self._time()))

    def _late(self, layout: Layout, values: dict[str, Value]) -> None:
        messages = timed_out(values)
        if self._timeouts.get(layout.sender) != messages:
            self._timeouts[layout.sender] = messages
            self._events.append(events.Timeouts(layout.sender, messages, self._time()))
        self._stop(layout.sender, "timeout", messages)

    def _stop(self, by: Side, reason: str, reasons: tuple[str, ...]) -> None:
        if not self._stopped:
            self._stopped = True
            self._events.append(Stopped(by, reason, reasons, self._time()))

    # Time

    def _run_timers(self) -> None:
        self._take(self._listener.poll(self._now))
        for name in [name for name, deadline in self._deadlines.items() if deadline <= self._now]:
            del self._deadlines[name]
            self._once("timeout", name, f"{MESSAGES[name].sender} sends no {name}")
        if self._silent_at is not None and self._silent_at <= self._now:
            self._silent_at = None
            if self.stage not in ("stopping", "ended", "error"):
                self._stop("", "silence", ())
            self._clear_faults()
            self._enter("idle")

    def _time(self) -> int:
        now, time_ns = self._heard
        return time_ns + self._now - now

    def _once(self, kind: str, message: str, detail: str) -> None:
        if (kind, message) in self._told:
            return
        if len(self._told) >= _REMEMBERED:
            self._told.pop(next(iter(self._told)))
        self._told[kind, message] = None
        self._violation(kind, message, detail)

    def _violation(self, kind: str, message: str, detail: str) -> None:
        self._events.append(Violation(kind, message, detail, self._time()))
