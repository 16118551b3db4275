"""What the tests of the gateway share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from evcore.gateway.store import Store

Evcore = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "site.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "evcore", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def evcore() -> Evcore:
    """evcore("check", "site.toml", cwd=...): runs the program, returns what it said and its exit code."""

    def run(*arguments: str, env: dict[str, str] | None = None, **more: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "evcore", *arguments]
        environ = {**os.environ, "COLUMNS": "120", **(env or {})}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, **more)  # type: ignore[call-overload]

    return run
