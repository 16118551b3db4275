"""The RPC engine of OCPP-J, both roles. Sans-I/O: bytes and times in, bytes and events out.

Source: OCPP-J 1.6 sections 4 and 5 with its errata, OCPP 2.0.1 Part 4 edition 3 and 2.1 Part 4, section 4. One CALL is
outstanding in each direction; the reader never waits for whoever answers a CALL; what the peer does wrong is an
`Anomaly`, never an exception. `now` is monotonic time in ns.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from evcore.errors import CallError, CallTimeout, EvcoreError, FrameError, LinkError, MessageError, PayloadError
from evcore.ocpp.codec import Codec, Frame
from evcore.ocpp.events import Anomaly, Called, Event, Finished, Notified, Outcome

CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND = 2, 3, 4, 5, 6
BOOT = "BootNotification"
Role = Literal["csms", "station"]

# What TriggerMessage and the reports ask for may come before the station is accepted (2.0.1 Part 2, B02.FR.09).
_ASKED_BY = {"GetBaseReport": "NotifyReport", "GetReport": "NotifyReport"}
_ID_MAX = 36  # OCPP-J 1.6, 4.1.4; 2.0.1 Part 4, 4.1.4


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class _Call:
    id: str
    action: str
    data: bytes
    timeout: int
    deadline: int
    triggers: str | None = None
    over: bool = False


class Session:
    """One connection between a station and a CSMS, seen from either.

    codec: of the negotiated version. accepted: the station had been accepted before (it need not boot again when it
    reconnects). call_timeout: ns that a CALL may wait for its turn, and then for its answer. queue: how many own CALLs
    may wait. unanswered: how many of the peer's may be in work at once, more are refused. new_id: message ids, unique
    for this station for ever. names: how payloads are spelled, see `Codec.decode`.
    """

    __slots__ = (
        "_awaited",
        "_call_timeout",
        "_closed",
        "_events",
        "_in_flight",
        "_new_id",
        "_now",
        "_out",
        "_over",
        "_queue",
        "_queue_limit",
        "_to_answer",
        "_triggered",
        "_unanswered_limit",
        "codec",
        "names",
        "registration",
        "role",
        "version",
    )

    def __init__(
        self,
        codec: Codec,
        role: Role,
        *,
        accepted: bool = False,
        call_timeout: int = 30_000_000_000,
        queue: int = 64,
        unanswered: int = 16,
        names: Literal["snake", "wire"] = "wire",
        new_id: Callable[[], str] = _new_id,
    ) -> None:
        self.codec, self.role, self.names = codec, role, names
        self.version = codec.version
        self.registration: str | None = "Accepted" if accepted else None
        self._call_timeout, self._queue_limit, self._unanswered_limit = call_timeout, queue, unanswered
        self._new_id = new_id
        self._now = 0
        self._closed = False
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self._queue: list[_Call] = []  # short, and an empty deque has half a kilobyte
        self._in_flight: _Call | None = None
        self._awaited: dict[str, str] = {}  # id -> action of the CALL in flight, as Codec.decode wants it
        self._over: list[str] = []  # the last ids that were given up: their answers are late, not unknown
        self._to_answer: dict[str, str] = {}
        self._triggered: set[str] = set()

    # Own CALLs

    def call(self, action: str, payload: Any, now: int, *, timeout: int | None = None) -> str:
        """Queue a CALL and return its id; its `Finished` comes once. BootNotification goes before all others.

        Raises PayloadError (the payload breaks the action's schema), LinkError (closed, or the queue is full).
        """
        self._advance(now)
        if self._closed:
            raise LinkError("the connection is closed")
        if len(self._queue) >= self._queue_limit:
            raise LinkError(f"{self._queue_limit} calls are waiting already")
        id, wait = self._new_id(), self._call_timeout if timeout is None else timeout
        data = self.codec.encode_call(id, action, payload)
        call = _Call(id, action, data, wait, self._now + wait, _triggered_by(action, payload))
        if action == BOOT:
            self._queue.insert(0, call)
        else:
            self._queue.append(call)
        self._send_next()
        return id

    def send(self, action: str, payload: Any) -> None:
        """A SEND (2.1): goes at once, is never answered. Raises PayloadError, or ValueError before 2.1."""
        if self._closed:
            raise LinkError("the connection is closed")
        self._out.append(self.codec.encode_send(self._new_id(), action, payload))

    def cancel(self, id: str) -> bool:
        """Give up an own CALL. Already sent: the peer still owes its answer before the next one goes."""
        call = self._in_flight
        if call is None or call.id != id or call.over:
            call = next((waiting for waiting in self._queue if waiting.id == id), None)
            if call is None:
                return False
            self._queue.remove(call)
        self._finish(call, Outcome.CANCELLED, error=LinkError("cancelled"))
        return True

    # The peer's CALLs

    def answer(self, id: str, payload: Any, now: int) -> bool:
        """Answer a CALL. An answer that breaks its schema goes out as CALLERROR InternalError. False: nobody waits for
        it (answered before, or the connection is closed)."""
        self._advance(now)
        action = self._to_answer.pop(id, None)
        if action is None:
            return False
        try:
            data = self.codec.encode_result(id, action, payload)
        except (MessageError, TypeError) as error:
            self._refuse(id, "InternalError", "the answer could not be made")
            self._anomaly("invalid_answer", str(error), id, action, answered=True)
            return True
        self._out.append(data)
        if action == BOOT and self.role == "csms":
            self._registered(payload)
        return True

    def refuse(self, id: str, code: str, description: str = "", details: Mapping[str, Any] | None = None) -> bool:
        """Answer a CALL with a CALLERROR. False as in `answer`."""
        if self._to_answer.pop(id, None) is None:
            return False
        self._refuse(id, code, description, details)
        return True

    # Bytes and time

    def receive(self, data: bytes, now: int) -> None:
        """One whole message as it came. Its consequences are the events of the next `poll`."""
        self._advance(now)
        if self._closed:
            return
        try:
            frame = self.codec.decode(data, names=self.names, action=self._awaited)
        except FrameError as error:
            self._broken(error)
        except PayloadError as error:
            self._invalid(error)
        else:
            self._route(frame, data)

    def poll(self, now: int) -> list[Event]:
        """Everything that happened until `now`, in order. Late or repeated calls are harmless."""
        self._advance(now)
        call = self._in_flight
        if call is not None and self._now >= call.deadline:
            self._give_up(call)
        while self._queue and (late := min(self._queue, key=_deadline)).deadline <= self._now:
            self._queue.remove(late)
            self._finish(late, Outcome.TIMED_OUT, error=CallTimeout(f"{late.action} never had its turn"))
        self._send_next()
        events, self._events = self._events, []
        return events

    def to_send(self) -> list[bytes]:
        """Messages to put on the wire, in order; each is given once."""
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> int | None:
        """When `poll` has something to do although nothing is received."""
        deadlines = [call.deadline for call in self._queue]
        if self._in_flight is not None:
            deadlines.append(self._in_flight.deadline)
        return min(deadlines, default=None)

    def close(self, now: int) -> None:
        """The connection is gone: every own CALL ends as DISCONNECTED, nothing more goes out."""
        self._advance(now)
        if self._closed:
            return
        self._closed = True
        calls = [*([self._in_flight] if self._in_flight else []), *self._queue]
        self._in_flight = None
        for collection in (self._queue, self._awaited, self._to_answer, self._out):
            collection.clear()
        for call in calls:
            self._finish(call, Outcome.DISCONNECTED, error=LinkError("the connection ended before the answer"))

    # Inside

    def _advance(self, now: int) -> None:
        self._now = max(self._now, now)

    def _route(self, frame: Frame, data: bytes) -> None:
        if frame.type == CALL:
            self._called(frame, data)
        elif frame.type == CALLRESULT:
            self._answered(frame.id, Outcome.ANSWERED, payload=frame.payload)
        elif frame.type == CALLERROR:
            error = CallError(frame.error_code or "", frame.error_description or "", frame.error_details)
            self._answered(frame.id, Outcome.REFUSED, error=error)
        elif frame.type == SEND:
            self._events.append(Notified(frame.id, frame.action or "", frame.payload, len(data)))
        else:  # CALLRESULTERROR: our answer did not please; it stands all the same (2.1 Part 4, 4.2.4)
            self._anomaly("result_refused", f"{frame.error_code}: {frame.error_description}"[:200], frame.id)

    def _called(self, frame: Frame, data: bytes) -> None:
        id, action = frame.id, frame.action or ""
        if id in self._to_answer:
            self._anomaly("repeated_id", "sent again before it was answered", id, action)
        elif not self._may_call(action):
            self._gated(id, action)
        elif len(self._to_answer) >= self._unanswered_limit:
            self._refuse(id, "InternalError", "too many calls at once")
            self._anomaly("too_many_calls", f"{self._unanswered_limit} are in work", id, action, answered=True)
        else:
            self._to_answer[id] = action
            self._triggered.discard(action)
            self._events.append(Called(id, action, frame.payload, data, frame.payload_span or (0, 0)))

    def _may_call(self, action: str) -> bool:
        if self.registration == "Accepted":
            return True
        if self.role == "csms":
            return action == BOOT or action in self._triggered
        return self.registration != "Rejected"  # Pending: the CSMS may configure the station (2.0.1 Part 2, B02)

    def _gated(self, id: str, action: str) -> None:
        """Before BootNotification was accepted: 2.0.1 Part 2, B02.FR.09, B03.FR.07, B03.FR.08; 1.6 errata 3.8. A 1.6
        station that was rejected does not answer (1.6, 4.2)."""
        silent = self.role == "station" and self.version == "1.6"
        if not silent:
            self._refuse(id, "SecurityError", "not before BootNotification is accepted")
        self._anomaly("not_accepted", f"{action} before BootNotification is accepted", id, action, answered=not silent)

    def _answered(self, id: str, outcome: Outcome, payload: Any = None, error: EvcoreError | None = None) -> None:
        call = self._in_flight
        if call is None or call.id != id:
            self._anomaly("late_answer" if id in self._over else "unknown_answer", "nobody waits for it", id)
            return
        self._release()
        if outcome is Outcome.ANSWERED:
            if call.action == BOOT and self.role == "station":
                self._registered(payload)
            if call.triggers and self.registration != "Accepted":
                self._triggered.add(call.triggers)
        if call.over:
            self._anomaly("late_answer", "the call was cancelled", id, call.action)
        else:
            self._finish(call, outcome, payload, error)
        self._send_next()

    def _broken(self, error: FrameError) -> None:
        """Not a frame. What may be answered: 2.0.1 Part 4, 4.2 and 4.4; 1.6 is silent where it cannot name the CALL."""
        if error.type in (CALLRESULT, CALLERROR) and error.id in self._awaited:
            self._answered(error.id, Outcome.INVALID, error=error)
        elif error.reason == "unsolicited":
            self._answered(error.id or "", Outcome.INVALID)
            return
        code = self._reply_to(error)
        if code is not None:
            self._refuse(error.id if _is_id(error.id) else "-1", code, str(error))
        self._anomaly(f"frame_{error.reason}", str(error), error.id, answered=code is not None)

    def _reply_to(self, error: FrameError) -> str | None:
        if error.reason == "type":  # 2.1 ignores what it does not know
            return "MessageTypeNotSupported" if self.version == "2.0.1" else None
        if error.type not in (None, CALL):
            return None
        if self.version == "1.6":
            return "FormatViolation" if error.type == CALL and _is_id(error.id) else None
        return "FormatViolation" if error.reason == "payload" else "RpcFrameworkError"

    def _invalid(self, error: PayloadError) -> None:
        """A frame whose payload breaks its schema: a CALL is answered with the code, a result costs that call."""
        answered = False
        if error.type == CALL and error.id is not None:
            self._refuse(error.id, error.code, str(error))
            answered = True
        elif error.type == CALLRESULT and error.id is not None:
            if self.version == "2.1":
                self._out.append(self.codec.encode_result_error(error.id, error.code, str(error)))
                answered = True
            self._answered(error.id, Outcome.INVALID, error=error)
        self._anomaly(f"payload_{error.code}", str(error), error.id, error.action, answered=answered)

    def _registered(self, payload: Any) -> None:
        self.registration = payload.get("status") if isinstance(payload, Mapping) else getattr(payload, "status", None)
        if self.registration == "Accepted":
            self._triggered.clear()

    def _refuse(self, id: str, code: str, description: str, details: Mapping[str, Any] | None = None) -> None:
        self._out.append(self.codec.encode_error(id, code, description, dict(details or {})))

    def _anomaly(
        self, reason: str, detail: str, id: str | None = None, action: str | None = None, *, answered: bool = False
    ) -> None:
        self._events.append(Anomaly(reason, detail, id, action, answered))

    def _give_up(self, call: _Call) -> None:
        self._release()
        self._over = [*self._over[-31:], call.id]
        self._finish(call, Outcome.TIMED_OUT, error=CallTimeout(f"no answer to {call.action} in time"))

    def _release(self) -> None:
        self._in_flight = None
        self._awaited.clear()

    def _finish(self, call: _Call, outcome: Outcome, payload: Any = None, error: EvcoreError | None = None) -> None:
        if not call.over:  # cancelled while it was in flight: that was its end
            call.over = True
            self._events.append(Finished(call.id, call.action, outcome, payload, error))

    def _send_next(self) -> None:
        """One CALL at a time (OCPP-J 1.6, 4.1.1); a station that is not accepted sends BootNotification only."""
        if self._in_flight is not None or not self._queue or self._closed:
            return
        if self.role == "station" and self.registration != "Accepted" and self._queue[0].action != BOOT:
            return
        call = self._queue.pop(0)
        call.deadline = self._now + call.timeout
        self._in_flight = call
        self._awaited[call.id] = call.action
        self._out.append(call.data)


def _deadline(call: _Call) -> int:
    return call.deadline


def _is_id(id: str | None) -> TypeGuard[str]:
    return id is not None and 1 <= len(id) <= _ID_MAX


def _triggered_by(action: str, payload: Any) -> str | None:
    if action not in ("TriggerMessage", "ExtendedTriggerMessage"):
        return _ASKED_BY.get(action)
    if isinstance(payload, Mapping):
        wanted = payload.get("requestedMessage", payload.get("requested_message"))
    else:
        wanted = getattr(payload, "requested_message", None)
    return str(wanted) if wanted is not None else None
