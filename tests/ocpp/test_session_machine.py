"""Two sessions on a wire that delays, loses, doubles, reorders and spoils what it carries, and breaks now and then."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from evcore.errors import LinkError
from evcore.ocpp import Codec
from evcore.ocpp.events import Called, Event, Finished, Outcome
from evcore.ocpp.rules import Priority
from evcore.ocpp.session import Session

SECOND = 1_000_000_000
QUEUE, UNANSWERED = 3, 2
PEER = {"csms": "station", "station": "csms"}
CODECS = {version: Codec(version) for version in ("1.6", "2.0.1", "2.1")}
BOOT_ANSWER = {"currentTime": "2026-11-23T18:00:00Z", "interval": 300}
STREAM = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}
sides = st.sampled_from(("csms", "station"))
places = st.integers(0, 9)


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


class TwoSessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.numbers = itertools.count(1)
        self.flying: list[tuple[str, bytes]] = []  # to whom, what; of this connection and of those before
        self.ids: set[str] = set()
        self.ends: dict[str, End] = {}
        self.version = "1.6"

    # The wire

    @initialize(version=st.sampled_from(sorted(CODECS)), accepted=st.booleans())
    def begin(self, version: str, accepted: bool) -> None:
        self.version = version
        self._connect(accepted)

    @rule(accepted=st.booleans())
    def reconnect(self, accepted: bool) -> None:
        """What is still flying may yet arrive, at the new sessions: the worst that a proxy can do."""
        self._hang_up()
        self._connect(accepted)

    @rule(n=st.integers(1, 8))
    def deliver(self, n: int) -> None:
        for _ in range(n):
            if self.flying:
                self._arrive(*self.flying.pop(0))

    @rule(place=places)
    def deliver_out_of_order(self, place: int) -> None:
        if self.flying:
            self._arrive(*self.flying.pop(place % len(self.flying)))

    @rule(place=places)
    def lose(self, place: int) -> None:
        if self.flying:
            del self.flying[place % len(self.flying)]

    @rule(place=places)
    def double(self, place: int) -> None:
        if self.flying:
            self.flying.insert(0, self.flying[place % len(self.flying)])

    @rule(place=places, cut=st.integers(0, 40), byte=st.integers(0, 255))
    def spoil(self, place: int, cut: int, byte: int) -> None:
        if self.flying:
            at = place % len(self.flying)
            to, data = self.flying[at]
            self.flying[at] = (to, data[:cut] + bytes([byte]) + data[cut + 1 :] if byte > 20 else data[:cut])

    @rule(to=sides, type=st.integers(2, 7), place=places)
    def forge(self, to: str, type: int, place: int) -> None:
        """A message that the peer never sent, under an id that is in use."""
        end = self.ends[to]
        ids = [*end.calls, *(called.id for called in end.to_answer), "-1"]
        rest: list[Any] = [["DataTransfer", {"vendorId": "v"}], [{"status": 5}], ["GenericError", "", {}]][type % 3]
        self.flying.append((to, json.dumps([type, ids[-1 - place % len(ids)], *rest]).encode()))

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND
        for side in self.ends:
            self._settle(side)
            for asked in self.ends[side].calls.values():
                assert asked.ends or asked.deadline > self.now, "it should have timed out"

    # The two sides

    @rule(side=sides, timeout=st.sampled_from((5, 30)), priority=st.sampled_from((None, *Priority)))
    def call(self, side: str, timeout: int, priority: Priority | None) -> None:
        token = f"t{next(self.numbers)}"
        payload = {"vendorId": "v", "data": token}
        self._call(side, "DataTransfer", payload, token, timeout * SECOND, priority)

    @rule(status=st.sampled_from(("Accepted", "Pending", "Rejected")))
    def boot(self, status: str) -> None:
        if self.version == "1.6":
            payload: dict[str, Any] = {"chargePointModel": status, "chargePointVendor": "V"}
        else:
            payload = {"reason": "PowerUp", "chargingStation": {"model": status, "vendorName": "V"}}
        self._call("station", "BootNotification", payload, "", 30 * SECOND, None)

    @rule(what=st.sampled_from(("Heartbeat", "StatusNotification")))
    def trigger(self, what: str) -> None:
        self._call("csms", "TriggerMessage", {"requestedMessage": what}, "", 5 * SECOND, None)

    @precondition(lambda self: self.version == "2.1")
    @rule(side=sides)
    def send(self, side: str) -> None:
        try:
            self.ends[side].session.send("NotifyPeriodicEventStream", STREAM)
        except LinkError:
            return
        self._settle(side)

    @rule(side=sides, place=places)
    def cancel(self, side: str, place: int) -> None:
        end = self.ends[side]
        if end.calls:
            id = [*end.calls][-1 - place % len(end.calls)]
            over = bool(end.calls[id].ends)
            assert end.session.cancel(id) is not over
            self._settle(side)

    @rule(side=sides, place=places, how=st.sampled_from(("answer", "answer", "refuse", "nonsense", "twice")))
    def answer(self, side: str, place: int, how: str) -> None:
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

    @rule(side=sides, place=places)
    def refuse_result(self, side: str, place: int) -> None:
        end = self.ends[side]
        answered = [id for id, asked in end.calls.items() if asked.ends == [Outcome.ANSWERED]]
        if answered:
            told = end.session.refuse_result(answered[-1 - place % len(answered)], "GenericError")
            assert not told or self.version == "2.1"
            self._settle(side)

    # What must hold

    @invariant()
    def everything_is_bounded(self) -> None:
        for end in self.ends.values():
            session = end.session
            assert len(session._calls) <= QUEUE
            assert len(session._theirs.waiting) <= UNANSWERED
            assert len(session._calls.awaited) <= 1
            assert len(session._calls._given_up) <= 32
            assert session._events == session._out == []
            deadline = session.next_deadline()
            assert deadline is None or deadline > self.now, "it would spin"

    def teardown(self) -> None:
        self._hang_up()

    # Inside

    def _connect(self, accepted: bool) -> None:
        self.ends = {side: End(self.version, side, accepted, lambda: f"m{next(self.numbers):06}") for side in PEER}

    def _hang_up(self) -> None:
        for side, end in self.ends.items():
            end.session.close(self.now)
            self._settle(side)
            assert end.session.next_deadline() is None
            for called in end.to_answer:
                assert not end.session.answer(called.id, _answer_to(called), self.now)
            for id, asked in end.calls.items():
                assert len(asked.ends) == 1, (id, asked.ends)
            self._settle(side)

    def _call(self, side: str, action: str, payload: Any, token: str, timeout: int, priority: Priority | None) -> None:
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

    def _arrive(self, to: str, data: bytes) -> None:
        end = self.ends[to]
        try:
            message = json.loads(data)
            end.heard[str(message[1])] += 1
            if message[0] in (3, 4) and message[1] == end.outstanding:
                end.outstanding = None
        except (ValueError, LookupError, TypeError):
            if end.outstanding is not None and end.outstanding.encode() in data:
                end.outstanding = None  # spoiled, but it may still be known what it answers
            for id in [*end.calls, *(called.id for called in end.to_answer)]:
                end.heard[id] += id.encode() in data
            end.unreadable += 1
        end.session.receive(data, self.now)
        self._settle(to)

    def _settle(self, side: str) -> None:
        """Take the events and the messages of a side, and judge them."""
        end = self.ends[side]
        for event in end.session.poll(self.now):
            self._happened(end, event)
        for data in end.session.to_send():
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
            if event.outcome is Outcome.ANSWERED and asked.token and event.payload.get("data"):
                assert event.payload["data"] == asked.token, "an answer to another call"
            if event.outcome is Outcome.TIMED_OUT:
                assert self.now >= asked.deadline
                end.outstanding = None if event.id == end.outstanding else end.outstanding

    def _sent(self, end: End, data: bytes) -> None:
        frame = CODECS[self.version].scan(data)
        assert len(frame.id) <= 36
        if frame.type in (2, 6):
            assert frame.id not in self.ids, "an id used before"
            self.ids.add(frame.id)
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


@pytest.mark.parametrize("steps", [15, 60])
def test_each_call_ends_once_and_no_answer_reaches_another_whatever_the_wire_does(steps: int) -> None:
    run_state_machine_as_test(
        TwoSessions,
        settings=settings(
            max_examples=60,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
