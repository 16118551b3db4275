"""The queue under any order of events: a model says what must hold."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evcore.errors import StoreError
from evcore.ocpp.records import MemoryStore, Record
from evcore.ocpp.station_clock import StationClock
from evcore.ocpp.transactions import Delivered, Dropped, GivenUp, TransactionQueue, Transmit

S = 1_000_000_000
ATTEMPTS, INTERVAL, CUTS, LIMIT, BURST = 3, 10, 2, 6, 5


def mark(record: Record) -> int:
    """Which message it is; numbers begin anew when the power was lost and nothing waited."""
    number: int = record.payload["mark"]
    return number


class Machine(RuleBasedStateMachine):
    """A station that starts, meters, ends, loses its link and its power; a CSMS that answers, refuses, hangs up."""

    @initialize(version=st.sampled_from(["1.6", "2.0.1"]))
    def begin(self, version: str) -> None:
        self.version, self.now, self.runs = version, 0, 0
        self.store = MemoryStore(dead=10_000)
        self.put: dict[int, Record] = {}
        self.ended: dict[int, str] = {}
        self.delivered: list[int] = []
        self.sent: dict[int, list[int]] = {}
        self.failed_at: dict[int, int] = {}
        self.backlog_sent: list[int] = []
        self.running: list[str] = []
        self.names = self.marks = 0
        self.boot([])

    def boot(self, kept: list[Record]) -> None:
        self.runs += 1
        self.queue = TransactionQueue(
            StationClock(S, 0), f"run-{self.runs}",
            attempts=ATTEMPTS, interval_s=INTERVAL, cuts=CUTS, limit=LIMIT, burst_per_s=BURST,
        )  # fmt: skip
        self.queue.restore(kept)
        self.is_online, self.under_way, self.backlog = False, None, 0

    def message(self, kind: str, transaction: str) -> None:
        self.marks += 1
        payload: dict[str, Any] = {"mark": self.marks}
        action = {"Started": "StartTransaction", "Updated": "MeterValues", "Ended": "StopTransaction"}[kind]
        if self.version != "1.6":
            action, payload = "TransactionEvent", payload | {"eventType": kind, "triggerReason": "MeterValuePeriodic"}
        try:
            record = self.queue.put(action, payload, self.now, version=self.version, transaction=transaction)
        except StoreError:
            assert kind == "Started"
            return
        self.put[mark(record)] = record
        if kind == "Started":
            self.running.append(transaction)
        if kind == "Ended":
            self.running.remove(transaction)
        self.look()

    def look(self) -> None:
        for event in self.queue.poll(self.now):
            number = mark(event.record)
            match event:
                case Transmit():
                    assert self.under_way is None
                    assert self.is_online
                    self.under_way = number
                    if number in self.failed_at:
                        assert self.now >= self.failed_at.pop(number)
                    if number <= self.backlog:
                        self.backlog_sent.append(self.now)
                case Delivered():
                    self.end(number, "delivered")
                    self.delivered.append(number)
                case Dropped():
                    assert event.record.kind == "update"
                    self.end(number, "dropped")
                case GivenUp():
                    self.end(number, "given up")

    def end(self, number: int, how: str) -> None:
        if how == "dropped" and number not in self.put:
            return  # the newest reading itself found no room
        assert number not in self.ended, "each message ends once"
        self.ended[number] = how

    @rule()
    def start(self) -> None:
        if len(self.running) < 3:
            self.names += 1
            self.message("Started", f"t{self.names}")

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 2), kind=st.sampled_from(["Updated", "Updated", "Ended"]))
    def go_on(self, which: int, kind: str) -> None:
        self.message(kind, self.running[which % len(self.running)])

    @rule(seconds=st.integers(0, 40))
    def wait(self, seconds: int) -> None:
        self.now += seconds * S
        self.look()

    @precondition(lambda self: not self.is_online)
    @rule()
    def connect(self) -> None:
        self.backlog, self.backlog_sent = self.marks, []
        self.is_online = True
        self.queue.online(self.version, self.now)
        self.look()

    @precondition(lambda self: self.is_online)
    @rule()
    def disconnect(self) -> None:
        self.is_online, self.under_way = False, None
        self.queue.offline(self.now)
        self.failed_at.clear()
        self.look()

    @precondition(lambda self: self.under_way)
    @rule()
    def answer(self) -> None:
        self.under_way = None
        self.queue.answered({"transactionId": 5}, self.now)
        self.look()

    @precondition(lambda self: self.under_way)
    @rule()
    def refuse(self) -> None:
        number, self.under_way = self.under_way, None
        assert number is not None
        self.queue.failed("InternalError", self.now)
        attempts = self.put[number].attempts
        assert 1 <= attempts <= ATTEMPTS
        self.failed_at[number] = self.now + INTERVAL * attempts * S
        self.look()

    @rule()
    def lose_power(self) -> None:
        async def reload() -> list[Record]:
            await self.store.commit(self.queue.changes())
            return list(await self.store.load())

        kept = asyncio.run(reload())
        for record in kept:
            self.put[mark(record)] = record
        self.failed_at.clear()
        self.boot(kept)

    @invariant()
    def they_are_delivered_in_order(self) -> None:
        if hasattr(self, "delivered"):
            assert self.delivered == sorted(self.delivered)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "put"):
            waiting = {mark(record) for record in self.queue._records.values()}
            missing = set(self.put) - set(self.ended) - waiting
            assert all(self.put[number].kind == "update" for number in missing)
            assert len(waiting) <= LIMIT + 3

    @invariant()
    def a_backlog_has_its_pace(self) -> None:
        times = getattr(self, "backlog_sent", [])
        assert all(later - earlier >= S // BURST for earlier, later in pairwise(times))

    @invariant()
    def it_never_asks_to_be_polled_for_nothing(self) -> None:
        if hasattr(self, "queue") and self.under_way is None:
            deadline = self.queue.next_deadline()
            assert deadline is None or deadline > self.now

    def teardown(self) -> None:
        """Give it a CSMS that answers: everything goes, and in 1.6 with its id."""
        if not hasattr(self, "queue"):
            return
        if not self.is_online:
            self.connect()
        for _ in range(200):
            if self.under_way is not None:
                record = self.queue._under_way
                assert record is not None
                if self.version == "1.6" and record.kind == "end":
                    assert record.payload["transactionId"] in (5, -1)
                self.answer()
                continue
            deadline = self.queue.next_deadline()
            if deadline is None:
                break
            self.now = max(self.now, deadline)
            self.look()
        assert len(self.queue) == 0


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestQueue = Machine.TestCase
