"""The queue of transaction messages: retry law, order, what may be dropped, ids of 1.6, offline marks; fake clock."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from evcore.errors import StoreError
from evcore.ocpp.records import MemoryStore, Record
from evcore.ocpp.station_clock import StationClock
from evcore.ocpp.transactions import Delivered, Dropped, GivenUp, TransactionQueue, Transmit

S = 1_000_000_000
NOON = 1_795_435_200 * S


class Bench:
    """A queue with a hand on everything around it."""

    def __init__(self, version: str = "2.0.1", *, clock: StationClock | None = None, **options: Any) -> None:
        self.version, self.now = version, 0
        self.clock = StationClock(NOON, 0) if clock is None else clock
        self.queue = TransactionQueue(self.clock, "run-1", **options)
        self.events: list[Any] = []
        self.under_way: Record | None = None

    def put(self, kind: str, transaction: str = "t1", **more: Any) -> Record:
        if self.version == "1.6":
            action = {"Started": "StartTransaction", "Updated": "MeterValues", "Ended": "StopTransaction"}[kind]
            return self.queue.put(action, more, self.now, version="1.6", transaction=transaction)
        payload = {"eventType": kind, "triggerReason": "MeterValuePeriodic", "timestamp": self.clock.stamp(self.now)}
        return self.queue.put(
            "TransactionEvent", payload | more, self.now, version=self.version, transaction=transaction
        )

    def poll(self) -> Record | None:
        """The record to transmit now, if any; all else is kept in `events`."""
        for event in self.queue.poll(self.now):
            if isinstance(event, Transmit):
                assert self.under_way is None
                self.under_way = event.record
            else:
                self.events.append(event)
        return self.under_way

    def next(self) -> Record:
        """Let time pass until there is something to transmit; it counts as sent."""
        for _ in range(3):
            if self.poll() is not None:
                break
            deadline = self.queue.next_deadline()
            assert deadline is not None
            self.now = max(self.now, deadline)
        sent, self.under_way = self.under_way, None
        assert sent is not None
        return sent

    def deliver(self, **answer: Any) -> Record:
        sent = self.next()
        self.queue.answered(answer, self.now)
        return sent

    def online(self) -> None:
        self.queue.online(self.version, self.now)

    def given_up(self) -> list[Record]:
        self.poll()
        return [event.record for event in self.events if isinstance(event, GivenUp)]

    def dropped(self) -> list[int]:
        self.poll()
        return [event.record.number for event in self.events if isinstance(event, Dropped)]


# The retry law


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_e13_fr_03_the_wait_grows_by_the_interval_with_each_transmission(version: str) -> None:
    bench = Bench(version, attempts=4, interval_s=60)
    bench.online()
    bench.put("Started")
    times = []
    for _ in range(4):
        assert bench.next().action in ("StartTransaction", "TransactionEvent")
        times.append(bench.now // S)
        bench.queue.failed("InternalError", bench.now)
    assert times == [0, 60, 180, 360]
    assert len(bench.given_up()) == 1
    assert len(bench.queue) == 0


def test_e13_fr_04_after_the_last_attempt_the_next_message_goes() -> None:
    bench = Bench(attempts=2, interval_s=1)
    bench.online()
    poison, good = bench.put("Started"), bench.put("Updated")
    for _ in range(2):
        assert bench.next() is poison
        bench.queue.failed("InternalError", bench.now)
    assert bench.next() is good
    assert [record.attempts for record in bench.given_up()] == [2]


def test_offline_time_does_not_count_as_a_failure_nor_for_the_wait() -> None:
    bench = Bench(attempts=3, interval_s=60)
    bench.online()
    record = bench.put("Started")
    bench.next()
    bench.queue.failed("timeout", bench.now)
    bench.now += 20 * S
    bench.queue.offline(bench.now)
    assert bench.queue.next_deadline() is None
    bench.now += 3600 * S
    bench.online()
    assert bench.queue.next_deadline() == bench.now + 40 * S
    assert bench.next() is record
    bench.queue.offline(bench.now)
    assert record.attempts == 1
    bench.online()
    assert bench.next() is record


def test_a_message_that_makes_the_csms_hang_up_each_time_does_not_stop_the_others() -> None:
    bench = Bench(attempts=2, interval_s=1, cuts=3)
    record, good = bench.put("Started"), bench.put("Updated")
    for _ in range(6):
        bench.online()
        assert bench.next() is record
        bench.queue.offline(bench.now)
    assert bench.given_up() == [record]
    bench.online()
    assert bench.next() is good


def test_what_can_never_be_sent_is_given_up_at_once() -> None:
    bench = Bench()
    bench.online()
    record = bench.put("Started")
    bench.next()
    bench.queue.hopeless("payload")
    assert bench.given_up() == [record]


# Order and pace


def test_one_at_a_time_and_in_order() -> None:
    bench = Bench()
    records = [bench.put(kind) for kind in ("Started", "Updated", "Updated", "Ended")]
    bench.online()
    for record in records:
        assert bench.next() is record
        assert bench.poll() is None
        assert bench.queue.next_deadline() is None
        bench.queue.answered({}, bench.now)
    assert len(bench.queue) == 0


def test_what_gathered_offline_goes_out_at_five_a_second_and_what_is_new_waits_only_for_it() -> None:
    bench = Bench()
    for _ in range(20):
        bench.put("Updated")
    bench.now = 10 * S
    bench.online()
    times = []
    for _ in range(20):
        bench.next()
        times.append(bench.now)
        bench.queue.answered({}, bench.now)
    assert times[0] == 10 * S
    assert {b - a for a, b in pairwise(times)} == {S // 5}
    bench.put("Updated")
    assert bench.poll() is not None, "a live message has no pace"


def test_nothing_goes_to_a_csms_that_speaks_another_version() -> None:
    bench = Bench("1.6")
    old = bench.put("Started")
    bench.queue.online("2.0.1", 0)
    assert bench.queue.next_deadline() is None
    new = bench.queue.put("TransactionEvent", {"eventType": "Started"}, 0, version="2.0.1")
    assert bench.next() is new
    bench.queue.answered({}, 0)
    bench.queue.offline(0)
    bench.queue.online("1.6", 0)
    assert bench.next() is old
    assert bench.queue.holds("1.6")
    bench.queue.answered({"transactionId": 1}, 0)
    assert bench.queue.holds("1.6"), "its transaction runs"
    bench.put("Ended")
    bench.deliver()
    assert not bench.queue.holds("1.6")


def test_what_was_told_in_201_may_be_told_in_21() -> None:
    bench = Bench("2.0.1")
    record = bench.put("Started")
    bench.queue.online("2.1", 0)
    assert bench.poll() is record


def test_what_201_has_no_words_for_waits_for_a_connection_of_21_and_lets_the_rest_pass() -> None:
    bench = Bench("2.1")
    new, plain = bench.put("Started"), bench.put("Updated")
    bench.queue.online("2.0.1", 0)
    assert bench.next() is new
    bench.queue.hopeless("a field of 2.1")
    bench.now = S
    assert bench.next() is plain
    bench.queue.answered({}, bench.now)
    assert (bench.poll(), len(bench.queue), bench.given_up()) == (None, 1, [])
    bench.queue.offline(bench.now)
    bench.online()
    assert bench.next() is new


# Marks and ids


def test_e04_fr_03_what_happened_offline_says_so_and_what_did_not_does_not() -> None:
    bench = Bench()
    assert bench.put("Started").payload["offline"] is True
    bench.online()
    assert "offline" not in bench.put("Updated").payload
    bench.queue.offline(0)
    assert bench.put("Updated").payload["offline"] is True
    assert "offline" not in Bench("1.6").put("Started").payload


def test_the_id_of_a_16_transaction_goes_into_what_waited_and_into_what_comes() -> None:
    bench = Bench("1.6")
    bench.put("Started", "a")
    bench.put("Updated", "a")
    bench.put("Started", "b")
    bench.put("Updated", "b")
    bench.put("Updated", "")
    bench.put("Ended", "a")
    bench.online()
    bench.deliver(transactionId=4711)
    assert bench.deliver().payload["transactionId"] == 4711
    bench.deliver(transactionId=12)
    assert bench.deliver().payload["transactionId"] == 12
    assert "transactionId" not in bench.deliver().payload
    assert bench.deliver().payload["transactionId"] == 4711
    assert bench.put("Updated", "b").payload["transactionId"] == 12


@pytest.mark.parametrize("answer", [None, {}, {"transactionId": "x"}])
def test_errata_3_18_a_start_that_was_never_answered_leaves_minus_one(answer: Any) -> None:
    bench = Bench("1.6", attempts=1)
    bench.put("Started")
    bench.online()
    bench.next()
    if answer is None:
        bench.queue.failed("InternalError", bench.now)
    else:
        bench.queue.answered(answer, bench.now)
    assert bench.put("Updated").payload["transactionId"] == -1
    assert bench.put("Ended").payload["transactionId"] == -1


def test_the_id_of_the_csms_takes_the_place_of_one_that_was_only_put_there() -> None:
    bench = Bench("1.6")
    bench.put("Started")
    bench.put("Updated", transactionId=0)
    bench.put("Ended", transactionId=0)
    bench.online()
    bench.deliver(transactionId=77)
    assert bench.deliver().payload["transactionId"] == 77
    assert bench.deliver().payload["transactionId"] == 77


def test_what_names_its_id_keeps_it() -> None:
    bench = Bench("1.6")
    assert bench.put("Ended", "begun before this run", transactionId=9).payload["transactionId"] == 9
    assert bench.put("Ended", "begun before this run").payload["transactionId"] == -1
    assert "transactionId" not in bench.put("Updated", "begun before this run").payload


# Room


def test_e04_fr_08_readings_go_1st_3rd_5th_and_then_again_of_those_that_are_left() -> None:
    bench = Bench(limit=8)
    bench.put("Started")  # 1
    for _ in range(7):  # 2 to 8
        bench.put("Updated")
    for _ in range(4):
        bench.put("Updated")
    assert bench.dropped() == [2, 4, 6, 8]
    for _ in range(4):
        bench.put("Updated")
    assert bench.dropped() == [2, 4, 6, 8, 3, 7, 10, 12]
    assert len(bench.queue) == 8


def test_a_change_of_state_outlives_the_periodic_readings() -> None:
    bench = Bench(limit=4)
    bench.put("Updated", triggerReason="ChargingStateChanged")
    for _ in range(5):
        bench.put("Updated")
    assert 1 not in bench.dropped()


def test_start_and_end_are_never_dropped_and_the_end_always_has_room() -> None:
    bench = Bench(limit=2)
    bench.put("Started", "a")
    bench.put("Started", "b")
    with pytest.raises(StoreError):
        bench.put("Started", "c")
    bench.put("Updated", "a")
    bench.put("Ended", "a")
    bench.put("Ended", "b")
    assert bench.dropped() == [3], "the reading that came too late"
    bench.online()
    kinds = []
    while len(bench.queue):
        kinds.append(bench.deliver().payload["eventType"])
    assert kinds == ["Started", "Started", "Ended", "Ended"]


def test_a_reading_under_way_is_not_dropped() -> None:
    bench = Bench(limit=1)
    bench.online()
    first = bench.put("Updated")
    assert bench.next() is first
    bench.put("Updated")
    assert bench.dropped() == [2]
    bench.queue.answered({}, bench.now)
    assert len(bench.queue) == 0


# Clock


def test_a_record_made_before_the_clock_was_set_waits_for_it_and_is_put_right() -> None:
    bench = Bench(clock=StationClock(now=0))
    bench.now = 5 * S
    bench.put("Started")
    bench.now = 20 * S
    bench.online()
    assert bench.poll() is None
    assert bench.queue.next_deadline() is None
    bench.clock.heard("2026-11-23T12:00:00Z", 30 * S, 30 * S)
    assert bench.next().payload["timestamp"] == "2026-11-23T11:59:35.000Z"


# Storage


def stored(bench: Bench, store: MemoryStore) -> list[Record]:
    async def go() -> list[Record]:
        await store.commit(bench.queue.changes())
        return list(await store.load())

    return asyncio.run(go())


def test_a_queue_restored_from_its_store_goes_on_where_it_was() -> None:
    store, bench = MemoryStore(), Bench("1.6", attempts=3, interval_s=1)
    for kind in ("Started", "Updated", "Ended"):
        bench.put(kind)
    bench.online()
    bench.next()
    bench.queue.failed("InternalError", bench.now)
    bench.next()
    bench.queue.answered({"transactionId": 7}, bench.now)
    again = Bench("1.6")
    again.queue.restore(stored(bench, store))
    again.online()
    assert [again.deliver().payload["transactionId"] for _ in range(2)] == [7, 7]
    assert again.put("Started").number == 4


def test_attempts_outlive_the_process_and_the_dead_are_kept_apart() -> None:
    store, bench = MemoryStore(), Bench(attempts=2, interval_s=1)
    bench.put("Started")
    bench.online()
    bench.next()
    bench.queue.failed("no", bench.now)
    again = Bench(attempts=2, interval_s=1)
    again.queue.restore(stored(bench, store))
    again.online()
    again.next()
    again.queue.failed("still no", again.now)
    assert stored(again, store) == []
    assert [(record.action, reason) for record, reason in store.dead] == [("TransactionEvent", "still no")]


def test_a_restored_start_still_names_its_transaction_and_unset_times_of_an_earlier_run_end_at_this_one() -> None:
    store, bench = MemoryStore(), Bench("1.6", clock=StationClock(now=0))
    bench.now = 100 * S
    bench.put("Started", timestamp=bench.clock.stamp(bench.now))
    bench.put("Ended", timestamp=bench.clock.stamp(bench.now))
    again = Bench("1.6", clock=StationClock(now=0))
    again.queue = TransactionQueue(again.clock, "run-2")
    again.queue.restore(stored(bench, store))
    again.online()
    again.clock.heard("2026-11-23T12:00:00Z", 10 * S, 10 * S)
    assert again.deliver(transactionId=3).payload["timestamp"] == "2026-11-23T11:59:50.000Z"
    assert again.deliver().payload["transactionId"] == 3
    again.poll()
    assert [type(event) for event in again.events] == [Delivered, Delivered]
