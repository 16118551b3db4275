import sqlite3
from pathlib import Path

import pytest

from evcore.errors import StoreError
from evcore.gateway.schema import STEPS
from evcore.gateway.store import Store

LAYOUT_1 = (Path(__file__).parent / "layout_1.sql").read_text()


def layout(conn):
    """Names and columns of everything, as SQLite sees it."""
    tables = [row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    indexes = sorted(row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'index'"))
    columns = {name: [tuple(row[1:]) for row in conn.execute(f"PRAGMA table_info({name})")] for name in tables}
    return columns, indexes


async def opened(path, **options):
    store = Store(path, **options)
    await store.open()
    return store


async def test_a_file_of_the_first_layout_becomes_one_of_today_and_keeps_its_rows(tmp_path):
    old = sqlite3.connect(tmp_path / "old.db")
    old.executescript(LAYOUT_1)
    old.close()
    migrated = await opened(tmp_path / "old.db")
    fresh = await opened(tmp_path / "new.db")
    assert await migrated.read(layout) == await fresh.read(layout)
    assert await migrated.read(lambda conn: conn.execute("PRAGMA user_version").fetchone()[0]) == len(STEPS)

    def everything(conn):
        return (
            conn.execute("SELECT id, meter_start, energy_wh, cost FROM sessions").fetchall(),
            conn.execute("SELECT kind, conflict, payload FROM records ORDER BY digest").fetchall(),
            conn.execute("SELECT session, seq, digest, received_ns, payload FROM payloads").fetchall(),
            conn.execute("SELECT digits FROM samples").fetchall(),
            conn.execute("SELECT kind, head FROM outbox").fetchall(),
            conn.execute("SELECT id, note FROM tokens").fetchall(),
            conn.execute("PRAGMA foreign_key_check").fetchall(),
        )

    assert await migrated.read(everything) == (
        [("s-1", "1000", "250.5", 45)],
        [("start", 0, b'{"meterStart":1000}'), ("update", 0, None), ("update", 1, b'{"other":[]}')],
        [(1, -1, b"\x01", 1500000001, b'{"meterValue":[]}')],
        [("1.2505",)],
        [("session.ended", 1)],
        [("AABB", "Ada")],
        [],
    )
    await migrated.close()
    await fresh.close()


async def test_a_step_is_taken_once_and_a_failed_one_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "site.db"
    store = await opened(path)
    await store.close()
    with pytest.raises(StoreError, match="syntax"):
        await opened(path, steps=(*STEPS, ("CREATE TABLE half (a)", "NONSENSE")))
    good = (*STEPS, ("CREATE TABLE extra (a INTEGER) STRICT", "INSERT INTO extra VALUES (1)"))
    for _ in range(2):
        store = await opened(path, steps=good)
        tables, _ = await store.read(layout)
        assert "half" not in tables
        assert await store.read(lambda conn: conn.execute("SELECT a FROM extra").fetchall()) == [(1,)]
        await store.close()


async def test_a_file_of_a_newer_version_is_refused_untouched(tmp_path):
    path = tmp_path / "site.db"
    store = await opened(path, steps=(*STEPS, ("CREATE TABLE later (a)",)))
    await store.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"layout {len(STEPS) + 1}"):
        await opened(path)
    assert path.read_bytes() == before


async def test_the_database_of_another_program_is_refused_untouched(tmp_path):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        await opened(path)
    assert path.read_bytes() == before
