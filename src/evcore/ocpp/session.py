"""The RPC engine of OCPP-J, both roles. Sans-I/O: bytes and times in, bytes and events out.

Source: OCPP-J 1.6 sections 4 and 5 with its errata, OCPP 2.0.1 Part 4 edition 3 and 2.1 Part 4, section 4. One CALL is
outstanding in each direction; the reader never waits for whoever answers a CALL; what the peer does wrong is an
`Anomaly`, never an exception. `now` is monotonic time in ns. The rules as a table: docs/ocpp-session.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from evcore.errors import EvcoreError, FrameError, LinkError, PayloadError
from evcore.ocpp.boot_gate import BOOT, BootGate, Role
from evcore.ocpp.codec import Codec, Frame
from evcore.ocpp.events import Anomaly, Called, Event, Finished, Notified, Outcome, Repaired, ResultRefused, error_of
from evcore.ocpp.message_ids import new_id
from evcore.ocpp.message_types import CALL, CALLERROR, CALLRESULT, CALLRESULTERROR
from evcore.ocpp.own_calls import OwnCall, OwnCalls
from evcore.ocpp.peer_calls import PeerCalls
from evcore.ocpp.result_ids import ResultIds
from evcore.ocpp.rules import RULES, UNREADABLE, Rules, reply_to_broken


class Session:
    """One connection between a station and a CSMS, seen from either.

    codec: of the negotiated version. accepted: the station had been accepted before (it need not boot again when it
    reconnects). gate: False where no CALL has to wait for a BootNotification, whatever its answer. rules: where its
    version or the peer differs; `RULES` of the version unless given. call_timeout: ns that a CALL may wait for its
    turn, and then for its answer. queue: how many own CALLs may wait. unanswered: how many of the peer's may be in work
    at once, more are refused. at_once: but for these actions, whose handlers never wait. new_id: message ids, unique
    for this station for ever. names: how payloads are spelled, see `Codec.decode`.
    """

    __slots__ = (
        "_at_once",
        "_calls",
        "_closed",
        "_events",
        "_gate",
        "_now",
        "_out",
        "_theirs",
        "codec",
        "names",
        "role",
        "rules",
        "unanswered",
        "version",
    )

    def __init__(
        self,
        codec: Codec,
        role: Role,
        *,
        accepted: bool = False,
        gate: bool = True,
        rules: Rules | None = None,
        call_timeout: int = 30_000_000_000,
        queue: int = 64,
        unanswered: int = 16,
        at_once: Collection[str] = (),
        names: Literal["snake", "wire"] = "wire",
        new_id: Callable[[], str] = new_id,
    ) -> None:
        self.codec, self.role, self.names, self.version = codec, role, names, codec.version
        self.rules = RULES[codec.version] if rules is None else rules
        self.unanswered, self._at_once = unanswered, at_once
        self._gate = BootGate(role, codec.version, accepted=accepted, kept=gate)
        self._now, self._closed = 0, False
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self._calls = OwnCalls(codec, queue, call_timeout, new_id, ResultIds() if self.rules.result_errors else None)
        self._theirs = PeerCalls(ResultIds() if self.rules.result_errors else None)

    @property
    def registration(self) -> str | None:
        """The status that answered the last BootNotification; None before the first."""
        return self._gate.registration

    # Own CALLs

    def call(
        self,
        action: str,
        payload: Any,
        now: int,
        *,
        timeout: int | None = None,
        priority: int | None = None,
        id: str | None = None,
    ) -> str:
        """Queue a CALL and return its id; its `Finished` comes once. priority: a `Priority`, by action unless given;
        among equals the first come is the first served. id: its message id, where the caller has one.

        Raises PayloadError (the payload breaks the action's schema), FrameError (the id is too long), ValueError (the
        id is in use), LinkError (closed, the queue is full, or a CSMS may not say this to a station that it has not
        accepted).
        """
        self._now = max(self._now, now)
        if self._closed:
            raise LinkError("the connection is closed")
        if self.role == "csms" and not self._gate.lets_us(action):
            raise LinkError(f"{action} may not be sent to a station that is {self.registration}")
        keep = self._gate.registration != "Accepted"
        id = self._calls.add(action, payload, self._now, timeout=timeout, priority=priority, id=id, keep=keep)
        self._send_next()
        return id

    def send(self, action: str, payload: Any) -> None:
        """A SEND (2.1): goes at once, is never answered. Raises as `call`, and FrameError before 2.1."""
        if self._closed or not self._gate.lets_us(action):
            raise LinkError("the connection is closed" if self._closed else "the station is not accepted")
        self._put(self.codec.encode_send(self._calls.new_id(), action, payload))

    def cancel(self, id: str) -> bool:
        """Give up an own CALL. Already sent: the peer still owes its answer before the next one goes."""
        call = self._calls.cancel(id)
        if call is None:
            return False
        self._finish(call, Outcome.CANCELLED, error=LinkError("cancelled"))
        return True

    def refuse_result(
        self, id: str, code: str, description: str = "", details: Mapping[str, Any] | None = None
    ) -> bool:
        """Tell the peer that its answer to our CALL cannot be used (2.1, as in use case I08). False: there is no such
        answer, it was refused before, or the version has no word for it."""
        if self._closed or self._calls.results is None or self._calls.results.take(id) is None:
            return False
        self._out.append(self.codec.encode_result_error(id, code, description, dict(details or {})))
        return True

    # The peer's CALLs

    def answer(self, id: str, payload: Any, now: int) -> bool:
        """Answer a CALL. What is no answer to it goes out as CALLERROR InternalError. False: nobody waits for it
        (answered before, or the connection is closed)."""
        self._now = max(self._now, now)
        called = self._theirs.waiting.pop(id, None)
        if called is None:
            return False
        data = self.reply(called, payload)
        if data is not None:
            self._out.append(data)  # `reply` has told what was mended
        return True

    def reply(self, called: Called, payload: Any) -> bytes | None:
        """The message that answers a CALL which `take` just returned, to be sent at once. None: `to_send` has it, with
        what may now follow it; or the connection is closed."""
        id, action = called.id, called.action
        if self._closed:
            return None
        try:
            data = self.codec.encode_result(id, action, payload)
        except Exception as error:  # noqa: BLE001 - whatever a handler hands over, it costs this call only
            self._anomaly("invalid_answer", f"{type(error).__name__}: {error}"[:500], id, action, answered=True)
            return self.codec.encode_error(id, "InternalError", "the answer could not be made")
        self._theirs.answered(called, data)
        if action == BOOT or self._gate.registration != "Accepted":  # it may change what may be sent
            self._gate.we_answered(action, called.payload, payload)
            self._put(data)
            self._send_next()
            return None
        if type(data) is not bytes:
            self._events.append(Repaired.of_own(data))
        return data

    def defer(self, called: Called) -> None:
        """A CALL which `take` just returned will get its `answer`, or `refuse`, later."""
        if not self._closed:
            self._theirs.waiting[called.id] = called

    def refuse(self, id: str, code: str, description: str = "", details: Mapping[str, Any] | None = None) -> bool:
        """Answer a CALL with a CALLERROR. False as in `answer`."""
        if self._theirs.waiting.pop(id, None) is None:
            return False
        self._refuse(id, code, description, details)
        return True

    def forget(self, id: str) -> bool:
        """A CALL of the peer will not be answered from here: nobody waits for it any more. False as in `answer`."""
        return self._theirs.waiting.pop(id, None) is not None

    # Bytes and time

    def receive(self, data: bytes, now: int) -> None:
        """One whole message as it came. Its consequences are the events of the next `poll`."""
        called = self.take(data, now)
        if called is not None:
            self.defer(called)
            self._events.append(called)

    def take(self, data: bytes, now: int) -> Called | None:
        """`receive` for who handles a CALL at once: it is returned, instead of being an event, and goes to `reply` or
        `defer` before anything else is received."""
        if now > self._now:
            self._now = now
        if self._closed:
            return None
        try:
            frame = self.codec.decode(data, names=self.names, action=self._calls.awaited)
        except FrameError as error:
            self._broken(error)
            return None
        except PayloadError as error:
            self._invalid(error)
            return None
        if frame.repairs:
            self._events.append(Repaired(frame.id, frame.action, frame.repairs))
        if frame.type != CALL:
            self._route(frame, data)
            return None
        id, action, theirs = frame.id, frame.action or "", self._theirs
        if (id == theirs.last_id or id in theirs.waiting) and self._repeated(id, action, data):
            return None
        if self._gate.registration != "Accepted" and self._gated(id, action):
            return None
        if len(theirs.waiting) >= self.unanswered and action not in self._at_once:
            self._refuse(id, "InternalError", "too many calls at once")
            self._anomaly("too_many_calls", f"{self.unanswered} are in work", id, action, answered=True)
            return None
        return Called(id, action, frame.payload, data, frame, self._now)

    def has_news(self) -> bool:
        """Would `poll` or `to_send` give anything, timeouts apart?"""
        return bool(self._events or self._out)

    def poll(self, now: int) -> list[Event]:
        """Everything that happened until `now`, in order. Late or repeated calls are harmless."""
        if now > self._now:
            self._now = now
        calls = self._calls
        if calls.in_flight is not None or calls:
            for call, error in calls.expire(self._now):
                self._finish(call, Outcome.TIMED_OUT, error=error)
            self._send_next()
        events, self._events = self._events, []
        return events

    def to_send(self) -> list[bytes]:
        """Messages to put on the wire, in order; each is given once."""
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> int | None:
        """When `poll` has something to do although nothing is received."""
        return self._calls.next_deadline()

    def close(self, now: int) -> None:
        """The connection is gone: every own CALL ends as DISCONNECTED, nothing more goes out."""
        self._now = max(self._now, now)
        if self._closed:
            return
        self._closed = True
        self._theirs.waiting.clear()
        self._out.clear()
        for call in self._calls.drain():
            self._finish(call, Outcome.DISCONNECTED, error=LinkError("the connection ended before the answer"))

    # Inside

    def _repeated(self, id: str, action: str, data: bytes) -> bool:
        """An id that was there before: 2.x allows it for a message that is sent again (2.0.1 Part 4, 4.1.4, errata
        2024-09), and then one answer serves both. False: it is to be handled.
        """
        if self.rules.repeated == "refuse":
            answer: bytes | None = self.codec.encode_error(id, "ProtocolError", "this message id was used before")
        elif id in self._theirs.waiting:
            answer = None
        elif (answer := self._theirs.answer_again(id, action, data)) is None:
            self._anomaly("reused_id", "another message under the id of the last one", id, action)
            return False
        if answer is not None:
            self._out.append(answer)
        self._anomaly("repeated_id", "an id that was there before", id, action, answered=answer is not None)
        return True

    def _gated(self, id: str, action: str) -> bool:
        """The boot gate, see `BOOT_GATE`. False: it may pass."""
        if self._gate.lets_peer(action):
            self._gate.peer_sent(action)
            return False
        if self.registration == "Pending" and action in self._gate.remote:  # B02.FR.05; 1.6, 4.2: "not allowed"
            self._out.append(self.codec.encode_result(id, action, {"status": "Rejected"}))
            self._anomaly("not_accepted", f"{action} while the station is Pending", id, action, answered=True)
            return True
        silent = self._is_silent
        if not silent:  # B01.FR.10, B02.FR.09, B03.FR.07, B03.FR.08; errata 3.10 of OCPP-J 1.6
            self._refuse(id, "SecurityError", "not before BootNotification is accepted")
        self._anomaly("not_accepted", f"{action} before BootNotification is accepted", id, action, answered=not silent)
        return True

    @property
    def _is_silent(self) -> bool:
        return self._gate.is_rejected_station and self.rules.silent_when_rejected

    def _route(self, frame: Frame, data: bytes) -> None:
        id, action = frame.id, frame.action or ""
        if frame.type == CALLRESULT:
            self._answered(id, Outcome.ANSWERED, payload=frame.payload)
        elif frame.type == CALLERROR:
            self._answered(id, Outcome.REFUSED, error=error_of(frame))
        elif frame.type == CALLRESULTERROR:  # our answer did not please; it stands all the same (2.1 Part 4, 4.2.3)
            results = self._theirs.results
            refused = None if results is None else results.take(id)
            if refused is None:
                self._unasked(id, error_of(frame))
            else:
                self._events.append(ResultRefused(id, refused, error_of(frame)))
        elif self.role == "station" or self._gate.lets_peer(action):
            self._events.append(Notified(id, action, frame.payload, len(data), self._now))
        else:  # B03.FR.02: no message at all; a SEND is never answered (2.1 Part 4, 4.2.4)
            self._anomaly("not_accepted", f"{action} before BootNotification is accepted", id, action)

    def _answered(self, id: str, outcome: Outcome, payload: Any = None, error: EvcoreError | None = None) -> None:
        call = self._calls.answered(id)
        if call is None:
            self._unasked(id, error)
            return
        if outcome is Outcome.ANSWERED:
            self._gate.peer_answered(call.action, call.request, payload)
            if self._calls.results is not None:
                self._calls.results.add(id, call.action)
        if call.over:
            self._anomaly("late_answer", "the call was cancelled", id, call.action)
        else:
            self._finish(call, outcome, payload, error)
        self._send_next()

    def _unasked(self, id: str, error: EvcoreError | None) -> None:
        """An answer to no CALL in flight, which goes on waiting."""
        late = "late_answer" if self._calls.was_given_up(id) else "unknown_answer"
        reason = "peer_could_not_read" if id == UNREADABLE and error is not None else late
        self._anomaly(reason, str(error or "nobody waits for it")[:500], id)

    def _broken(self, error: FrameError) -> None:
        """Not a frame. CALLRESULT and the rest are never answered with CALLERROR, not even in pieces."""
        detail, answered = str(error), False
        if error.reason == "unsolicited":
            return self._unasked(error.id or "", None)
        if error.type in (CALLRESULT, CALLERROR) and error.id in self._calls.awaited:
            answered = error.type == CALLRESULT and self._refuse_invalid(error.id, "RpcFrameworkError", detail)
            self._answered(error.id, Outcome.INVALID, error=error)
        elif (error.type in (None, CALL) or error.reason == "type") and not self._is_silent:
            id, code = reply_to_broken(error, self.version, self.rules)
            if code is not None and id not in self._theirs.waiting:  # see _invalid
                answered = True
                self._refuse(id, code, detail)
        self._anomaly(f"frame_{error.reason}", detail, error.id, answered=answered)

    def _invalid(self, error: PayloadError) -> None:
        """A frame whose payload breaks its schema: a CALL is answered with the code, a result costs that call."""
        answered, id, action = False, error.id or "", error.action or ""
        if error.type == CALL:
            if self._gate.registration != "Accepted" and self._gated(id, action):
                return
            if id not in self._theirs.waiting:  # else the answer to that one would be taken for this one's
                self._refuse(id, error.code, str(error))
                answered = True
        elif error.type == CALLRESULT:
            answered = self._refuse_invalid(id, error.code, str(error))
            self._answered(id, Outcome.INVALID, error=error)
        self._anomaly(f"payload_{error.code}", str(error), error.id, error.action, answered=answered)

    def _refuse_invalid(self, id: str, code: str, detail: str) -> bool:
        """2.1 Part 2, FR.06: an invalid answer is answered."""
        if self.rules.result_errors:
            self._out.append(self.codec.encode_result_error(id, code, detail))
        return self.rules.result_errors

    def _refuse(self, id: str, code: str, description: str, details: Mapping[str, Any] | None = None) -> None:
        known = dict(details) if isinstance(details, Mapping) else {}
        self._out.append(self.codec.encode_error(id, str(code), str(description), known))

    def _anomaly(
        self, reason: str, detail: str, id: str | None = None, action: str | None = None, *, answered: bool = False
    ) -> None:
        self._events.append(Anomaly(reason, detail, id, action, answered))

    def _send_next(self) -> None:
        """One CALL at a time (1.6, 4.1.1: SHOULD; 2.x: SHALL), the first that the boot gate lets pass."""
        gate = self._gate
        call = self._calls.start(self._now, None if gate.registration == "Accepted" else gate.lets_us)
        if call is not None:
            gate.we_sent(call.action)
            self._put(call.data)

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        if type(data) is not bytes:
            self._events.append(Repaired.of_own(data))

    def _finish(self, call: OwnCall, outcome: Outcome, payload: Any = None, error: EvcoreError | None = None) -> None:
        if not call.over:  # else it was cancelled in flight, and that was its end
            call.over = True
            self._events.append(Finished(call.id, call.action, outcome, payload, error))
