"""Sessions, records and samples as rows of the database. Nothing here begins or ends a transaction."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from evcore.gateway.account import REGISTER, Basis, energy_wh
from evcore.model import Quality, Sample, Session, SessionRecord

NO_SEQ = -1  # records.seq of OCPP 1.6, which numbers nothing

_COLUMNS = (
    "id, station, transaction_id, evse, connector, state, started_ns, ended_ns, token, meter_start, meter_stop, "
    "energy_wh, reason, payment, cost, currency"
)


@dataclass(slots=True)
class SessionRow:
    """A session and what only the database needs of it."""

    n: int
    generation: int
    session: Session
    basis: Basis
    told_ns: int


def read_sessions(conn: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[SessionRow]:
    """where: SQL of our own after FROM sessions; values: its parameters."""
    rows = conn.execute(f"SELECT n, generation, basis, told_ns, {_COLUMNS} FROM sessions {where}", values)  # noqa: S608
    return [SessionRow(row[0], row[1], session_of(row[4:]), json.loads(row[2]), row[3]) for row in rows]


def session_of(row: Sequence[Any]) -> Session:
    """The model's session from the columns of `_COLUMNS`."""
    return Session(
        id=row[0],
        station=row[1],
        transaction_id=row[2],
        evse=row[3],
        connector=row[4],
        state=row[5],
        started_ns=row[6],
        ended_ns=row[7],
        token=row[8],
        meter_start=row[9],
        meter_stop=row[10],
        energy_wh=float(row[11]),
        reason=row[12],
        payment=row[13],
        cost=row[14],
        currency=row[15],
    )


def _session_values(session: Session, basis: Basis) -> tuple[Any, ...]:
    return (
        session.id,
        session.station,
        session.transaction_id,
        session.evse,
        session.connector,
        session.state,
        session.started_ns,
        session.ended_ns,
        session.token,
        session.meter_start,
        session.meter_stop,
        format(energy_wh(basis), "f"),
        session.reason,
        session.payment,
        session.cost,
        session.currency,
    )


def insert_session(conn: sqlite3.Connection, session: Session, generation: int, start_key: bytes | None) -> SessionRow:
    made = conn.execute(
        "INSERT INTO sessions (generation, start_key, basis, told_ns, "  # noqa: S608
        f"{_COLUMNS}) VALUES ({_marks(20)}) RETURNING n",
        (generation, start_key, "{}", 0, *_session_values(session, {})),
    ).fetchone()
    return SessionRow(made[0], generation, session, {}, 0)


def update_session(conn: sqlite3.Connection, row: SessionRow) -> None:
    conn.execute(
        f"UPDATE sessions SET (basis, told_ns, {_COLUMNS}) = ({_marks(18)}) WHERE n = ?",  # noqa: S608
        (json.dumps(row.basis), row.told_ns, *_session_values(row.session, row.basis), row.n),
    )


def digest(record: SessionRecord) -> bytes:
    """What makes a record this very record: its payload as received, or all its fields where it came without one."""
    body = record.payload or repr(record).encode()
    return blake2b(body, digest_size=16, person=record.kind.encode()).digest()[:12]


def start_key(record: SessionRecord) -> bytes:
    """What makes a StartTransaction of OCPP 1.6 this very one, whoever rewrites its JSON: a charger without an answer
    sends it again (OCPP 1.6, 4.8 and 3.7.1)."""
    parts = (record.evse, record.connector, record.time_ns, record.meter, record.token)
    return blake2b(json.dumps(parts).encode(), digest_size=16).digest()


def has_record(conn: sqlite3.Connection, session: int, seq: int, mark: bytes) -> bool:
    found = conn.execute(
        "SELECT 1 FROM records WHERE session = ? AND seq = ? AND digest = ?", (session, seq, mark)
    ).fetchone()
    return found is not None


def has_seq(conn: sqlite3.Connection, session: int, seq: int) -> bool:
    return conn.execute("SELECT 1 FROM records WHERE session = ? AND seq = ?", (session, seq)).fetchone() is not None


