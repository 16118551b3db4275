"""The master's rules of an exchange: what goes on the wire when, and which bytes answer it. Sans-I/O, time is an
argument. Which request goes next, and whether it is tried again, is decided above, in bus.py.

What a device does wrong is an event. A reply is matched to its request by all that the protocol offers: transaction id,
unit, function, byte count, echoed fields, CRC.

TCP: up to `window` requests are under way and answered in any order. "auto" begins with one, doubles as long as all
replies come, and goes back to one for good with the first that does not: many devices answer only the last of a burst.

Serial: a frame carries no transaction id. After a timeout the line is drained for as long as this unit has ever taken
to answer; until the quarantine ends, or the late reply was heard, the unit is only asked what a late reply cannot be
mistaken for: another function, another count or, for a write, another echo. Other units are asked meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple

from evcore.core.modbus import Request, tcp_size
from evcore.errors import EvcoreError, FrameError, InvalidReply, LinkError, ModbusException, ModbusTimeout
from evcore.modbus.units import SECOND, Unit

Framing = Literal["tcp", "rtu", "rtu+tcp"]
Window = int | Literal["auto"]

TURNAROUND_NS = SECOND // 10  # after a broadcast; Serial Line V1.02, 2.4.1: typically 100 to 200 ms
WINDOW_MAX = 16  # Messaging Guide 1.0b, 4.4.1.2: NumberMaxOfClientTransaction
_HEARD_MAX = 2048  # bytes kept of one reply and the noise around it
_REFUSAL_SIZE = 5
_LATE_MAX = 1000  # transaction ids back that still count as our own
_OWED_MAX = 64  # replies that may still come; where more are, the line waits for the oldest
_PROVEN = 2  # full windows without a loss before a wider one is tried
_PLAIN_MAX = 8  # replies without a local echo that prove that there is none
_READS = frozenset((1, 2, 3, 4, 7, 11, 12, 17, 20, 24, 43))  # change nothing, so their order does not matter
_WRITES = frozenset((5, 6, 15, 16, 21, 22))  # may be broadcast; the reply repeats what was asked
_MIRRORED = frozenset((5, 6, 8, 22))  # the reply is the request itself


class Answered(NamedTuple):
    """data: register bytes, bit bytes, or the echo of a write; empty for a broadcast."""

    id: int
    request: Request
    data: bytes


class Failed(NamedTuple):
    """error: ModbusException (the device refused), InvalidReply (what came was no answer), ModbusTimeout, LinkError.
    crowded: others were under way, and that may be why; the window is one from now on."""

    id: int
    request: Request
    error: EvcoreError
    crowded: bool = False


class Broken(NamedTuple):
    """The bytes of a TCP connection have lost their frame boundary: it must be closed."""

    error: FrameError


Event = Answered | Failed | Broken


@dataclass(slots=True)
class Counters:
    """sent, answered: requests, good replies. refused: exceptions. invalid: what came instead of a reply, crc: of these
    with a wrong CRC. late: replies to requests given up, or second ones. stray_bytes: heard on a line, and no reply.
    retries: tries after the first. busy: of these after exception 5 or 6. rejected: failed at once, circuit open."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    invalid: int = 0
    timeouts: int = 0
    late: int = 0
    stray_bytes: int = 0
    crc: int = 0
    retries: int = 0
    busy: int = 0
    rejected: int = 0
    _taken: Counters | None = None

    def take(self) -> Counters:
        """What was counted since the last call, whoever called."""
        before = self._taken or Counters()
        self._taken = now = replace(self, _taken=None)
        names = [one.name for one in fields(self) if one.name != "_taken"]
        return Counters(**{name: getattr(now, name) - getattr(before, name) for name in names})


class _Call:
    """One request under way. wrong: what came instead of its reply. echoed: its local echo was heard."""

    __slots__ = ("broadcast", "crowded", "deadline", "echoed", "frame", "id", "request", "sent", "unit", "wrong")

    def __init__(self, id: int, request: Request, unit: Unit, sent: int, deadline: int, frame: bytes) -> None:
        self.id, self.request, self.unit, self.frame = id, request, unit, frame
        self.sent, self.deadline = sent, deadline
        self.broadcast = self.crowded = self.echoed = False
        self.wrong: InvalidReply | None = None


class _Owed(NamedTuple):
    """A serial reply that was given up and may still come."""

    request: Request
    unit: Unit
    sent: int
    until: int
    shape: object


def char_ns(baudrate: int) -> int:
    """One character on the line: 11 bits (Serial Line V1.02, 2.5.1)."""
    return 11 * SECOND // baudrate


def silence_ns(baudrate: int) -> int:
    """t3.5, the silence between frames; above 19200 baud fixed at 1.75 ms (Serial Line V1.02, 2.5.1.1)."""
    return 1_750_000 if baudrate > 19200 else 77 * SECOND // (2 * baudrate)


