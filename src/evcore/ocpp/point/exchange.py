"""One connection of a `ChargePoint`: its session, who waits for which answer, and its clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import orjson
from ocpp.messages import CallError, CallResult, unpack

from evcore.errors import CallError as RefusedCall
from evcore.errors import FrameError, LinkError, PayloadError
from evcore.ocpp.boot_gate import Role
from evcore.ocpp.codec import Codec
from evcore.ocpp.events import Anomaly, Event, Finished, Outcome
from evcore.ocpp.point.errors import violation
from evcore.ocpp.point.unjudged import UnjudgedCodec
from evcore.ocpp.session import Session

UNANSWERED = 64  # of the peer's CALLs; some stations do not wait for answers after they were offline


class Answer(CallResult):  # type: ignore[misc]
    """An answer of the peer as `ocpp` has it, and with the names that its dataclasses use. payload: with wire names."""

    def __init__(self, unique_id: str, raw: bytes, snake: Any, action: str) -> None:
        self.unique_id, self.raw, self.snake, self.action = unique_id, raw, snake, action

    @property
    def payload(self) -> Any:
        return orjson.loads(self.raw)[2]


class Exchange:
    """connection: as the user gave it. closed: no answer comes or goes any more. sending: held by who writes. skips:
    actions that are not judged. due: called when time alone has made something to send."""

    def __init__(
        self,
        connection: Any,
        codec: Codec,
        role: Role | None,
        timeout_s: float,
        skips: Callable[[str], bool],
        due: Callable[[Exchange], None],
    ) -> None:
        self.connection = connection
        self.codec = UnjudgedCodec(codec, skips)
        self.session = Session(
            cast(Codec, self.codec),
            "csms" if role is None else role,
            gate=role is not None,
            call_timeout=int(timeout_s * 1e9),
            unanswered=UNANSWERED,
            names="snake",
        )
        self.sending = asyncio.Lock()
        self.closed = False
        self._due = due
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None

    # Own CALLs

    def call(self, id: str, action: str, payload: object, *, unjudged: bool) -> None:
        """Send it; `expect` has its end, then `forget` is due. Raises PayloadError, FrameError, LinkError."""
        if unjudged:
            self.codec.calls.add(id)
        self.session.call(action, payload, time.monotonic_ns(), id=id)
        self.expect(id)
        self._arm()

    def expect(self, id: str) -> asyncio.Future[Any]:
        """What the peer will answer to this id, also where the CALL did not come from here."""
        future = self._waiting.get(id)
        if future is None:
            future = self._waiting[id] = asyncio.get_running_loop().create_future()
        return future

    def waits_for(self, id: str) -> bool:
        return id in self._waiting

    def forget(self, id: str) -> None:
        """Nobody waits for it any more; if it is not over it is given up."""
        self.codec.calls.discard(id)
        future = self._waiting.pop(id, None)
        if future is not None and not future.cancel() and not future.cancelled():
            future.exception()  # taken, or asyncio complains that nobody did
        if not self.closed:
            self.session.cancel(id)

    # The peer's messages

    def poll(self, now: int, data: bytes = b"") -> list[Event]:
        """What is to be handled after a message; answers have been handed to who waits for them."""
        left: list[Event] = []
        for event in self.session.poll(now):
            if isinstance(event, Finished):
                self._finished(event, data)
            elif not (isinstance(event, Anomaly) and self._was_expected(event, data)):
                left.append(event)
        self._arm()
        return left

    def close(self) -> None:
        """The connection is gone: who waits is told so."""
        self.closed = True
        self.session.close(time.monotonic_ns())
        self.poll(time.monotonic_ns())
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkError("the connection ended before the answer"))

    # Inside

    def _finished(self, event: Finished, data: bytes) -> None:
        future = self._waiting.get(event.id)
        if future is None or future.done():
            return
        error = event.error
        if event.outcome is Outcome.ANSWERED:
            future.set_result(Answer(event.id, data, event.payload, event.action))
        elif isinstance(error, RefusedCall):
            future.set_result(CallError(event.id, error.code, error.description, error.details))
        elif isinstance(error, (PayloadError, FrameError)):
            refused = violation(error)
            refused.__cause__ = error
            future.set_exception(refused)
        else:
            future.set_exception(error or LinkError(event.outcome))

    def _was_expected(self, anomaly: Anomaly, data: bytes) -> bool:
        """An answer that the session knows no CALL for, but somebody who sent it by other means does."""
        future = None if anomaly.reason != "unknown_answer" else self._waiting.get(anomaly.id or "")
        if future is None or future.done():
            return False
        future.set_result(unpack(data))
        return True

    def _arm(self) -> None:
        """One timer for the session's next deadline."""
        deadline = self.session.next_deadline()
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = deadline
        if deadline is not None:
            delay = max(deadline - time.monotonic_ns(), 0) / 1e9
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = self._timer_at = None
        self.poll(time.monotonic_ns())
        self._due(self)