def insert_record(conn: sqlite3.Connection, session: int, record: SessionRecord, conflict: bool, now_ns: int) -> None:
    """Of updates there are many, and each byte of a row counts: their payload goes where it can be thinned, their
    meter is not kept twice where a sample is it."""
    seq, mark = NO_SEQ if record.seq_no is None else record.seq_no, digest(record)
    for_good = record.kind != "update" or conflict
    received, payload = (now_ns, record.payload) if for_good else (None, None)
    sampled = not for_good and any(sample.measurand == REGISTER for sample in record.samples)
    conn.execute(
        f"INSERT INTO records VALUES ({_marks(10)})",  # noqa: S608
        (
            session,
            seq,
            mark,
            record.kind,
            record.time_ns,
            None if sampled else record.meter,
            record.offline,
            conflict,
            received,
            payload,
        ),
    )
    if not for_good:
        conn.execute(
            "INSERT INTO payloads (session, seq, digest, received_ns, payload) VALUES (?, ?, ?, ?, ?)",
            (session, seq, mark, now_ns, record.payload),
        )


def series_of(conn: sqlite3.Connection, sample: Sample) -> int:
    """The number of the sample's series, made when it is the first of it."""
    values = (
        sample.source,
        sample.measurand,
        sample.evse,
        sample.connector,
        sample.phase or "",
        sample.unit,
        sample.location,
        sample.context,
    )
    found = conn.execute(
        "SELECT n FROM series WHERE source = ? AND measurand = ? AND evse = ? AND connector = ? AND phase = ? "
        "AND unit = ? AND location = ? AND context = ?",
        values,
    ).fetchone()
    if found is not None:
        return int(found[0])
    made = conn.execute(
        "INSERT INTO series (source, measurand, evse, connector, phase, unit, location, context) "  # noqa: S608
        f"VALUES ({_marks(8)}) RETURNING n",
        values,
    ).fetchone()
    return int(made[0])


def is_register(sample: Sample) -> bool:
    """An energy register or a signed value: what a bill may rest on, never thinned."""
    return sample.signed is not None or (sample.measurand.startswith("Energy.") and "Register" in sample.measurand)


def insert_samples(conn: sqlite3.Connection, session: int, samples: Iterable[Sample], curve_ns: int | None) -> None:
    """Registers all; other values at most one per `curve_ns` and series, none where it is None."""
    for sample in samples:
        keep = is_register(sample)
        if not math.isfinite(sample.value) or (not keep and curve_ns is None):
            continue  # what is no number is kept in the payload only
        series = series_of(conn, sample)
        if not keep and _has_sample_near(conn, session, series, sample.time_ns, curve_ns or 0):
            continue
        digits = sample.digits if sample.digits is not None else (repr(sample.value) if keep else "")
        conn.execute(
            f"INSERT OR IGNORE INTO samples VALUES ({_marks(8)})",  # noqa: S608
            (session, series, sample.time_ns, digits, sample.value, stored_quality(sample), sample.signed, not keep),
        )


def _has_sample_near(conn: sqlite3.Connection, session: int, series: int, time_ns: int, span_ns: int) -> bool:
    found = conn.execute(
        "SELECT 1 FROM samples WHERE session = ? AND series = ? AND time_ns > ? AND time_ns < ? LIMIT 1",
        (session, series, time_ns - span_ns, time_ns + span_ns),
    ).fetchone()
    return found is not None


def stored_quality(sample: Sample) -> str:
    """'' for good: nearly all are."""
    return "" if sample.quality == "good" else sample.quality


SAMPLE_COLUMNS = (
    "source, measurand, value, unit, time_ns, evse, connector, phase, context, location, quality, digits"  # of both
)


def sample_of(row: Sequence[Any], *, session: str | None = None, signed: str | None = None) -> Sample:
    """The model's sample from the columns of `SAMPLE_COLUMNS`."""
    quality: Quality = row[10] or "good"
    return Sample(
        source=row[0],
        measurand=row[1],
        value=row[2],
        unit=row[3],
        time_ns=row[4],
        evse=row[5],
        connector=row[6],
        phase=row[7] or None,
        context=row[8],
        location=row[9],
        quality=quality,
        digits=row[11] or None,
        session=session,
        signed=signed,
    )


def _marks(count: int) -> str:
    return ", ".join("?" * count)
