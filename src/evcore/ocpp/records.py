"""Messages that a station must not lose, and where they are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

Kind = Literal["start", "update", "end", "other"]
_KINDS_16: dict[str, Kind] = {"StartTransaction": "start", "MeterValues": "update", "StopTransaction": "end"}
_KINDS_2: dict[str, Kind] = {"Started": "start", "Updated": "update", "Ended": "end"}
_PERIODIC = ("MeterValuePeriodic", "MeterValueClock")


@dataclass(slots=True)
class Record:
    """One message. number: its place, they only grow. version: of OCPP. payload: with wire names. transaction: the
    station's own name of the transaction that it belongs to, "" for none. attempts: failed transmissions.

    unset_run, told_ns: the run that made it before its clock was set, and what that clock showed; "" where the times
    in the payload are right.
    """

    number: int
    version: str
    action: str
    payload: dict[str, Any]
    transaction: str = ""
    attempts: int = 0
    unset_run: str = ""
    told_ns: int = 0

    @property
    def kind(self) -> Kind:
        if self.action == "TransactionEvent":
            return _KINDS_2.get(str(self.payload.get("eventType")), "other")
        return _KINDS_16.get(self.action, "other") if self.version == "1.6" else "other"

    @property
    def periodic(self) -> bool:
        """A reading among many: the first to go when memory is short."""
        return self.action == "MeterValues" or self.payload.get("triggerReason") in _PERIODIC


@dataclass(frozen=True, slots=True)
class Change:
    """What a store has to do. add: keep the record. change: it is different now. done: it may go. dead: it was given up
    (reason says why); kept apart, for somebody to look at."""

    kind: Literal["add", "change", "done", "dead"]
    record: Record
    reason: str = ""


class MessageStore(Protocol):
    """Where the records of one station are kept."""

    async def load(self) -> Sequence[Record]:
        """What is kept, in order of their numbers, without the dead."""
        ...

    async def commit(self, changes: Sequence[Change]) -> None:
        """All of them or none, in this order, and durable on return. Raises StoreError; then the same changes come
        again with the next ones."""
        ...


class MemoryStore:
    """Keeps records as long as the process lives. dead: the last ones that were given up, with the reason."""

    def __init__(self, dead: int = 100) -> None:
        self.records: dict[int, Record] = {}
        self.dead: deque[tuple[Record, str]] = deque(maxlen=dead)

    async def load(self) -> Sequence[Record]:
        return [replace(self.records[number]) for number in sorted(self.records)]

    async def commit(self, changes: Sequence[Change]) -> None:
        for change in changes:
            number = change.record.number
            if change.kind in ("add", "change"):
                self.records[number] = replace(change.record)
            else:
                self.records.pop(number, None)
            if change.kind == "dead":
                self.dead.append((change.record, change.reason))


def merged(changes: Sequence[Change]) -> list[Change]:
    """The same outcome with one change a record at most, so that a store that is away for long costs no memory."""
    last: dict[int, Change] = {}
    for change in changes:
        number, before = change.record.number, last.get(change.record.number)
        added = before is not None and before.kind == "add"
        if added and change.kind == "change":
            last[number] = Change("add", change.record)
        elif added and change.kind == "done":
            del last[number]
        else:
            last[number] = change
    return list(last.values())