def shape(request: Request) -> object:
    """All by which serial replies differ from one another but their data: equal shapes can be mistaken."""
    if request.function in _WRITES:
        return request.pdu if request.function in (21, 22) else request.pdu[:5]
    return request.function, request.reply_size


def check_window(window: Window) -> None:
    """Raises ValueError."""
    if window != "auto" and not (isinstance(window, int) and 1 <= window <= WINDOW_MAX):
        raise ValueError(f'window: expected 1..{WINDOW_MAX} or "auto", got {window!r}')


class Master:
    """baudrate: of a serial line ("rtu"). timeout_s: from the last byte of the request to the last of the reply, the
    time that these bytes need on a serial line not counted. window: requests under way at once, TCP only. quarantine_s:
    see above; None: as long as the timeout. echo: does the line repeat what is sent, as many RS-485 adapters do; None:
    found out from reads. units: what is known of each device; shared with the bus. Raises ValueError."""

    def __init__(
        self,
        framing: Framing = "tcp",
        *,
        baudrate: int = 9600,
        timeout_s: float = 1.0,
        window: Window = "auto",
        quarantine_s: float | None = None,
        echo: bool | None = None,
    ) -> None:
        if framing not in ("tcp", "rtu", "rtu+tcp"):
            raise ValueError(f"framing: expected tcp, rtu or rtu+tcp, got {framing!r}")
        if baudrate < 50 or not timeout_s > 0:
            raise ValueError(f"expected baudrate >= 50 and timeout_s > 0, got {baudrate} and {timeout_s}")
        check_window(window)
        self.framing = framing
        self.counters = Counters()
        self.units: dict[int, Unit] = {}
        self.window = window if isinstance(window, int) and framing == "tcp" else 1
        self._busy = 0  # ns with a request under way
        self._tcp = framing == "tcp"
        self._auto = self._probing = window == "auto" and self._tcp
        self._proven = 0
        self._char = char_ns(baudrate) if framing == "rtu" else 0
        self._silence = silence_ns(baudrate) if framing == "rtu" else 0
        self._timeout = round(timeout_s * SECOND)
        self._quarantine = round((timeout_s if quarantine_s is None else quarantine_s) * SECOND)
        self._calls: dict[int, _Call] = {}  # under way, by transaction id; serial: one
        self._since = 0  # when the first of them went out
        self._owed: list[_Owed] = []
        self._heard = bytearray()  # since the request went out; TCP: what is not a whole frame yet
        self._scanned = 0  # bytes of it in which no reply can begin
        self._echo, self._echo_given, self._plain = bool(echo), echo is not None, 0
        self._free = 0  # when the line may be used again
        self._ids = self._transactions = self._now = 0
        self._events: list[Event] = []
        self._out: list[bytes] = []

    @property
    def full(self) -> bool:
        """Nothing more may be sent before a request under way has ended."""
        return len(self._calls) >= self.window

    def busy(self, now: int) -> int:
        """ns until now with a request under way."""
        return self._busy + (max(0, now - self._since) if self._calls else 0)

    def unit(self, number: int) -> Unit:
        unit = self.units.get(number)
        if unit is None:
            unit = self.units[number] = Unit(self._timeout)
        return unit

    def ready(self, request: Request) -> int | None:
        """When it may be sent; None: not before a request under way has ended."""
        calls = self._calls
        if len(calls) >= self.window:
            return None
        if calls:  # what changes something is never under way together with another request to its unit
            lone = request.function not in _READS
            for call in calls.values():
                if call.request.unit == request.unit and (lone or call.request.function not in _READS):
                    return None
        return self._after_owed(request) if self._owed else self._free

    def check(self, request: Request) -> bool:
        """Is it a broadcast? Raises ValueError (a read from all units of a serial line)."""
        if self._tcp or request.unit != 0:
            return False
        if request.function not in _WRITES:
            raise ValueError(f"unit: expected 1..255 for a read, got 0, {request!r}")
        return True

    def submit(self, request: Request, now: int, id: int | None = None) -> int:
        """Send it now, which `ready` must allow; the id that its event will carry. Raises LinkError (not ready),
        ValueError (a read from all units of a serial line)."""
        broadcast = self.check(request)
        if now > self._now:
            self._now = now
        now = self._now
        at = self.ready(request)
        if at is None or at > now:
            raise LinkError("the line is not free yet")
        if id is None:
            self._ids = id = self._ids + 1
        unit = self.unit(request.unit)
        calls = self._calls
        if self._tcp:
            self._transactions = key = self._transactions % 65535 + 1  # never 0: some devices answer all with 0
            frame = request.to_tcp(key)
            call = _Call(id, request, unit, now, now + unit.timeout, frame)
            if calls:
                call.crowded = True
                if len(calls) == 1:
                    next(iter(calls.values())).crowded = True
        else:
            key = 0
            frame = request.to_rtu()
            wire = self._char * len(frame)
            wait = TURNAROUND_NS if broadcast else unit.timeout + self._char * request.reply_size
            call = _Call(id, request, unit, now, now + wire + wait, frame)
            call.broadcast = broadcast
            self._free = now + wire + self._silence
            self._heard.clear()
            self._scanned = 0
        if not calls:
            self._since = now
        calls[key] = call
        self.counters.sent += 1
        self._out.append(frame)
        return id

    def receive(self, data: bytes, now: int) -> None:
        if now > self._now:
            self._now = now
        if self._tcp:
            self._receive_tcp(data)
            return
        self._free = max(self._free, self._now + self._silence)
        call = self._calls.get(0)
        self._heard += data
        if call is not None and not call.broadcast:
            self._receive_rtu(call, last=False)
            return
        self.counters.stray_bytes += len(data)
        self._drain()
        if not self._owed:
            self._heard.clear()

    def poll(self, now: int) -> list[Event]:
        """Everything that happened up to `now`, in order. Late or repeated calls are harmless."""
        if now > self._now:
            self._now = now
        if self._calls:
            for key, call in list(self._calls.items()):
                if self._now >= call.deadline:
                    self._expire(key, call)
        events, self._events = self._events, []
        return events

    def to_send(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> int | None:
        if self._events:
            return self._now
        return min((call.deadline for call in self._calls.values()), default=None)

    def lost(self, now: int, why: str) -> None:
        """The connection or port is gone: all under way fails with LinkError; a new one begins clean."""
        self._now = max(self._now, now)
        if self._probing and self.window > 1 and len(self._calls) > 1 and self._proven == 0:
            self._fall_back()  # some devices hang up on the second request
        for key, call in list(self._calls.items()):
            self._end(key)
            self._events.append(Failed(call.id, call.request, LinkError(why)))
        self._heard.clear()
        self._out.clear()

    def hold(self, until: int) -> None:
        """Send nothing before."""
        self._free = max(self._free, until)

    # --- TCP ---

    def _receive_tcp(self, data: bytes) -> None:
        if self._heard:
            self._heard += data
            data = bytes(self._heard)
            self._heard.clear()
        try:
            size = tcp_size(data)
            if size == len(data):
                self._judge_tcp(data)
                return
            view = memoryview(data)
            while size:
                self._judge_tcp(view[:size])
                view = view[size:]
                size = tcp_size(view)
            self._heard += view
        except FrameError as error:
            self.counters.invalid += 1
            self._events.append(Broken(error))

    def _judge_tcp(self, adu: bytes | memoryview) -> None:
        got = adu[0] << 8 | adu[1]
        call = self._calls.get(got)
        if call is None:
            age = (self._transactions - got) % 65535  # of the request that it answers, in requests
            late = got != 0 and age < min(self.counters.sent, _LATE_MAX)
            self.counters.late += late
            self.counters.invalid += not late
            if not late:
                for expected, waiting in self._calls.items():
                    waiting.wrong = InvalidReply("transaction", expected, got)
            return
        try:
            data = call.request.check_tcp(adu, got)
        except ModbusException as error:
            self._answer(got, call, error)
        except InvalidReply as error:
            self._end(got)
            self._fail(call, error)
        else:
            self._answer(got, call, data)

    def _widen(self, took: int) -> None:
        """The oldest of a full window has been answered, so none before it is lost. After enough of these a wider one
        is tried, but not where the device is that slow."""
        self._proven += 1
        if self._proven >= _PROVEN * self.window and 4 * took < self._timeout:
            self.window, self._proven = min(2 * self.window, WINDOW_MAX), 0

    def _fall_back(self) -> None:
        self.window, self._probing = 1, False

    # --- serial ---

    def _receive_rtu(self, call: _Call, *, last: bool) -> None:
        heard = self._heard
        if len(heard) > _HEARD_MAX:
            excess = len(heard) - _HEARD_MAX // 2
            del heard[:excess]
            self._scanned = max(0, self._scanned - excess)
        if self._echo and not call.echoed and call.request.function in _MIRRORED:
            at = heard.find(call.frame)
            if at < 0:
                return
            call.echoed = True
            self._scanned = at + len(call.frame)
        while True:
            used, outcome = call.request.find(memoryview(heard)[self._scanned :], last)
            self._scanned += used
            if outcome is None:
                return
            if isinstance(outcome, bytes) or not self._refusal_of_another(call):
                break
        frame = call.request.reply_size if isinstance(outcome, bytes) else _REFUSAL_SIZE
        self._learn_echo(call)
        self.counters.stray_bytes += max(0, len(heard) - frame - (len(call.frame) if call.echoed else 0))
        self._drain()
        self._answer(0, call, outcome)

    def _learn_echo(self, call: _Call) -> None:
        """A local echo is what we sent, before any reply; only where the reply could not be that itself."""
        if call.request.function in _MIRRORED:
            return
        call.echoed = self._heard.find(call.frame) >= 0
        if self._echo_given:
            return
        self._plain = 0 if call.echoed else self._plain + 1
        if call.echoed:
            self._echo = True
        elif self._plain >= _PLAIN_MAX:
            self._echo = False

    def _after_owed(self, request: Request) -> int:
        """When the line is free for it and no late reply can be taken for its own."""
        self._owed = [owed for owed in self._owed if owed.until > self._now]
        at, wanted = self._free, shape(request)
        for owed in self._owed:
            if owed.request.unit == request.unit and owed.shape == wanted:
                at = max(at, owed.until)
        return at if len(self._owed) < _OWED_MAX else max(at, self._owed[0].until)

    def _owe(self, call: _Call) -> None:
        """Its reply may still come: drain the line for as long as this unit has ever taken, within reason."""
        worst = min(call.unit.worst, 2 * (call.deadline - call.sent))
        self._free = max(self._free, call.sent + worst)
        until = max(self._now + self._quarantine, self._free)
        if until > self._now:
            self._owed.append(_Owed(call.request, call.unit, call.sent, until, shape(call.request)))

    def _drain(self) -> None:
        """Late replies among what was heard: counted, measured, and no longer owed."""
        for owed in list(self._owed):
            _, outcome = owed.request.find(self._heard, False)
            if outcome is not None:
                self._pay(owed)

    def _pay(self, owed: _Owed) -> None:
        self.counters.late += 1
        owed.unit.late += 1
        owed.unit.worst = max(owed.unit.worst, self._now - owed.sent)
        self._owed.remove(owed)
        if not self._calls:
            self._free = self._now + self._silence
            self._heard.clear()

    def _refusal_of_another(self, call: _Call) -> bool:
        """A refusal says only the function: where another request of that is owed a reply, it is taken for that one's,
        and ours is asked again."""
        for owed in self._owed:
            theirs, ours = owed.request, call.request
            if owed.until > self._now and (theirs.unit, theirs.function) == (ours.unit, ours.function):
                if theirs.pdu == ours.pdu:
                    return False
                self._pay(owed)
                return True
        return False

    def _diagnose(self, call: _Call) -> InvalidReply | None:
        """What was wrong with the bytes heard instead of a reply, taken as one frame; an echo is none."""
        heard = bytes(self._heard)
        if heard.startswith(call.frame) and (self._echo or call.request.function not in _MIRRORED):
            heard = heard[len(call.frame) :]
        self.counters.stray_bytes += len(heard)
        if not heard:
            return None
        try:
            call.request.check(heard)
        except InvalidReply as error:
            return error
        except ModbusException:
            return None  # another's, or it would have been found
        return None

    # --- the end of an exchange ---

    def _end(self, key: int) -> None:
        del self._calls[key]
        if not self._calls:
            self._busy += self._now - self._since

    def _answer(self, key: int, call: _Call, outcome: bytes | ModbusException) -> None:
        took = self._now - call.sent
        if self._probing and len(self._calls) >= self.window < WINDOW_MAX and next(iter(self._calls)) == key:
            self._widen(took)
        self._end(key)
        if isinstance(outcome, bytes):
            self.counters.answered += 1
            call.unit.answered += 1
            self._events.append(Answered(call.id, call.request, outcome))
        else:
            self.counters.refused += 1
            call.unit.refused += 1
            self._events.append(Failed(call.id, call.request, outcome))
        if not call.broadcast:
            call.unit.measure(took)

    def _fail(self, call: _Call, wrong: InvalidReply) -> None:
        self.counters.invalid += 1
        self.counters.crc += wrong.reason == "crc"
        call.unit.invalid += 1
        self._events.append(Failed(call.id, call.request, wrong))

    def _expire(self, key: int, call: _Call) -> None:
        if call.broadcast:
            self._answer(key, call, b"")
            return
        if not self._tcp:
            self._receive_rtu(call, last=True)
            if not self._calls:
                return
            self._drain()
            call.wrong = self._diagnose(call)
            self._heard.clear()
            self._end(key)
            self._owe(call)
        else:
            self._end(key)
        self.counters.timeouts += 1
        call.unit.timeouts += 1
        crowded = call.crowded and self._auto
        if crowded:
            self._fall_back()
        if call.wrong is not None:
            self._fail(call, call.wrong)
            return
        request = call.request
        error = ModbusTimeout(
            f"no reply within {call.unit.timeout / SECOND:g} s: unit {request.unit}, function {request.function}, "
            f"address {request.address}"
        )
        self._events.append(Failed(call.id, request, error, crowded))
