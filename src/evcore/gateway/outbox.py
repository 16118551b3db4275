"""What the backends have still to be told: rows of the same file, committed together with what they tell of."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from evcore.gateway.store import Store
from evcore.ports import Fact

SIGNAL = "outbox"  # Store.write(..., wakes=SIGNAL) of every work that puts a fact

_LOOK_AGAIN_S = 30.0


def put(
    conn: sqlite3.Connection,
    destination: str,
    order_key: str,
    kind: str,
    body: Mapping[str, Any],
    now_ns: int,
    *,
    conflate: bool = False,
) -> None:
    """One more fact for `destination`, inside the caller's transaction (write it with `wakes=SIGNAL`).

    conflate: take the place of the newest fact of this key and kind, if none came after it. That must be a fact whose
    body says all that the older one said. The head of the line stays: it may be under way already.
    """
    last = conn.execute(
        "SELECT id, kind, head FROM outbox WHERE destination = ? AND order_key = ? AND state = 'waiting' "
        "ORDER BY id DESC LIMIT 1",
        (destination, order_key),
    ).fetchone()
    text = json.dumps(body, separators=(",", ":"))
    if conflate and last is not None and last[1] == kind and not last[2]:
        conn.execute("UPDATE outbox SET body = ? WHERE id = ?", (text, last[0]))
        return
    conn.execute(
        "INSERT INTO outbox (destination, order_key, kind, body, created_ns, head) VALUES (?, ?, ?, ?, ?, ?)",
        (destination, order_key, kind, text, now_ns, last is None),
    )


@dataclass(frozen=True, slots=True)
class OutboxState:
    """waiting, dead: facts; oldest_ns: when the oldest waiting one was put, None where none waits."""

    waiting: int
    dead: int
    oldest_ns: int | None


class StoreOutbox:
    """See `ports.Outbox`. What waits for one destination, oldest first, one at a time per order_key.

    `failed` puts a fact back for `base_s` * 2**attempts, at most `longest_s`, with jitter; after `max_attempts` it is
    dead: kept and shown, and the next of its key may go. So call it when the destination refused the fact, not while
    the link is down: a fact that is neither done nor failed within `lease_s` is given again.
    A fact may thus be delivered twice, never not at all: receivers tell by its id.
    """

    def __init__(
        self,
        store: Store,
        destination: str,
        *,
        base_s: float = 1.0,
        longest_s: float = 3600.0,
        max_attempts: int = 30,
        lease_s: float = 120.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.destination = destination
        self._store, self._clock = store, clock
        self._base_s, self._longest_s, self._max_attempts, self._lease_s = base_s, longest_s, max_attempts, lease_s
        self._given: dict[int, tuple[float, str]] = {}  # id -> monotonic end of the lease, order_key
        self._news = store.signal(SIGNAL)

    async def next(self, limit: int = 50) -> Sequence[Fact]:
        """See `ports.Outbox.next`. Raises StoreError."""
        while True:
            self._news.clear()
            facts, wait_s = await self._look(limit)
            if facts:
                return facts
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()

    async def done(self, ids: Sequence[int]) -> None:
        """Delivered: these leave the outbox. Ids that are not in it are ignored."""

        def remove(conn: sqlite3.Connection) -> None:
            for id in ids:
                key = conn.execute(
                    "DELETE FROM outbox WHERE id = ? AND destination = ? RETURNING order_key", (id, self.destination)
                ).fetchall()
                if key:
                    self._promote(conn, key[0][0])

        await self._store.write(remove, wakes=SIGNAL)
        for id in ids:
            self._given.pop(id, None)

    async def failed(self, id: int, error: str) -> None:
        """Refused: again later, or dead."""

        def put_back(conn: sqlite3.Connection) -> None:
            row = conn.execute(
                "SELECT order_key, attempts FROM outbox WHERE id = ? AND destination = ? AND state = 'waiting'",
                (id, self.destination),
            ).fetchone()
            if row is None:
                return
            attempts = row[1] + 1
            dead = attempts >= self._max_attempts
            conn.execute(
                "UPDATE outbox SET attempts = ?, next_ns = ?, error = ?, state = ?, head = head AND NOT ? WHERE id = ?",
                (attempts, self._after(attempts), error[:500], "dead" if dead else "waiting", dead, id),
            )
            if dead:
                self._promote(conn, row[0])

        await self._store.write(put_back, wakes=SIGNAL)
        self._given.pop(id, None)

    async def state(self) -> OutboxState:
        def count(conn: sqlite3.Connection) -> OutboxState:
            waiting, oldest = conn.execute(
                "SELECT count(*), min(created_ns) FROM outbox WHERE destination = ? AND state = 'waiting'",
                (self.destination,),
            ).fetchone()
            dead = conn.execute(
                "SELECT count(*) FROM outbox WHERE destination = ? AND state = 'dead'", (self.destination,)
            ).fetchone()[0]
            return OutboxState(waiting, dead, oldest)

        return await self._store.read(count)

    async def dead(self, limit: int = 100) -> list[tuple[Fact, str]]:
        """The facts that were given up, oldest first, each with its last error."""

        def read(conn: sqlite3.Connection) -> list[tuple[Fact, str]]:
            rows = conn.execute(
                "SELECT id, order_key, kind, body, attempts, error FROM outbox "
                "WHERE destination = ? AND state = 'dead' ORDER BY id LIMIT ?",
                (self.destination, limit),
            )
            return [(_fact(row), row[5]) for row in rows]

        return await self._store.read(read)

    async def revive(self, ids: Sequence[int]) -> None:
        """Try these dead facts again, from the first attempt."""

        def wake(conn: sqlite3.Connection) -> None:
            for id in ids:
                key = conn.execute(
                    "UPDATE outbox SET state = 'waiting', attempts = 0, next_ns = 0 "
                    "WHERE id = ? AND destination = ? AND state = 'dead' RETURNING order_key",
                    (id, self.destination),
                ).fetchall()
                if key:
                    self._promote(conn, key[0][0])

        await self._store.write(wake, wakes=SIGNAL)

    async def _look(self, limit: int) -> tuple[list[Fact], float]:
        """What may go now; and how long it is until the next one may."""
        now_ns, now = self._clock(), time.monotonic()
        self._given = {id: lease for id, lease in self._given.items() if lease[0] > now}
        busy = {order_key for _, order_key in self._given.values()}
        # A wait longer than the longest means that the clock was set back: it is over.
        latest = now_ns + int(1.5 * self._longest_s * 1e9)

        def read(conn: sqlite3.Connection) -> tuple[list[Fact], float]:
            rows = conn.execute(
                "SELECT id, order_key, kind, body, attempts, next_ns FROM outbox WHERE destination = ? "
                "AND state = 'waiting' AND head = 1 AND (next_ns <= ? OR next_ns > ?) ORDER BY id LIMIT ?",
                (self.destination, now_ns, latest, limit + len(busy)),
            ).fetchall()
            soonest = conn.execute(
                "SELECT min(next_ns) FROM outbox WHERE destination = ? AND state = 'waiting' AND head = 1 "
                "AND next_ns > ?",
                (self.destination, now_ns),
            ).fetchone()[0]
            facts = [_fact(row) for row in rows if row[1] not in busy]
            return facts[:limit], _LOOK_AGAIN_S if soonest is None else (soonest - now_ns) / 1e9

        facts, wait_s = await self._store.read(read)
        for fact in facts:
            self._given[fact.id] = now + self._lease_s, fact.order_key
        leases = (until - now for until, _ in self._given.values())
        return facts, max(0.01, min(wait_s, _LOOK_AGAIN_S, *leases))

    def _after(self, attempts: int) -> int:
        wait_s = min(self._longest_s, self._base_s * 2.0 ** min(attempts - 1, 60))
        return self._clock() + int(wait_s * random.uniform(0.5, 1.0) * 1e9)

    def _promote(self, conn: sqlite3.Connection, order_key: str) -> None:
        """The oldest waiting fact of this key becomes its head, and it alone."""
        conn.execute(
            "UPDATE outbox SET head = 0 WHERE destination = ? AND order_key = ? AND state = 'waiting' AND head = 1",
            (self.destination, order_key),
        )
        conn.execute(
            "UPDATE outbox SET head = 1 WHERE id = (SELECT min(id) FROM outbox "
            "WHERE destination = ? AND order_key = ? AND state = 'waiting')",
            (self.destination, order_key),
        )


def _fact(row: Sequence[Any]) -> Fact:
    return Fact(row[0], row[1], row[2], json.loads(row[3]), row[4])
