"""The master: one line or connection, one request under way at a time. Sans-I/O, time is an argument.

What a device does wrong is an event. A reply is matched to its request by all that the protocol offers: transaction id,
unit, function, byte count, echoed fields, CRC. A serial frame carries no transaction id, so after a timeout the unit is
left alone for `quarantine_s`: a late reply falls into that time and is drained, never taken for the answer to
another request. Requests to other units go on meanwhile.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields, replace
from typing import Literal

from evcore.core.modbus import Request, tcp_size
from evcore.errors import EvcoreError, FrameError, InvalidReply, LinkError, ModbusException, ModbusTimeout

Framing = Literal["tcp", "rtu", "rtu+tcp"]

SECOND = 1_000_000_000
TURNAROUND_NS = SECOND // 10  # after a broadcast; Serial Line V1.02, 2.4.1: typically 100 to 200 ms
_HEARD_MAX = 2048  # bytes kept of one reply and the noise around it
_REFUSAL_SIZE = 5
_LATE_MAX = 1000  # transaction ids back that still count as our own


@dataclass(frozen=True, slots=True)
class Answered:
    """data: register bytes, bit bytes, or the echo of a write; empty for a broadcast."""

    id: int
    request: Request
    data: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """error: ModbusException (the device refused), InvalidReply (what came was no answer), ModbusTimeout, LinkError."""

    id: int
    request: Request
    error: EvcoreError


@dataclass(frozen=True, slots=True)
class Broken:
    """The bytes of a TCP connection have lost their frame boundary: it must be closed."""

    error: FrameError


Event = Answered | Failed | Broken


@dataclass(slots=True)
class Counters:
    """sent, answered: requests, good replies. invalid: what came instead of a reply. late: replies to requests given
    up. stray_bytes: heard on a line, and no reply."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    invalid: int = 0
    timeouts: int = 0
    late: int = 0
    stray_bytes: int = 0
    _taken: Counters | None = None

    def take(self) -> Counters:
        """What was counted since the last call, whoever called."""
        before = self._taken or Counters()
        self._taken = now = replace(self, _taken=None)
        names = [one.name for one in fields(self) if one.name != "_taken"]
        return Counters(**{name: getattr(now, name) - getattr(before, name) for name in names})


@dataclass(slots=True)
class _Call:
    id: int
    request: Request
    tries_left: int
    transaction: int = 0
    deadline: int = 0
    broadcast: bool = False
    wrong: InvalidReply | None = None


def char_ns(baudrate: int) -> int:
    """One character on the line: 11 bits (Serial Line V1.02, 2.5.1)."""
    return 11 * SECOND // baudrate


def silence_ns(baudrate: int) -> int:
    """t3.5, the silence between frames; above 19200 baud fixed at 1.75 ms (Serial Line V1.02, 2.5.1.1)."""
    return 1_750_000 if baudrate > 19200 else 77 * SECOND // (2 * baudrate)


