"""The transaction messages of a station: sent in order, kept until they are answered, over any number of connections.

Sans-I/O. Source: OCPP 1.6, 3.7 and 4.8 with errata 3.18; 2.0.1 and 2.1 Part 2, E04 and E13.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from evcore.errors import StoreError
from evcore.ocpp.records import Change, Record
from evcore.ocpp.station_clock import StationClock

_SECOND = 1_000_000_000
_NO_ID = -1  # 1.6 errata 3.18: the transaction id where StartTransaction was never answered


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send it now, with a message id of its own; then tell `answered`, `failed`, `hopeless` or `offline`."""

    record: Record


@dataclass(frozen=True, slots=True)
class Delivered:
    """The CSMS answered it."""

    record: Record
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A meter reading that had to make room (E04.FR.07)."""

    record: Record


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The CSMS would not have it: it went to the dead letters (E13.FR.04)."""

    record: Record
    reason: str


QueueEvent = Transmit | Delivered | Dropped | GivenUp


class TransactionQueue:
    """First in, first out, one under way at a time.

    clock: of the station. run: a name of this run of the program, unlike that of any other. attempts, interval_s: how
    often a message is tried, and the wait before a try for each one before it; may be changed at any time (1.6
    TransactionMessageAttempts and RetryInterval, 2.x MessageAttempts and MessageAttemptInterval of TransactionEvent).
    burst_per_s: how fast what gathered while offline goes out, 0 for no limit. limit: records; beyond it meter
    readings are dropped. cuts: how many ends of connections during one try count as a failure, so that a message that
    makes the CSMS hang up does not stop all others.
    """

    def __init__(
        self,
        clock: StationClock,
        run: str,
        *,
        attempts: int = 3,
        interval_s: float = 60.0,
        burst_per_s: float = 5.0,
        limit: int = 1000,
        cuts: int = 5,
    ) -> None:
        self.attempts, self.interval_s, self.burst_per_s, self.limit = attempts, interval_s, burst_per_s, limit
        self._clock, self._run, self._cut_limit = clock, run, cuts
        self._records: OrderedDict[int, Record] = OrderedDict()
        self._numbers = 0
        self._ids: dict[str, int | None] = {}  # 1.6: transaction -> the CSMS's id of it, None until it is known
        self._open: dict[str, str] = {}  # running transaction -> version
        self._online = ""  # the version that is spoken, "" while offline
        self._aside: set[int] = set()  # what this connection's version has no words for
        self._backlog = 0  # the last number that was there when we came online
        self._under_way: Record | None = None
        self._not_before = 0  # of the next transmission
        self._wait_left = 0  # of a retry that going offline interrupted
        self._cuts = 0
        self._victims: deque[int] = deque()
        self._events: list[QueueEvent] = []
        self._changes: list[Change] = []

    def __len__(self) -> int:
        return len(self._records)

    def holds(self, version: str) -> bool:
        """Is there a record, or a running transaction, that only this version can tell of?"""
        waiting = any(record.version == version for record in self._records.values())
        return waiting or version in self._open.values()

    def restore(self, records: Iterable[Record]) -> None:
        """What a store kept, before anything else is put in."""
        for record in records:
            self._records[record.number] = record
            self._numbers = max(self._numbers, record.number)
            if record.version == "1.6" and record.kind == "start":
                self._ids[record.transaction] = None

    def put(self, action: str, payload: Mapping[str, Any], now: int, *, version: str, transaction: str = "") -> Record:
        """Keep a message until it is answered; what `changes` says of it is to be stored before it is sent.

        Raises StoreError: no room, and no meter reading that could go for it. The end of a transaction always has room.
        """
        record = Record(self._numbers + 1, version, action, dict(payload), transaction)
        if action == "TransactionEvent" and not self._online:
            record.payload["offline"] = True  # E04.FR.03
        if self._clock.quality == "none":
            record.unset_run, record.told_ns = self._run, self._clock.wall(now)
        if len(self._records) >= self.limit and not self._make_room() and record.kind != "end":
            if record.kind != "update":
                raise StoreError(f"{self.limit} messages wait for the CSMS, and none of them may be dropped")
            self._events.append(Dropped(record))
            return record
        self._numbers = record.number
        self._records[record.number] = record
        if record.kind == "start":
            self._open[transaction] = version
        elif record.kind == "end":
            self._open.pop(transaction, None)
        if version == "1.6" and transaction:
            if record.kind == "start":
                self._ids[transaction] = None
            else:
                self._name(record)
        self._changes.append(Change("add", replace(record)))
        return record

    def online(self, version: str, now: int) -> None:
        """Accepted by the CSMS, on a connection of this version. Records of another wait for a connection that speaks
        theirs."""
        self._online = version
        self._aside.clear()
        self._backlog = self._numbers
        self._not_before, self._wait_left = now + self._wait_left, 0

    def offline(self, now: int) -> None:
        """The connection is gone; what was under way will be sent again. This is no failure, or a bad network would use
        up the attempts; a message that is cut off again and again counts all the same."""
        self._online = ""
        self._wait_left = max(self._not_before - now, 0)
        if self._under_way is None:
            return
        self._cuts += 1
        if self._cuts >= self._cut_limit:
            self._cuts = 0
            self.failed("the connection ended each time", now)
            self._wait_left, self._not_before = max(self._not_before - now, 0), 0
        self._under_way = None

    def answered(self, answer: Mapping[str, Any], now: int) -> None:
        """What is under way was answered."""
        record = self._take()
        self._changes.append(Change("done", record))
        self._settle(record, answer.get("transactionId"))
        self._events.append(Delivered(record, answer))

    def failed(self, reason: str, now: int) -> None:
        """What is under way was refused, not answered in time, or answered with nonsense."""
        record = self._under_way
        if record is None:
            return
        record.attempts += 1
        if record.attempts >= self.attempts:
            self._give_up(reason)
            return
        self._under_way = None
        self._not_before = now + int(self.interval_s * record.attempts * _SECOND)  # E13.FR.03
        self._changes.append(Change("change", replace(record)))

    def hopeless(self, reason: str) -> None:
        """What is under way can never be sent; in another version than its own, not on this connection."""
        if self._under_way is not None and self._under_way.version != self._online:
            self._aside.add(self._under_way.number)
            self._under_way = None
            return
        self._give_up(reason)

    def poll(self, now: int) -> list[QueueEvent]:
        """What happened, and the next message to send."""
        record = self._next()
        if record is not None and now >= self._due(record):
            if record.unset_run:
                told = None if record.unset_run == self._run else record.told_ns
                record.payload, record.unset_run = self._clock.mend(record.payload, told), ""
                self._changes.append(Change("change", replace(record)))
            if record.number <= self._backlog and self.burst_per_s:
                self._not_before = now + int(_SECOND / self.burst_per_s)
            self._under_way = record
            self._events.append(Transmit(record))
        events, self._events = self._events, []
        return events

    def next_deadline(self) -> int | None:
        if self._events:
            return 0
        record = self._next()
        return None if record is None else self._due(record)

    def changes(self) -> list[Change]:
        """What a store has to do, in order; each is given once."""
        changes, self._changes = self._changes, []
        return changes

    # Inside

    def _next(self) -> Record | None:
        if not self._online or self._under_way is not None:
            return None
        fitting = (record for record in self._records.values() if _fits(record.version, self._online))
        record = next((record for record in fitting if record.number not in self._aside), None)
        if record is not None and record.unset_run and self._clock.quality == "none":
            return None
        return record

    def _due(self, record: Record) -> int:
        return self._not_before if record.attempts or record.number <= self._backlog else 0

    def _take(self) -> Record:
        """What is under way leaves the queue."""
        record = self._under_way
        if record is None:
            raise RuntimeError("nothing is under way")
        self._under_way, self._cuts = None, 0
        del self._records[record.number]
        return record

    def _give_up(self, reason: str) -> None:
        record = self._take()
        self._changes.append(Change("dead", record, reason))
        self._settle(record, _NO_ID)
        self._events.append(GivenUp(record, reason))

    def _settle(self, record: Record, id: Any) -> None:
        """1.6: the CSMS's id of a transaction goes into the messages that waited for it, and into later ones."""
        if record.version != "1.6" or not record.transaction:
            return
        if record.kind == "end":
            self._ids.pop(record.transaction, None)
        elif record.kind == "start":
            self._ids[record.transaction] = id if isinstance(id, int) else _NO_ID
            for waiting in self._records.values():
                if waiting.transaction == record.transaction and self._name(waiting):
                    self._changes.append(Change("change", replace(waiting)))

    def _name(self, record: Record) -> bool:
        """Put the CSMS's transaction id into a record of 1.6; False: it has it, or there is none yet."""
        if record.kind not in ("update", "end"):
            return False
        named = record.payload.get("transactionId")
        # unknown here: begun before this run, so whoever put it should have named the id
        unknown = named if named is not None or record.kind == "update" else _NO_ID
        id = self._ids.get(record.transaction, unknown)
        if id is None or id == named:
            return False
        record.payload = record.payload | {"transactionId": id}
        return True

    def _make_room(self) -> bool:
        """Drop a reading: the 1st, 3rd, 5th, ... of those that wait, then again of those that are left (E04.FR.08)."""
        while True:
            if not self._victims:
                updates = [record for record in self._records.values() if record.kind == "update"]
                updates = [record for record in updates if record is not self._under_way]
                chosen = [record for record in updates if record.periodic] or updates
                self._victims.extend(record.number for record in chosen[::2])
                if not self._victims:
                    return False
            record = self._records.get(self._victims.popleft())
            if record is None or record is self._under_way:
                continue
            del self._records[record.number]
            self._changes.append(Change("done", record))
            self._events.append(Dropped(record))
            return True


def _fits(version: str, spoken: str) -> bool:
    """What was told in 2.0.1 may be told in 2.1, and the other way round unless a field is new; nothing goes from or to
    1.6."""
    return version == spoken or "1.6" not in (version, spoken)
