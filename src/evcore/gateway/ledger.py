"""The record of every session: committed before its station gets an answer, once however often it is sent.

All is keyed by (station, transaction id): a station can only reach its own sessions. Within a session a record is
recognised by what it is (rows.digest, and seqNo in OCPP 2.x); a repeat changes nothing and gets the first answer. What
contradicts a record that is there already is kept beside it, marked, and reported as "session.conflict".
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from evcore.gateway import outbox, rows
from evcore.gateway.account import fold, has_start
from evcore.gateway.rows import NO_SEQ, SessionRow
from evcore.gateway.store import Store, is_disk_error
from evcore.gateway.tariff import Price
from evcore.gateway.tokens import Tokens
from evcore.model import Authorization, Recorded, Session, SessionRecord, wire

_log = logging.getLogger(__name__)
_CLOCK_IS_SET_NS = 978_307_200_000_000_000  # 2001: before it a station without a clock speaks
_DAY_NS = 86_400_000_000_000
_MANY = 20  # sessions of one station under one transaction id that are looked through


class SessionHook(Protocol):
    """What else belongs into the transaction of a record, a payment for instance.

    Each gets the session as it now is and returns it, with another payment, cost or currency if it likes (the rest is
    the records'). conn: no transaction statements, nothing slow. A hook that raises is undone and logged; the record
    stays, since a station that is refused too often throws its record away. `updated` also comes after the end, when
    a late record knew better.
    """

    def started(self, conn: sqlite3.Connection, session: Session) -> Session: ...
    def updated(self, conn: sqlite3.Connection, session: Session) -> Session: ...
    def ended(self, conn: sqlite3.Connection, session: Session) -> Session: ...


@dataclass(frozen=True, slots=True)
class Conflict:
    """A record that contradicts one that was there already: kept, but not part of its session."""

    session: str
    station: str
    transaction_id: str
    kind: str
    seq_no: int | None
    time_ns: int
    received_ns: int
    payload: bytes


class StoreLedger:
    """See `ports.Ledger`.

    destinations: the outboxes to be told of sessions: session.started, session.updated (at most one per `update_s`
    and session; the newest replaces one that still waits), session.ended, session.conflict, with `wire(session)` as
    body. tokens: who may charge. more_tokens: asked, with the station and the session that it began (None where none),
    for a token that `tokens` does not know; None from all: Invalid. one_session: a token that has a session going on,
    anywhere, is answered ConcurrentTx for a second one. price: what a session costs. curve_s: values other
    than registers are kept once in this time; none while less than `spare_bytes` are free on the disk.
    """

    def __init__(
        self,
        store: Store,
        *,
        hooks: Sequence[SessionHook] = (),
        destinations: Sequence[str] = (),
        tokens: Tokens | None = None,
        more_tokens: Sequence[Callable[[str, str, str | None], Awaitable[Authorization | None]]] = (),
        one_session: bool = False,
        price: Price | None = None,
        update_s: float = 60.0,
        curve_s: float = 60.0,
        spare_bytes: int = 16 << 20,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.tokens = tokens if tokens is not None else Tokens(store, clock=clock)
        self._more_tokens, self._one_session = more_tokens, one_session
        self._store, self._hooks, self._destinations, self._price = store, hooks, destinations, price
        self._update_ns, self._curve_ns = int(update_s * 1e9), int(curve_s * 1e9)
        self._spare_bytes, self._clock = spare_bytes, clock

    async def authorize(self, station: str, token: str) -> Authorization:
        """See `ports.Ledger.authorize`."""
        return await self._verdict(station, token, None)

    async def _verdict(self, station: str, token: str, session: str | None) -> Authorization:
        verdict = await self.tokens.authorize(token)
        if verdict.status == "Invalid":
            for ask in self._more_tokens:
                verdict = await ask(station, token, session) or verdict
        return verdict

    async def record(self, record: SessionRecord) -> Recorded:
        """See `ports.Ledger.record`. duplicate: also for a record in conflict, since it changed nothing.

        Raises StoreError (the station must keep its record), ValueError (an update or end that names no transaction).
        """
        if record.transaction_id is None and record.kind != "start":
            raise ValueError(f"transaction_id: expected one in a record of kind {record.kind!r}, got None")
        record = _in_range(record)

        def commit(conn: sqlite3.Connection) -> tuple[Session, bool, bool]:
            session, duplicate = self._commit(conn, record)
            return session, duplicate, self._is_second(conn, session)

        session, duplicate, second = await self._store.write(commit, wakes=outbox.SIGNAL)
        began = session.id if record.kind != "end" else None
        verdict = await self._verdict(record.station, record.token or session.token or "", began)
        if second and verdict.status == "Accepted":
            verdict = replace(verdict, status="ConcurrentTx")
        return Recorded(session, verdict, duplicate)

    async def conflicts(self, limit: int = 100) -> list[Conflict]:
        """The newest records that contradict others, for an operator to judge."""

        def read(conn: sqlite3.Connection) -> list[Conflict]:
            found = conn.execute(
                "SELECT id, station, transaction_id, kind, seq, time_ns, received_ns, payload FROM records "
                "JOIN sessions ON n = session WHERE conflict = 1 ORDER BY received_ns DESC LIMIT ?",
                (limit,),
            )
            return [
                Conflict(row[0], row[1], row[2], row[3], None if row[4] == NO_SEQ else row[4], row[5], row[6], row[7])
                for row in found
            ]

        return await self._store.read(read)

    # From here on: inside the transaction, in the writer thread.

    def _commit(self, conn: sqlite3.Connection, record: SessionRecord) -> tuple[Session, bool]:
        place = _place(conn, record)
        if place.row is None:
            if record.kind != "start":
                _log.warning(
                    "station %s: %s of transaction %s, whose start never came",
                    record.station,
                    record.kind,
                    record.transaction_id,
                )
            return self._add(conn, self._begin(conn, record, place.generation), record, created=True), False
        if place.repeat:
            return place.row.session, True
        if place.conflict:
            self._keep_conflict(conn, place.row, record)
            return place.row.session, True
        return self._add(conn, place.row, record, created=False), False

    def _is_second(self, conn: sqlite3.Connection, session: Session) -> bool:
        """Has its token an older session that still goes on? One that is silent for a day does not count: there are
        stations that never end theirs."""
        if not self._one_session or session.token is None or session.state == "ended":
            return False
        found = conn.execute(
            "SELECT 1 FROM sessions WHERE state = 'active' AND token = ? COLLATE NOCASE AND told_ns > ? "
            "AND n < (SELECT n FROM sessions WHERE id = ?) LIMIT 1",
            (session.token, self._clock() - _DAY_NS, session.id),
        )
        return found.fetchone() is not None

    def _begin(self, conn: sqlite3.Connection, record: SessionRecord, generation: int) -> SessionRow:
        asked = record.transaction_id is None
        session = Session(
            id=str(uuid.uuid4()),
            station=record.station,
            evse=record.evse,
            connector=record.connector,
            transaction_id=_new_transaction_id(conn, record.station) if asked else record.transaction_id or "",
            state="active",
            started_ns=record.time_ns,
        )
        return rows.insert_session(conn, session, generation, rows.start_key(record) if asked else None)

    def _add(self, conn: sqlite3.Connection, row: SessionRow, record: SessionRecord, *, created: bool) -> Session:
        before, now_ns = row.session, self._clock()
        row.session, row.basis = fold(before, row.basis, record)
        ended = row.session.state == "ended" and before.state != "ended"
        late = before.state == "ended" and row.session != before
        self._keep(conn, row.n, record, conflict=False)
        self._set_price(row, record)
        kinds = [kind for kind, due in (("started", created), ("ended", ended)) if due] or ["updated"]
        for kind in kinds:
            self._call_hooks(conn, row, kind)
        if kinds != ["updated"] or late or record.kind == "start" or self._update_is_due(row, now_ns):
            for kind in kinds:
                self._tell(conn, row.session, f"session.{kind}", now_ns)
            row.told_ns = now_ns
        rows.update_session(conn, row)
        return row.session

    def _keep(self, conn: sqlite3.Connection, session: int, record: SessionRecord, *, conflict: bool) -> None:
        rows.insert_record(conn, session, record, conflict, self._clock())
        has_room = self._store.free_bytes() >= self._spare_bytes
        rows.insert_samples(conn, session, record.samples, self._curve_ns if has_room else None)

    def _keep_conflict(self, conn: sqlite3.Connection, row: SessionRow, record: SessionRecord) -> None:
        _log.warning(
            "station %s, transaction %s: a %s record contradicts one on disk; both are kept",
            record.station,
            row.session.transaction_id,
            record.kind,
        )
        self._keep(conn, row.n, record, conflict=True)
        self._tell(conn, row.session, "session.conflict", self._clock())

    def _set_price(self, row: SessionRow, record: SessionRecord) -> None:
        if self._price is None:
            row.session = record.price(row.session)
            return
        try:
            price = self._price(row.session)
        except Exception:  # noqa: BLE001 - the user's code; whatever it does, the record counts more
            _log.exception("session %s: the price failed; the record is kept without a cost", row.session.id)
            return
        if price is not None:
            row.session = replace(row.session, cost=price[0], currency=price[1])

    def _call_hooks(self, conn: sqlite3.Connection, row: SessionRow, kind: str) -> None:
        for hook in self._hooks:
            conn.execute("SAVEPOINT hook")
            try:
                after: Session = getattr(hook, kind)(conn, row.session)
                row.session = replace(row.session, payment=after.payment, cost=after.cost, currency=after.currency)
            except Exception as error:
                if is_disk_error(error):
                    raise
                conn.execute("ROLLBACK TO hook")
                _log.exception("session %s: a hook failed at %r; the record is kept", row.session.id, kind)
            conn.execute("RELEASE hook")

    def _update_is_due(self, row: SessionRow, now_ns: int) -> bool:
        return not 0 <= now_ns - row.told_ns < self._update_ns  # negative: the clock was set back

    def _tell(self, conn: sqlite3.Connection, session: Session, kind: str, now_ns: int) -> None:
        body = wire(session)
        for destination in self._destinations:
            conflate = kind == "session.updated"
            outbox.put(conn, destination, session.id, kind, body, now_ns, conflate=conflate)


@dataclass(slots=True)
class _Place:
    """Where a record belongs. row None: into a new session, of this generation."""

    row: SessionRow | None
    generation: int = 0
    repeat: bool = False
    conflict: bool = False


def _place(conn: sqlite3.Connection, record: SessionRecord) -> _Place:
    if record.transaction_id is None:
        return _place_of_start(conn, record)
    found = rows.read_sessions(
        conn,
        "WHERE station = ? AND transaction_id = ? ORDER BY generation DESC LIMIT ?",
        (record.station, record.transaction_id, _MANY),
    )
    seq, mark = NO_SEQ if record.seq_no is None else record.seq_no, rows.digest(record)
    for row in found:
        if rows.has_record(conn, row.n, seq, mark):
            return _Place(row, repeat=True)
    if not found:
        return _Place(None)
    newest = found[0]
    if _is_another_session(newest, record):
        return _Place(None, newest.generation + 1)
    return _Place(newest, conflict=_contradicts(conn, newest, record))


def _place_of_start(conn: sqlite3.Connection, record: SessionRecord) -> _Place:
    """Of a StartTransaction of OCPP 1.6: the station learns the transaction id from our answer, and asks again until
    it gets one."""
    found = rows.read_sessions(
        conn,
        "WHERE station = ? AND start_key = ? ORDER BY n DESC LIMIT 1",
        (record.station, rows.start_key(record)),
    )
    if not found:
        return _Place(None)
    row = found[0]
    if row.session.state == "ended" and record.time_ns < _CLOCK_IS_SET_NS:
        return _Place(None)  # without a clock, two sessions may well begin at the same time of 1970
    same = rows.has_record(conn, row.n, NO_SEQ, rows.digest(record))
    return _Place(row, repeat=same, conflict=not same)


def _is_another_session(newest: SessionRow, record: SessionRecord) -> bool:
    """Does the station use a transaction id again? Some number from 1 after a reset, some 1.6 stations say 0 or -1
    where they never heard an id. A new session begins after the end of the last."""
    ended_ns = newest.session.ended_ns
    if ended_ns is None:
        return False
    if has_start(newest.basis):
        return record.kind == "start" and record.time_ns > ended_ns
    if record.seq_no is not None:
        return False
    return record.time_ns > ended_ns or (record.kind == "end" and record.time_ns != ended_ns)


def _contradicts(conn: sqlite3.Connection, row: SessionRow, record: SessionRecord) -> bool:
    if record.seq_no is not None:
        return rows.has_seq(conn, row.n, record.seq_no)
    if record.kind == "start":
        return has_start(row.basis)
    return record.kind == "end" and row.session.state == "ended"


def _new_transaction_id(conn: sqlite3.Connection, station: str) -> str:
    """31 random bits (an OCPP 1.6 integer, not 0): nobody can guess the transaction of another."""
    while True:
        id = str(1 + secrets.randbelow(2**31 - 1))
        taken = "SELECT 1 FROM sessions WHERE station = ? AND transaction_id = ?"
        if conn.execute(taken, (station, id)).fetchone() is None:
            return id


def _in_range(record: SessionRecord) -> SessionRecord:
    """Times that 64 bits of ns cannot say (after 2262) become the nearest that they can; the payload has the real
    one."""
    samples = tuple(replace(sample, time_ns=_clamp(sample.time_ns)) for sample in record.samples)
    return replace(record, time_ns=_clamp(record.time_ns), samples=samples)


def _clamp(time_ns: int) -> int:
    return max(-(2**63), min(2**63 - 1, time_ns))
