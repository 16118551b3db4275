"""`evcore run` as a process, and its deaths."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from evcore.gateway.store import Store


class KilledGateway:
    """site: the text of its configuration, whose store is `site.db`. kills_ns: when it was killed."""

    def __init__(self, folder: Path, site: str) -> None:
        self.path, self._config = folder / "site.db", folder / "site.toml"
        self._config.write_text(site)
        self.kills_ns: list[int] = []
        self._log: deque[str] = deque(maxlen=100)

    async def start(self) -> None:
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "evcore", "run", self._config, stderr=asyncio.subprocess.PIPE
        )
        started = asyncio.Event()
        self._reader = asyncio.ensure_future(self._read(self.child.stderr, started))
        try:
            await asyncio.wait_for(started.wait(), 30)
        except TimeoutError:
            pytest.fail(f"it did not start: {list(self._log)[-20:]}")

    async def _read(self, lines: Any, started: asyncio.Event) -> None:
        async for line in lines:
            self._log.append(line.decode())
            if b"started: " in line:
                started.set()

    async def kill(self) -> None:
        self.child.kill()
        await self.child.wait()
        await self._reader
        self.kills_ns.append(time.time_ns())

    async def rows(self, sql: str) -> list[Any]:
        """What is in its store."""
        store = Store(self.path)
        await store.open()
        rows = await store.read(lambda conn: conn.execute(sql).fetchall())
        await store.close()
        return rows
