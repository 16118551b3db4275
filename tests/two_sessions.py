"""Two sessions on a wire that delays, loses, doubles, reorders and spoils what it carries, and breaks now and then.

The world of `ocpp/test_session_machine.py` and of the fuzz target `fuzz/session.py`: each step keeps the law that it
asserts. Time is a number.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from evcore.errors import LinkError
from evcore.ocpp import Codec
from evcore.ocpp.events import Called, Event, Finished, Outcome
from evcore.ocpp.session import Session

SECOND = 1_000_000_000
QUEUE, UNANSWERED = 3, 2
PEER = {"csms": "station", "station": "csms"}
VERSIONS = ("1.6", "2.0.1", "2.1")
CODECS = {version: Codec(version) for version in VERSIONS}
BOOT_ANSWER = {"currentTime": "2026-11-23T18:00:00Z", "interval": 300}
STREAM = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}


class Asked:
    """One own CALL, as its caller sees it."""

    def __init__(self, token: str, timeout: int, now: int) -> None:
        self.token, self.timeout, self.deadline = token, timeout, now + timeout
        self.sent = False
        self.ends: list[Outcome] = []


class End:
    """One side on one connection, and what the law says of it."""

    def __init__(self, version: str, role: Any, accepted: bool, new_id: Callable[[], str]) -> None:
        codec = CODECS[version]
        self.session = Session(codec, role, accepted=accepted, queue=QUEUE, unanswered=UNANSWERED, new_id=new_id)
        self.calls: dict[str, Asked] = {}
        self.to_answer: list[Called] = []
        self.outstanding: str | None = None
        self.heard: Counter[str] = Counter()  # messages that name an id
        self.answered: Counter[str] = Counter()
        self.unreadable = 0


class TwoSessions:
    """told: hears of every event and of every message sent, for whoever wants to know what happened."""

    def __init__(self, version: str, accepted: bool, told: Callable[[str, Any], None] | None = None) -> None:
        self.version, self._told = version, told
        self.now = 0
        self._numbers = itertools.count(1)
        self._ids: set[str] = set()
        self.flying: list[tuple[str, bytes]] = []  # to whom, what; of this connection and of those before
        self.ends: dict[str, End] = {}
        self._unanswerable = (3, 4, 5, 6) if version == "2.1" else (3, 4)
        self._honest = True  # no answer says another thing than what was sent
        self._connect(accepted)

    # The wire

    def reconnect(self, accepted: bool) -> None:
        """What is still flying may yet arrive, at the new sessions: the worst that a proxy can do."""
        self.hang_up()
        self._connect(accepted)

    def deliver(self, place: int = 0) -> None:
        if self.flying:
            self.arrive(*self.flying.pop(place % len(self.flying)))

    def lose(self, place: int) -> None:
        if self.flying:
            del self.flying[place % len(self.flying)]

    def double(self, place: int) -> None:
        if self.flying:
            self.flying.insert(0, self.flying[place % len(self.flying)])

    def spoil(self, place: int, cut: int, byte: int) -> None:
        """Change a byte, or cut the message off there."""
        if self.flying:
            at = place % len(self.flying)
            to, data = self.flying[at]
            self._honest &= cut <= 40  # before what an answer says
            self.flying[at] = (to, data[:cut] + bytes([byte]) + data[cut + 1 :] if byte > 20 else data[:cut])

    def forge(self, to: str, type: int, place: int) -> None:
        """A message that the peer never sent, under an id that is in use."""
        end = self.ends[to]
        ids = [*end.calls, *(called.id for called in end.to_answer), "-1"]
        rest: list[Any] = [["DataTransfer", {"vendorId": "v"}], [{"status": 5}], ["GenericError", "", {}]][type % 3]
        self.flying.append((to, json.dumps([type, ids[-1 - place % len(ids)], *rest]).encode()))

    def say(self, to: str, data: bytes) -> None:
        """Any bytes as a message."""
        self._honest = False
        self.arrive(to, data)

    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND
        for side, end in self.ends.items():
            self._settle(side)
            for asked in end.calls.values():
                assert asked.ends or asked.deadline > self.now, "it should have timed out"

    # The two sides

    def call(self, side: str, timeout: int, priority: int | None) -> None:
        token = f"t{next(self._numbers)}"
        self._call(side, "DataTransfer", {"vendorId": "v", "data": token}, token, timeout * SECOND, priority)

    def boot(self, status: str) -> None:
        """The CSMS will answer with this status."""
        if self.version == "1.6":
            payload: dict[str, Any] = {"chargePointModel": status, "chargePointVendor": "V"}
        else:
            payload = {"reason": "PowerUp", "chargingStation": {"model": status, "vendorName": "V"}}
        self._call("station", "BootNotification", payload, "", 30 * SECOND, None)

    def trigger(self, what: str) -> None:
        self._call("csms", "TriggerMessage", {"requestedMessage": what}, "", 5 * SECOND, None)

    def send(self, side: str) -> None:
        if self.version != "2.1":
            return
        try:
            self.ends[side].session.send("NotifyPeriodicEventStream", STREAM)
        except LinkError:
            return
        self._settle(side)

    def cancel(self, side: str, place: int) -> None:
        end = self.ends[side]
        if end.calls:
            id = [*end.calls][-1 - place % len(end.calls)]
            over = bool(end.calls[id].ends)
            assert end.session.cancel(id) is not over
            self._settle(side)

    def answer(self, side: str, place: int, how: str) -> None:
        """how: "answer", "twice", "refuse" or "nonsense"."""
        end = self.ends[side]
        if not end.to_answer:
            return
        called = end.to_answer.pop(place % len(end.to_answer))
        if how == "refuse":
            assert end.session.refuse(called.id, "GenericError", "no")
        else:
            assert end.session.answer(called.id, object() if how == "nonsense" else _answer_to(called), self.now)
        if how == "twice":
            assert not end.session.answer(called.id, _answer_to(called), self.now)
        self._settle(side)

    def refuse_result(self, side: str, place: int) -> None:
        end = self.ends[side]
        answered = [id for id, asked in end.calls.items() if asked.ends == [Outcome.ANSWERED]]
        if answered:
            told = end.session.refuse_result(answered[-1 - place % len(answered)], "GenericError")
            assert not told or self.version == "2.1"
            self._settle(side)

    def arrive(self, to: str, data: bytes) -> None:
        end = self.ends[to]
        try:
            message = json.loads(data)
            if not (type(message[0]) is int and message[0] in self._unanswerable):
                end.heard[str(message[1])] += 1
            if message[0] in (3, 4) and message[1] == end.outstanding:
                end.outstanding = None
        except (ValueError, LookupError, TypeError, RecursionError):
            if end.outstanding is not None and end.outstanding.encode() in data:
                end.outstanding = None  # spoiled, but it may still be known what it answers
            for id in [*end.calls, *(called.id for called in end.to_answer)]:
                end.heard[id] += id.encode() in data
            end.unreadable += 1
        end.session.receive(data, self.now)
        self._settle(to)

    # What must hold

    def check(self) -> None:
        """Everything is bounded, and nothing waits for a time that has passed."""
        for end in self.ends.values():
            session = end.session
            assert len(session._calls) <= QUEUE
            assert len(session._theirs.waiting) <= UNANSWERED
            assert len(session._calls.awaited) <= 1
            assert len(session._calls._given_up) <= 32
            assert session._events == session._out == []
            deadline = session.next_deadline()
            assert deadline is None or deadline > self.now, "it would spin"

    def hang_up(self) -> None:
        """The connection ends; every call has ended once then."""
        for side, end in self.ends.items():
            end.session.close(self.now)
            self._settle(side)
            assert end.session.next_deadline() is None
            for called in end.to_answer:
                assert not end.session.answer(called.id, _answer_to(called), self.now)
            for id, asked in end.calls.items():
                assert len(asked.ends) == 1, (id, asked.ends)
            self._settle(side)

    # Inside

    def _connect(self, accepted: bool) -> None:
        self.ends = {side: End(self.version, side, accepted, lambda: f"m{next(self._numbers):06}") for side in PEER}

    def _call(self, side: str, action: str, payload: Any, token: str, timeout: int, priority: int | None) -> None:
        end = self.ends[side]
        waiting = len(end.session._calls)
        try:
            id = end.session.call(action, payload, self.now, timeout=timeout, priority=priority)
        except LinkError:
            gated = side == "csms" and end.session.registration == "Rejected"
            assert gated or waiting == QUEUE
            return
        end.calls[id] = Asked(token, timeout, self.now)
        self._settle(side)

    def _settle(self, side: str) -> None:
        """Take the events and the messages of a side, and judge them."""
        end = self.ends[side]
        for event in end.session.poll(self.now):
            if self._told is not None:
                self._told(side, event)
            self._happened(end, event)
        for data in end.session.to_send():
            if self._told is not None:
                self._told(side, data)
            self._sent(end, data)
            self.flying.append((PEER[side], data))
        del self.flying[:-50]

    def _happened(self, end: End, event: Event) -> None:
        if isinstance(event, Called):
            assert event.id not in [called.id for called in end.to_answer], "handled twice"
            end.to_answer.append(event)
        elif isinstance(event, Finished):
            asked = end.calls[event.id]
            asked.ends.append(event.outcome)
            assert len(asked.ends) == 1, asked.ends
            assert (event.error is None) == (event.outcome is Outcome.ANSWERED)
            if event.outcome is Outcome.ANSWERED and asked.token and self._honest and event.payload.get("data"):
                assert event.payload["data"] == asked.token, "an answer to another call"
            if event.outcome is Outcome.TIMED_OUT:
                assert self.now >= asked.deadline
                end.outstanding = None if event.id == end.outstanding else end.outstanding

    def _sent(self, end: End, data: bytes) -> None:
        frame = CODECS[self.version].scan(data)
        assert len(frame.id) <= 36
        if frame.type in (2, 6):
            assert frame.id not in self._ids, "an id used before"
            self._ids.add(frame.id)
        if frame.type == 2:
            before = end.calls.get(end.outstanding or "")
            assert before is None or before.deadline <= self.now, "two are outstanding"
            asked = end.calls.get(frame.id)
            if asked is not None:  # else it went out within `call`, whose caller does not know its id yet
                asked.sent, asked.deadline = True, self.now + asked.timeout
            end.outstanding = frame.id
        elif frame.type in (3, 4) and frame.id != "-1":
            end.answered[frame.id] += 1
            assert end.answered[frame.id] <= end.heard[frame.id] + end.unreadable, "an answer to nothing"
        elif frame.type == 5:
            assert self.version == "2.1"
            assert frame.id in end.calls


def _answer_to(called: Called) -> Any:
    if called.action == "BootNotification":
        station = called.payload.get("chargingStation")
        status = station["model"] if station else called.payload["chargePointModel"]
        return BOOT_ANSWER | {"status": status if status in ("Pending", "Rejected") else "Accepted"}
    if called.action == "DataTransfer" and "data" in called.payload:
        return {"status": "Accepted", "data": called.payload["data"]}
    return {"status": "Accepted"}
