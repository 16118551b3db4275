"""The one SQLite file of a site: a write is answered after it is on disk, and many share one sync of the disk.

One connection, owned by one thread, does all writing and reading. The thread takes what waits, runs each work in its
own savepoint of one transaction, commits, and only then answers. SQLite 3.7.0 to 3.51.2 can lose commits where two
connections checkpoint at once (https://www.sqlite.org/wal.html#walresetbug), so the file is locked for this one
(`locking_mode=EXCLUSIVE`): a second program is refused.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from evcore.errors import StoreError
from evcore.gateway.schema import STEPS, LayoutError, Step, migrate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# These say that the file, not the statement, is the trouble: SQLite may have given up the whole transaction
# (https://www.sqlite.org/lang_transaction.html, "Response to errors within a transaction").
_DISK = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def is_disk_error(error: BaseException) -> bool:
    """Is the file in trouble (full, read-only, damaged, locked), so that no work of the group can be kept?"""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DISK


@dataclass(slots=True, eq=False)
class _Job:
    work: Work[Any]
    writes: bool
    wakes: str
    answer: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Store:
    """See the module. path: the database file, made when absent (readable by its owner only).

    queue: works that may wait; more callers wait for room. group: works that share one transaction.
    busy_s: how long `open` waits for another process to let go of the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        queue: int = 1000,
        group: int = 250,
        busy_s: float = 5.0,
        steps: Sequence[Step] = STEPS,
    ) -> None:
        self.path = Path(path)
        self.trouble = ""  # why the last transaction could not be committed, "" when it could
        self.commits = 0
        self._group, self._busy_s, self._steps = group, busy_s, steps
        self._most, self._waiting = queue, 0
        self._room = asyncio.Event()  # set when works were answered
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()  # None: close
        self._signals: dict[str, list[asyncio.Event]] = {}
        self._open = False
        self._thread: threading.Thread | None = None
        self._finished: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Open, check and migrate the file. Raises StoreError that says what is wrong with it."""
        if self._thread is not None:
            raise StoreError(f"{self.path}: is open already")
        loop = asyncio.get_running_loop()
        self._jobs = SimpleQueue()
        opened: asyncio.Future[None] = loop.create_future()
        self._finished = loop.create_future()
        # A daemon, so that a program that forgot to close still ends: what was answered is on disk anyway.
        self._thread = threading.Thread(
            target=self._main, args=(loop, opened, self._finished), name=f"store {self.path.name}", daemon=True
        )
        self._thread.start()
        try:
            await opened
        except BaseException:
            await self.close()
            raise
        self._open = True

    async def close(self) -> None:
        """Finish what waits, then let go of the file. Later calls raise StoreError."""
        thread, finished = self._thread, self._finished
        if thread is None or finished is None:
            return
        self._open = False
        self._jobs.put(None)
        await asyncio.shield(finished)
        thread.join()
        self._thread = None

    async def write(self, work: Work[T], *, wakes: str = "") -> T:
        """Run `work(connection)` in the writer thread; returns once its changes are on disk.

        work: short, no transaction statements, no other access to the connection. What it raises is raised here and
        undoes its own changes only. wakes: the `signal` to set after the commit.
        Raises StoreError: nothing of it is on disk.
        """
        return await self._ask(work, True, wakes)

    async def read(self, work: Work[T]) -> T:
        """Run `work(connection)`, which may not write, after all writes that were asked for before. Raises
        StoreError."""
        return await self._ask(work, False, "")

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a whole, compact copy to `path`, a new file. Writers wait meanwhile. Raises StoreError."""

        def copy(conn: sqlite3.Connection) -> None:
            conn.execute("PRAGMA query_only = OFF")  # VACUUM INTO counts as writing; _read switches it off anyway
            conn.execute("VACUUM INTO ?", (os.fspath(path),))

        await self.read(copy)

    def signal(self, name: str) -> asyncio.Event:
        """A new event that is set after each commit of a write with `wakes=name`; who waits clears it."""
        event = asyncio.Event()
        self._signals.setdefault(name, []).append(event)
        return event

    def free_bytes(self) -> int:
        """What an ordinary user may still write to the file system of the file; 0 where that is not to be had."""
        try:
            disk = os.statvfs(self.path)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    async def _ask(self, work: Work[T], writes: bool, wakes: str) -> T:
        while self._waiting >= self._most:
            self._room.clear()
            await self._room.wait()
        if not self._open:
            raise StoreError(f"{self.path}: is closed")
        self._waiting += 1  # until _deliver
        job = _Job(work, writes, wakes, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        result: T = await job.answer
        return result

    def _deliver(self, jobs: Sequence[_Job]) -> None:
        self._waiting -= len(jobs)
        self._room.set()
        for job in jobs:
            if job.answer.done():  # the caller was cancelled
                continue
            if job.error is None:
                job.answer.set_result(job.result)
            else:
                job.answer.set_exception(job.error)
        for name in {job.wakes for job in jobs if job.wakes and job.error is None}:
            for event in self._signals.get(name, ()):
                event.set()

    # From here on: the writer thread.

    def _main(
        self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[None], finished: asyncio.Future[None]
    ) -> None:
        conn: sqlite3.Connection | None = None
        try:
            try:
                conn = self._connect()
            except Exception as error:  # noqa: BLE001 - goes to the caller of open
                _tell(loop, _fail, opened, _store_error(self.path, error))
                return
            _tell(loop, _succeed, opened)
            while jobs := self._take():
                self._run(conn, jobs)
                _tell(loop, self._deliver, jobs)
        finally:
            if conn is not None:
                _close(conn)
            _tell(loop, _succeed, finished)

    def _take(self) -> list[_Job]:
        """What waits, at most one group; empty when the store closes."""
        job = self._jobs.get()
        if job is None:
            return []
        jobs = [job]
        while len(jobs) < self._group:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                self._jobs.put(None)  # after these
                break
            jobs.append(job)
        return jobs

    def _run(self, conn: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        """Writes first, so that a read sees what was asked for before it; all of them were asked for and none is
        answered, so no caller can see the difference."""
        writes = [job for job in jobs if job.writes]
        if writes:
            self._commit(conn, writes)
        for job in jobs:
            if not job.writes:
                self._read(conn, job)

    def _commit(self, conn: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        try:
            conn.execute("BEGIN IMMEDIATE")
            marks = conn.cursor()
            for job in jobs:
                self._attempt(conn, marks, job)
            conn.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - the thread must live, the callers must hear
            # The connection stays: after a failed sync SQLite writes the same frames of the log again, while a new
            # connection would take frames for good that the disk has lost (they are still in the page cache).
            _roll_back(conn)
            self.trouble = str(error)
            for job in jobs:
                job.error = job.error or _store_error(self.path, error)
        else:
            self.trouble = ""
            self.commits += 1

    def _attempt(self, conn: sqlite3.Connection, marks: sqlite3.Cursor, job: _Job) -> None:
        marks.execute("SAVEPOINT work")
        try:
            job.result = job.work(conn)
        except BaseException as error:  # belongs to the caller, unless the file is in trouble
            if is_disk_error(error):
                raise
            job.error = self._for_caller(error)
            marks.execute("ROLLBACK TO work")
        marks.execute("RELEASE work")

    def _read(self, conn: sqlite3.Connection, job: _Job) -> None:
        try:
            conn.execute("PRAGMA query_only = ON")
            try:
                job.result = job.work(conn)
            finally:
                conn.execute("PRAGMA query_only = OFF")
        except BaseException as error:  # noqa: BLE001 - belongs to the caller
            job.error = self._for_caller(error)

    def _for_caller(self, error: BaseException) -> Exception:
        if isinstance(error, sqlite3.Error):
            return _store_error(self.path, error)
        if isinstance(error, StopIteration) or not isinstance(error, Exception):
            return RuntimeError(f"a work raised {error!r}")  # a future carries neither
        return error

    def _connect(self) -> sqlite3.Connection:
        _create(self.path)
        conn = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None, cached_statements=256)
        try:
            conn.execute("PRAGMA locking_mode = EXCLUSIVE")
            conn.execute("PRAGMA trusted_schema = OFF")
            conn.execute("PRAGMA cell_size_check = ON")
            damage = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise StoreError(f"{self.path}: is damaged ({damage.splitlines()[-1]}): restore a copy")
            migrate(conn, self._steps)
            mode = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if mode != "wal":
                raise StoreError(f"{self.path}: expected journal mode wal, got {mode}")
            conn.execute("PRAGMA synchronous = FULL")
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("SELECT 1 FROM sqlite_master").fetchone()  # the new mode takes effect with the next read
            # After a crash: what the log holds goes into the file and onto the disk before anything new is built on it.
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            conn.close()
            raise
        return conn


def _create(path: Path) -> None:
    """Make the file if need be, readable by its owner only (it holds tokens), and its name durable."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _roll_back(conn: sqlite3.Connection) -> None:
    """Nothing of the transaction was committed, whether this succeeds or not; where it fails, the next BEGIN fails
    too and tries again."""
    with suppress(sqlite3.Error):
        if conn.in_transaction:
            conn.execute("ROLLBACK")


def _close(conn: sqlite3.Connection) -> None:
    try:
        with suppress(sqlite3.Error):  # full or failing disk: the log keeps what the file could not take
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        conn.close()


def _store_error(path: Path, error: BaseException) -> StoreError:
    if isinstance(error, StoreError):
        return StoreError(str(error))
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        reason = "another process uses it"
    elif code == sqlite3.SQLITE_NOTADB:
        reason = "is no SQLite database"
    elif code == sqlite3.SQLITE_CORRUPT:
        reason = f"is damaged ({error}): restore a copy"
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
    elif isinstance(error, sqlite3.Error | LayoutError):
        reason = str(error)
    else:
        reason = f"{type(error).__name__}: {error}"
    return StoreError(f"{path}: {reason}")


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object) -> None:
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return  # the loop is closed: nobody is left to hear it


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: StoreError) -> None:
    if not future.done():
        future.set_exception(error)
