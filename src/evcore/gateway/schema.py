"""The layout of the database file, as the steps that lead to it.

`PRAGMA user_version` counts the steps that a file has taken; `migrate` takes the rest, each in its own transaction, so
a power cut in between leaves a file that the next start carries on with. A step that has once been released is never
edited: a change is a new step.

Times are ns since 1970 UTC. Money is integer minor units. Register values are TEXT: exact digits, never a float.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

APPLICATION_ID = 0x45564352  # "EVCR": says of a file whose it is, before anything is written to it

Step = tuple[str, ...]

_FIRST: Step = (
    # A charging order. n: the short key that the tables below use. generation: 0, or more where a station used one
    # transaction id for several sessions. basis: which record each value came from (account.Basis). told_ns: when
    # the destinations last heard of it.
    """CREATE TABLE sessions (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        station TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        generation INTEGER NOT NULL,
        start_key BLOB,
        evse INTEGER NOT NULL,
        connector INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('active', 'ended')),
        started_ns INTEGER NOT NULL,
        ended_ns INTEGER,
        token TEXT,
        meter_start TEXT,
        meter_stop TEXT,
        energy_wh TEXT NOT NULL,
        reason TEXT,
        payment TEXT,
        cost INTEGER,
        currency TEXT,
        basis TEXT NOT NULL,
        told_ns INTEGER NOT NULL,
        UNIQUE (station, transaction_id, generation)
    ) STRICT""",
    "CREATE INDEX sessions_by_time ON sessions (started_ns, n)",
    "CREATE INDEX sessions_by_start ON sessions (station, start_key) WHERE start_key IS NOT NULL",
    "CREATE INDEX sessions_active ON sessions (station, started_ns) WHERE state = 'active'",
    # What a station said. seq: OCPP 2.x seqNo, -1 in 1.6. conflict: 1 where the place was taken by another content.
    # payload: as received; that of an update goes after a while, the digest stays.
    """CREATE TABLE records (
        session INTEGER NOT NULL REFERENCES sessions (n),
        seq INTEGER NOT NULL,
        digest BLOB NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('start', 'update', 'end')),
        time_ns INTEGER NOT NULL,
        meter TEXT,
        offline INTEGER NOT NULL,
        conflict INTEGER NOT NULL,
        received_ns INTEGER,
        payload BLOB,
        PRIMARY KEY (session, seq, digest)
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX records_with_payload ON records (received_ns)
        WHERE payload IS NOT NULL AND kind = 'update' AND conflict = 0""",
    # What a sample is, apart from time and value.
    """CREATE TABLE series (
        n INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        evse INTEGER NOT NULL,
        connector INTEGER NOT NULL,
        measurand TEXT NOT NULL,
        phase TEXT NOT NULL,
        unit TEXT NOT NULL,
        location TEXT NOT NULL,
        context TEXT NOT NULL,
        UNIQUE (source, measurand, evse, connector, phase, unit, location, context)
    ) STRICT""",
    # fine: 1 while a value may be thinned later on. digits: '' where the exact digits are not kept.
    """CREATE TABLE samples (
        session INTEGER NOT NULL REFERENCES sessions (n),
        series INTEGER NOT NULL REFERENCES series (n),
        time_ns INTEGER NOT NULL,
        digits TEXT NOT NULL,
        value REAL NOT NULL,
        quality TEXT NOT NULL,
        signed TEXT,
        fine INTEGER NOT NULL,
        PRIMARY KEY (session, series, time_ns, digits)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX samples_fine ON samples (time_ns) WHERE fine = 1",
    """CREATE TABLE registers (
        series INTEGER NOT NULL REFERENCES series (n),
        time_ns INTEGER NOT NULL,
        digits TEXT NOT NULL,
        value REAL NOT NULL,
        quality TEXT NOT NULL,
        fine INTEGER NOT NULL,
        PRIMARY KEY (series, time_ns)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX registers_fine ON registers (time_ns) WHERE fine = 1",
    # folded: the id in the one case by which it is compared.
    """CREATE TABLE tokens (
        folded TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        status TEXT NOT NULL,
        expires_ns INTEGER,
        grouped TEXT,
        note TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # head: 1 for the oldest waiting fact of its order_key, the only one that may go. state: waiting or dead.
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        destination TEXT NOT NULL,
        order_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_ns INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dead')),
        head INTEGER NOT NULL,
        error TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX outbox_by_key ON outbox (destination, order_key, id) WHERE state = 'waiting'",
    "CREATE INDEX outbox_heads ON outbox (destination, next_ns, id) WHERE state = 'waiting' AND head = 1",
    "CREATE INDEX outbox_dead ON outbox (destination, id) WHERE state = 'dead'",
)

_LISTS: Step = (
    "CREATE INDEX records_in_conflict ON records (received_ns) WHERE conflict = 1",
    "CREATE INDEX sessions_by_station ON sessions (station, started_ns, n)",
)

# due_ns: when the desk looks at a payment again, NULL where nothing is to be done. token: what its station gets to see.
_PAYMENTS: Step = (
    """CREATE TABLE payments (
        id TEXT PRIMARY KEY,
        provider TEXT NOT NULL,
        state TEXT NOT NULL,
        station TEXT NOT NULL,
        evse INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        currency TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        updated_ns INTEGER NOT NULL,
        provider_ref TEXT,
        redirect_url TEXT,
        session TEXT,
        cost INTEGER,
        captured INTEGER,
        error TEXT,
        idempotency_key TEXT NOT NULL UNIQUE,
        token TEXT NOT NULL UNIQUE,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_ns INTEGER
    ) STRICT""",
    "CREATE INDEX payments_due ON payments (due_ns) WHERE due_ns IS NOT NULL",
    "CREATE INDEX payments_by_time ON payments (created_ns, id)",
    "CREATE INDEX payments_by_session ON payments (session) WHERE session IS NOT NULL",
    """CREATE TABLE psp_webhooks (
        provider TEXT NOT NULL,
        id TEXT NOT NULL,
        received_ns INTEGER NOT NULL,
        PRIMARY KEY (provider, id)
    ) STRICT, WITHOUT ROWID""",
)

# The stations that were accepted once, as they described themselves.
_STATIONS: Step = (
    """CREATE TABLE stations (
        id TEXT PRIMARY KEY,
        protocol TEXT NOT NULL,
        vendor TEXT NOT NULL,
        model TEXT NOT NULL,
        serial TEXT NOT NULL,
        firmware TEXT NOT NULL,
        last_seen_ns INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
)

# Smaller rows, of which there are millions: 12 bytes of digest are plenty within a session, '' is the quality good.
# The payloads of meter values go into a table of their own, in the order of arrival: when old ones are deleted, whole
# pages become free, where a payload taken out of `records` left a hole that nothing else fits into.
_PAYLOADS: Step = (
    "UPDATE records SET digest = substr(digest, 1, 12)",
    "UPDATE samples SET quality = '' WHERE quality = 'good'",
    "UPDATE registers SET quality = '' WHERE quality = 'good'",
    """CREATE TABLE payloads (
        n INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        digest BLOB NOT NULL,
        received_ns INTEGER NOT NULL,
        payload BLOB NOT NULL,
        FOREIGN KEY (session, seq, digest) REFERENCES records (session, seq, digest)
    ) STRICT""",
    """INSERT INTO payloads (session, seq, digest, received_ns, payload)
        SELECT session, seq, digest, coalesce(received_ns, 0), payload FROM records
        WHERE kind = 'update' AND conflict = 0 AND payload IS NOT NULL ORDER BY received_ns""",
    "UPDATE records SET payload = NULL, received_ns = NULL WHERE kind = 'update' AND conflict = 0",
    "DROP INDEX records_with_payload",
)

STEPS: tuple[Step, ...] = (_FIRST, _PAYMENTS, _LISTS, _STATIONS, _PAYLOADS)


class LayoutError(Exception):
    """The file is not one that this version can serve: another program's, or a newer version's."""


def migrate(conn: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> None:
    """Bring the file to the newest layout. Raises LayoutError (nothing written then) and sqlite3.Error."""
    owner = conn.execute("PRAGMA application_id").fetchone()[0]
    version = conn.execute("PRAGMA user_version").fetchone()[0]
    if owner != APPLICATION_ID:
        if owner or version or conn.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise LayoutError("the file is a database of another program")
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    if version > len(steps):
        raise LayoutError(f"the file has layout {version}, this version of evcore knows {len(steps)}: use a newer one")
    for number, step in enumerate(steps[version:], version + 1):
        _take(conn, number, step)


def _take(conn: sqlite3.Connection, number: int, step: Step) -> None:
    conn.execute("BEGIN IMMEDIATE")
    try:
        for statement in step:
            conn.execute(statement)
        conn.execute(f"PRAGMA user_version = {number}")
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