class Master:
    """baudrate: of a serial line ("rtu"). timeout_s: from the last byte of the request to the last of the reply, the
    time that these bytes need on a serial line not counted. retries: further tries after a timeout or an invalid reply.
    quarantine_s: see above; None: as long as the timeout. limit: requests that may wait. Raises ValueError."""

    def __init__(
        self,
        framing: Framing = "tcp",
        *,
        baudrate: int = 9600,
        timeout_s: float = 1.0,
        retries: int = 1,
        quarantine_s: float | None = None,
        limit: int = 100,
    ) -> None:
        if framing not in ("tcp", "rtu", "rtu+tcp"):
            raise ValueError(f"framing: expected tcp, rtu or rtu+tcp, got {framing!r}")
        if baudrate < 50 or timeout_s <= 0 or retries < 0:
            raise ValueError("expected baudrate >= 50, timeout_s > 0, retries >= 0")
        self.framing = framing
        self.counters = Counters()
        self._char = char_ns(baudrate) if framing == "rtu" else 0
        self._silence = silence_ns(baudrate) if framing == "rtu" else 0
        self._timeout = round(timeout_s * SECOND)
        quarantine = timeout_s if quarantine_s is None else quarantine_s
        self._quarantine = 0 if framing == "tcp" else round(quarantine * SECOND)
        self._tries, self._limit = retries + 1, limit
        self._waiting: deque[_Call] = deque()
        self._call: _Call | None = None
        self._heard = bytearray()  # since the request went out; TCP: what is not a whole frame yet
        self._scanned = 0  # bytes of it in which no reply can begin
        self._free = 0  # when the line may be used again
        self._unit_free: dict[int, int] = {}  # quarantine by unit
        self._ids = self._transactions = self._now = 0
        self._events: list[Event] = []
        self._out: list[bytes] = []

    def submit(self, request: Request, now: int) -> int:
        """Queue a request; the id that its event will carry. Raises LinkError (too many wait), ValueError (a read
        from all units of a serial line)."""
        broadcast = self.framing != "tcp" and request.unit == 0
        if broadcast and request.function not in (5, 6, 15, 16, 22):
            raise ValueError(f"unit: expected 1..255 for a read, got 0, {request!r}")
        if len(self._waiting) >= self._limit:
            raise LinkError(f"{self._limit} requests are waiting already")
        self._ids += 1
        self._waiting.append(_Call(self._ids, request, self._tries, broadcast=broadcast))
        self._advance(now)
        return self._ids

    def cancel(self, id: int) -> None:
        """Nobody waits for this one: not sent, if it was not yet, and not tried again."""
        self._waiting = deque(call for call in self._waiting if call.id != id)
        if self._call is not None and self._call.id == id:
            self._call.tries_left = 0

    def receive(self, data: bytes, now: int) -> None:
        self._advance(now)
        self._free = max(self._free, self._now + self._silence)
        if self.framing == "tcp":
            self._heard += data
            self._receive_tcp()
        elif self._call is None or self._call.broadcast:
            self.counters.stray_bytes += len(data)
        else:
            self._heard += data
            self._receive_rtu(last=False)

    def poll(self, now: int) -> list[Event]:
        """Everything that happened up to `now`, in order. Late or repeated calls are harmless."""
        self._advance(now)
        call = self._call
        if call is not None and self._now >= call.deadline:
            self._expire(call)
        self._send_next()
        events, self._events = self._events, []
        return events

    def to_send(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> int | None:
        if self._call is not None:
            return self._call.deadline
        return min((self._sendable(call) for call in self._waiting), default=None)

    def lost(self, now: int, why: str) -> None:
        """The connection or port is gone: all that waits fails with LinkError; a new one begins clean."""
        self._advance(now)
        calls = [] if self._call is None else [self._call]
        for call in (*calls, *self._waiting):
            self._events.append(Failed(call.id, call.request, LinkError(why)))
        self._call = None
        self._waiting.clear()
        self._heard.clear()
        self._out.clear()

    # --- inside ---

    def _advance(self, now: int) -> None:
        self._now = max(self._now, now)

    def _sendable(self, call: _Call) -> int:
        return max(self._free, self._unit_free.get(call.request.unit, 0))

    def _send_next(self) -> None:
        """The first that may go goes; one whose unit is in quarantine lets others pass."""
        if self._call is not None:
            return
        call = next((call for call in self._waiting if self._sendable(call) <= self._now), None)
        if call is None:
            return
        self._waiting.remove(call)
        self._call = call
        self._unit_free.pop(call.request.unit, None)
        call.tries_left -= 1
        call.wrong = None
        if self.framing == "tcp":
            self._transactions = self._transactions % 65535 + 1  # never 0: some devices answer everything with 0
            call.transaction = self._transactions
            data = call.request.to_tcp(call.transaction)
        else:
            self._heard.clear()
            self._scanned = 0
            data = call.request.to_rtu()
        wire = self._char * len(data)
        self._free = self._now + wire + self._silence
        wait = TURNAROUND_NS if call.broadcast else self._timeout + self._char * call.request.reply_size
        call.deadline = self._now + wire + wait
        self.counters.sent += 1
        self._out.append(data)

    def _receive_tcp(self) -> None:
        while True:
            try:
                size = tcp_size(self._heard)
            except FrameError as error:
                self._heard.clear()
                self.counters.invalid += 1
                self._events.append(Broken(error))
                return
            if size == 0:
                return
            adu = bytes(self._heard[:size])
            del self._heard[:size]
            self._judge_tcp(adu)

    def _judge_tcp(self, adu: bytes) -> None:
        call, got = self._call, int.from_bytes(adu[:2], "big")
        if call is None or got != call.transaction:
            age = (self._transactions - got) % 65535  # of the request that it answers, in requests
            late = got != 0 and age < min(self.counters.sent, _LATE_MAX)
            self.counters.late += late
            self.counters.invalid += not late
            if call is not None and not late:
                call.wrong = InvalidReply("transaction", call.transaction, got)
            return
        try:
            self._answer(call, call.request.check_tcp(adu, got))
        except ModbusException as error:
            self._answer(call, error)
        except InvalidReply as error:
            self.counters.invalid += 1
            call.wrong = error
            self._give_up_try(call)

    def _receive_rtu(self, *, last: bool) -> None:
        call = self._call
        if call is None:
            return
        if len(self._heard) > _HEARD_MAX:
            excess = len(self._heard) - _HEARD_MAX // 2
            del self._heard[:excess]
            self._scanned = max(0, self._scanned - excess)
        used, outcome = call.request.find(memoryview(self._heard)[self._scanned :], last)
        self._scanned += used
        if outcome is not None:
            frame = call.request.reply_size if isinstance(outcome, bytes) else _REFUSAL_SIZE
            self.counters.stray_bytes += len(self._heard) - frame
            self._answer(call, outcome)

    def _answer(self, call: _Call, outcome: bytes | ModbusException) -> None:
        self._call = None
        if isinstance(outcome, bytes):
            self.counters.answered += 1
            self._events.append(Answered(call.id, call.request, outcome))
        else:
            self.counters.refused += 1
            self._events.append(Failed(call.id, call.request, outcome))

    def _expire(self, call: _Call) -> None:
        if call.broadcast:
            self._answer(call, b"")
            return
        if self.framing != "tcp":
            self._receive_rtu(last=True)
            if self._call is None:
                return
            call.wrong = self._diagnose(call)
            self.counters.invalid += call.wrong is not None
        self.counters.timeouts += 1
        self._unit_free[call.request.unit] = self._now + self._quarantine
        self._give_up_try(call)

    def _diagnose(self, call: _Call) -> InvalidReply | None:
        """What was wrong with the bytes heard instead of a reply, taken as one frame."""
        self.counters.stray_bytes += len(self._heard)
        if not self._heard:
            return None
        try:
            call.request.check(self._heard)
        except InvalidReply as error:
            return error
        except ModbusException:
            return None  # cannot be: it would have been found
        return None

    def _give_up_try(self, call: _Call) -> None:
        self._call = None
        if call.tries_left > 0:
            self._waiting.appendleft(call)
            return
        request, tries = call.request, self._tries
        error = call.wrong or ModbusTimeout(
            f"no reply within {self._timeout / SECOND:g} s to {tries} tries: unit {request.unit}, function "
            f"{request.function}, address {request.address}"
        )
        self._events.append(Failed(call.id, request, error))
