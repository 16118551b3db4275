"""The CALLs of this side: one in flight, the others in a queue, by priority and then by age."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evcore.errors import CallTimeout, LinkError
from evcore.ocpp.codec import Codec
from evcore.ocpp.result_ids import ResultIds
from evcore.ocpp.rules import priority_of

_KEPT_GIVEN_UP = 32


@dataclass(slots=True)
class OwnCall:
    """timeout: ns that it may wait, for its turn and then for its answer. deadline: the end of the wait it is in. over:
    its end was told, though the peer may still owe the answer. request: its payload, kept where the answer to it opens
    the boot gate."""

    id: str
    action: str
    request: Any
    data: bytes
    timeout: int
    deadline: int
    priority: int
    over: bool = False


class OwnCalls:
    """awaited: id -> action of the CALL in flight, as `Codec.decode` wants it. limit: how many may wait. timeout: of a
    CALL that names none. results: ids of the answers, where the version lets us refuse them."""

    __slots__ = ("_codec", "_given_up", "_limit", "_queue", "_timeout", "awaited", "in_flight", "new_id", "results")

    def __init__(
        self, codec: Codec, limit: int, timeout: int, new_id: Callable[[], str], results: ResultIds | None
    ) -> None:
        self._codec, self._limit, self._timeout, self.new_id = codec, limit, timeout, new_id
        self._queue: list[OwnCall] = []  # short, and an empty deque has half a kilobyte
        self._given_up: list[str] = []  # ids whose answers would be late, not unknown
        self.results = results
        self.in_flight: OwnCall | None = None
        self.awaited: dict[str, str] = {}

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def add(
        self,
        action: str,
        payload: Any,
        now: int,
        *,
        timeout: int | None,
        priority: int | None,
        id: str | None,
        keep: bool,
    ) -> str:
        """Queue it behind those of its priority and return its id. keep: the payload is kept as `request`. Raises as
        `Session.call`."""
        if len(self._queue) >= self._limit:
            raise LinkError(f"{self._limit} calls are waiting already")
        if id is None:
            id = self.new_id()
        elif id in self.awaited or any(call.id == id for call in self._queue):
            raise ValueError(f"id: {id!r} is in use")
        wait = self._timeout if timeout is None else timeout
        rank = priority_of(action) if priority is None else priority
        data = self._codec.encode_call(id, action, payload)
        at = len(self._queue)
        while at and self._queue[at - 1].priority > rank:
            at -= 1
        self._queue.insert(at, OwnCall(id, action, payload if keep else None, data, wait, now + wait, rank))
        return id

    def start(self, now: int, lets: Callable[[str], bool] | None) -> OwnCall | None:
        """The CALL whose turn it is, if any: in flight from now on. lets: may this action be sent? None: all may."""
        if self.in_flight is not None or not self._queue:
            return None
        at = 0
        if lets is not None:
            at = next((at for at, call in enumerate(self._queue) if lets(call.action)), -1)
            if at < 0:
                return None
        call = self.in_flight = self._queue.pop(at)
        call.deadline = now + call.timeout
        self.awaited[call.id] = call.action
        return call

    def answered(self, id: str) -> OwnCall | None:
        """The CALL in flight, if this is its id: not in flight any more."""
        call = self.in_flight
        if call is None or call.id != id:
            return None
        self.in_flight = None
        self.awaited.clear()
        return call

    def was_given_up(self, id: str) -> bool:
        return id in self._given_up

    def cancel(self, id: str) -> OwnCall | None:
        """The CALL of this id, if it is not over. In flight it stays there: the peer owes its answer first."""
        call = self.in_flight
        if call is not None and call.id == id:
            return None if call.over else call
        call = next((waiting for waiting in self._queue if waiting.id == id), None)
        if call is not None:
            self._queue.remove(call)
        return call

    def expire(self, now: int) -> list[tuple[OwnCall, CallTimeout]]:
        """Take out what waited too long."""
        late: list[tuple[OwnCall, CallTimeout]] = []
        call = self.in_flight
        if call is not None and now >= call.deadline:
            self.answered(call.id)
            self._given_up = [*self._given_up[1 - _KEPT_GIVEN_UP :], call.id]
            late.append((call, CallTimeout(f"no answer to {call.action} in time")))
        for call in [waiting for waiting in self._queue if now >= waiting.deadline]:
            self._queue.remove(call)
            late.append((call, CallTimeout(f"{call.action} never had its turn")))
        return late

    def next_deadline(self) -> int | None:
        call = self.in_flight
        if not self._queue:
            return None if call is None else call.deadline
        first = min(waiting.deadline for waiting in self._queue)
        return first if call is None else min(first, call.deadline)

    def drain(self) -> list[OwnCall]:
        """Take out all."""
        calls = [*([] if self.in_flight is None else [self.in_flight]), *self._queue]
        self.in_flight = None
        self._queue.clear()
        self.awaited.clear()
        return calls
