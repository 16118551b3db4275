"""What was: sessions, their samples, and the energy registers of meters over time."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence

from evcore.errors import StoreError
from evcore.gateway import rows
from evcore.gateway.store import Store
from evcore.model import Sample, Session
from evcore.ports import Hub

_log = logging.getLogger(__name__)
_DAY_NS = 86_400 * 10**9
_MOST = 10_000  # rows of one answer (ports.Site.energy)
_STATES = {state: f"state = '{state}'" for state in ("active", "ended")}  # literals: a partial index needs them
_AT_ONCE = 500  # rows that one thinning transaction looks at


class History:
    """Queries for `ports.Site`, and the recorder of meters: `run(hub)` writes down every energy register that is
    published outside of a session, at most one per `every_s` and series, in batches of `batch_s`.

    Telemetry may be thinned: registers and curves older than `fine_days` are kept once in `coarse_s`, the payloads of
    meter values go then (their digits stay); registers are not written while less than `spare_bytes` are free.
    Session records and their registers are never thinned.
    """

    def __init__(
        self,
        store: Store,
        *,
        every_s: float = 60.0,
        batch_s: float = 10.0,
        fine_days: float = 1.0,
        coarse_s: float = 900.0,
        spare_bytes: int = 16 << 20,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.thinned = 0  # registers that were not written, for want of space
        self._store, self._clock, self._batch_s, self._spare_bytes = store, clock, batch_s, spare_bytes
        self._every_ns, self._coarse_ns = int(every_s * 1e9), int(coarse_s * 1e9)
        self._fine_ns = int(fine_days * _DAY_NS)
        self._written: dict[str, int] = {}  # sample key -> time of the last that was taken; as many as the hub has keys

    async def sessions(
        self, *, station: str | None = None, state: str | None = None, after: str | None = None, limit: int = 100
    ) -> list[Session]:
        """See `ports.Site.sessions`; `after` unknown: an empty page. Raises StoreError."""

        def read(conn: sqlite3.Connection) -> list[Session]:
            where, values = ["1"], list[object]()
            if station is not None:
                where.append("station = ?")
                values.append(station)
            if state is not None:
                where.append(_STATES.get(state, "0"))
            if after is not None:
                where.append("(started_ns, n) < (SELECT started_ns, n FROM sessions WHERE id = ?)")
                values.append(after)
            sql = f"WHERE {' AND '.join(where)} ORDER BY started_ns DESC, n DESC LIMIT ?"
            return [row.session for row in rows.read_sessions(conn, sql, [*values, max(0, min(limit, _MOST))])]

        return await self._store.read(read)

    async def session(self, id: str) -> Session | None:
        """Raises StoreError."""

        def read(conn: sqlite3.Connection) -> Session | None:
            found = rows.read_sessions(conn, "WHERE id = ?", [id])
            return found[0].session if found else None

        return await self._store.read(read)

    async def session_samples(self, id: str) -> list[Sample]:
        """Oldest first, at most 10 000. Raises StoreError."""

        def read(conn: sqlite3.Connection) -> list[Sample]:
            found = conn.execute(
                f"SELECT {rows.SAMPLE_COLUMNS}, signed FROM samples JOIN series ON series.n = series "  # noqa: S608
                "WHERE session = (SELECT n FROM sessions WHERE id = ?) ORDER BY time_ns, series LIMIT ?",
                (id, _MOST),
            )
            return [rows.sample_of(row, session=id, signed=row[12]) for row in found]

        return await self._store.read(read)

    async def energy(self, meter: str, from_ns: int, to_ns: int) -> list[Sample]:
        """See `ports.Site.energy`: from_ns <= time < to_ns. Raises StoreError."""

        def read(conn: sqlite3.Connection) -> list[Sample]:
            found = conn.execute(
                f"SELECT {rows.SAMPLE_COLUMNS} FROM registers JOIN series ON series.n = series "  # noqa: S608
                "WHERE series IN (SELECT n FROM series WHERE source = ?) AND time_ns >= ? AND time_ns < ? "
                "ORDER BY time_ns, series LIMIT ?",
                (meter, from_ns, to_ns, _MOST),
            )
            return [rows.sample_of(row) for row in found]

        return await self._store.read(read)

    async def run(self, hub: Hub) -> None:
        """Write down what meters publish, and thin what is old, until cancelled (what was taken is written then)."""
        taken: list[Sample] = []
        subscription = hub.subscribe(Sample, limit=_MOST)
        try:
            while True:
                try:
                    async with asyncio.timeout(self._batch_s):
                        while len(taken) < _MOST:
                            item = await subscription.get()
                            if isinstance(item, Sample) and self._takes(item):
                                taken.append(item)
                except TimeoutError:
                    pass
                await self._flush(taken)
                taken = []
                await self.compact()
        finally:
            subscription.close()
            await self._flush(taken)

    async def record(self, samples: Sequence[Sample]) -> None:
        """Write these registers now; one that is there already stays. Raises StoreError."""

        def write(conn: sqlite3.Connection) -> None:
            for sample in samples:
                digits = sample.digits if sample.digits is not None else repr(sample.value)
                conn.execute(
                    "INSERT OR IGNORE INTO registers VALUES (?, ?, ?, ?, ?, 1)",
                    (rows.series_of(conn, sample), sample.time_ns, digits, sample.value, rows.stored_quality(sample)),
                )

        await self._store.write(write)

    async def compact(self) -> int:
        """Thin what is older than `fine_days`, a bounded step a call; the number of rows that were looked at, 0 when
        nothing is left to do. Raises nothing: what fails is tried again at the next call."""
        before_ns = self._clock() - self._fine_ns

        def thin(conn: sqlite3.Connection) -> int:
            return (
                _thin_registers(conn, before_ns, self._coarse_ns)
                + _thin_samples(conn, before_ns, self._coarse_ns)
                + _drop_payloads(conn, before_ns)
            )

        try:
            if not await self._store.read(lambda conn: _has_old(conn, before_ns)):
                return 0
            return await self._store.write(thin)
        except StoreError as error:
            _log.warning("old telemetry could not be thinned: %s", error)
            return 0

    def _takes(self, sample: Sample) -> bool:
        if not sample.measurand.startswith("Energy.") or not rows.is_register(sample):
            return False
        if sample.quality != "good" or sample.session is not None or not -(2**63) <= sample.time_ns < 2**63:
            return False
        last = self._written.get(sample.key)
        if last is not None and 0 <= sample.time_ns - last < self._every_ns:
            return False
        self._written[sample.key] = sample.time_ns
        return True

    async def _flush(self, taken: Sequence[Sample]) -> None:
        if not taken:
            return
        if self._store.free_bytes() < self._spare_bytes:
            self.thinned += len(taken)
            return
        try:
            await self.record(taken)
        except StoreError as error:
            self.thinned += len(taken)
            _log.warning("%d registers of meters were not written: %s", len(taken), error)


def _has_old(conn: sqlite3.Connection, before_ns: int) -> bool:
    """By the partial indexes, which hold only what is still fine."""
    return any(
        conn.execute(sql, (before_ns,)).fetchone() is not None
        for sql in (
            "SELECT 1 FROM registers WHERE fine = 1 AND time_ns < ? LIMIT 1",
            "SELECT 1 FROM samples WHERE fine = 1 AND time_ns < ? LIMIT 1",
            f"SELECT 1 FROM (SELECT received_ns FROM payloads ORDER BY n LIMIT 1) WHERE {_OLD_PAYLOAD}",  # noqa: S608
        )
    )


def _thin_registers(conn: sqlite3.Connection, before_ns: int, span_ns: int) -> int:
    old = conn.execute(
        "SELECT series, time_ns FROM registers WHERE fine = 1 AND time_ns < ? ORDER BY time_ns LIMIT ?",
        (before_ns, _AT_ONCE),
    ).fetchall()
    for series, time_ns in old:
        start = time_ns - time_ns % span_ns
        kept = conn.execute(
            "SELECT 1 FROM registers WHERE series = ? AND time_ns >= ? AND time_ns < ? AND fine = 0 LIMIT 1",
            (series, start, start + span_ns),
        ).fetchone()
        sql = "DELETE FROM registers" if kept else "UPDATE registers SET fine = 0"
        conn.execute(f"{sql} WHERE series = ? AND time_ns = ?", (series, time_ns))
    return len(old)


def _thin_samples(conn: sqlite3.Connection, before_ns: int, span_ns: int) -> int:
    old = conn.execute(
        "SELECT session, series, time_ns, digits FROM samples WHERE fine = 1 AND time_ns < ? ORDER BY time_ns LIMIT ?",
        (before_ns, _AT_ONCE),
    ).fetchall()
    for session, series, time_ns, digits in old:
        start = time_ns - time_ns % span_ns
        kept = conn.execute(
            "SELECT 1 FROM samples WHERE session = ? AND series = ? AND time_ns >= ? AND time_ns < ? AND fine = 0 "
            "LIMIT 1",
            (session, series, start, start + span_ns),
        ).fetchone()
        sql = "DELETE FROM samples" if kept else "UPDATE samples SET fine = 0"
        conn.execute(
            f"{sql} WHERE session = ? AND series = ? AND time_ns = ? AND digits = ?",
            (session, series, time_ns, digits),
        )
    return len(old)


# The oldest come first. One that seems to come from the future came while the clock was wrong.
_OLD_PAYLOAD = f"(received_ns < ?1 OR received_ns > ?1 + {100 * _DAY_NS})"


def _drop_payloads(conn: sqlite3.Connection, before_ns: int) -> int:
    return conn.execute(
        f"DELETE FROM payloads WHERE n IN (SELECT n FROM payloads ORDER BY n LIMIT {_AT_ONCE}) AND {_OLD_PAYLOAD}",  # noqa: S608
        (before_ns,),
    ).rowcount
