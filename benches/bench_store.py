"""Records made durable: 100 writers at once, 10 records of 500 bytes each, every one on disk before its writer goes on.

All contestants write the same rows into the same table with the same settings (WAL, synchronous=FULL) in the same
folder. aiosqlite: autocommit, as its users have it; "aiosqlite_one" shares one transaction by hand, which no writer
could rely on, and shows what the hops between threads cost.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from evcore.gateway.store import Store

WRITERS, EACH = 100, 10
TABLE = "CREATE TABLE bench (station TEXT NOT NULL, number INTEGER NOT NULL, payload BLOB NOT NULL) STRICT"
INSERT = "INSERT INTO bench VALUES (?, ?, ?)"
PAYLOAD = b"x" * 500


class Evcore:
    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    async def open(self) -> None:
        await self.store.open()
        await self.store.write(lambda conn: conn.execute(TABLE))

    async def write(self, writer: int) -> None:
        for number in range(EACH):
            row = (f"CP{writer}", number, PAYLOAD)
            await self.store.write(lambda conn, row=row: conn.execute(INSERT, row).rowcount)  # type: ignore[misc]

    async def all(self) -> None:
        await asyncio.gather(*(self.write(writer) for writer in range(WRITERS)))

    async def close(self) -> None:
        await self.store.close()


class Aiosqlite:
    def __init__(self, path: Path) -> None:
        self.path = path

    async def open(self) -> None:
        self.db = await aiosqlite.connect(self.path, isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", TABLE):
            await self.db.execute(statement)

    async def write(self, writer: int) -> None:
        for number in range(EACH):
            await self.db.execute(INSERT, (f"CP{writer}", number, PAYLOAD))

    async def all(self) -> None:
        await asyncio.gather(*(self.write(writer) for writer in range(WRITERS)))

    async def close(self) -> None:
        await self.db.close()


class AiosqliteOne(Aiosqlite):
    async def all(self) -> None:
        await self.db.execute("BEGIN IMMEDIATE")
        await super().all()
        await self.db.execute("COMMIT")


CONTESTANTS: dict[str, type[Evcore] | type[Aiosqlite]] = {
    "evcore": Evcore,
    "aiosqlite": Aiosqlite,
    "aiosqlite_one": AiosqliteOne,
}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.benchmark(group="1 000 durable records, 100 writers")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_durable_records(benchmark: Any, contestant: str, tmp_path: Path, runner: asyncio.Runner) -> None:
    path = tmp_path / "bench.db"
    writers = CONTESTANTS[contestant](path)
    runner.run(writers.open())
    benchmark.pedantic(lambda: runner.run(writers.all()), rounds=8, warmup_rounds=1)
    runner.run(writers.close())
    with sqlite3.connect(path) as conn:
        assert conn.execute("SELECT count(*) FROM bench").fetchone() == (9 * WRITERS * EACH,)
