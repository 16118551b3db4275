"""The live feed without its sockets: one numbered stream of what the hub publishes, and what each client has not seen.

A client's copy is exact: the state of every key it asked for as of its cursor (the `seq` of the last message), and
every event up to it. Deltas are JSON Merge Patches (RFC 7396) against what that client holds, so any number of changes
between two batches make one message. Events go out at once, each one, after the deltas that were waiting: an event's
subject is known when it arrives. After a break the client says its cursor; it gets the keys that changed and the events
since, or a whole snapshot where that is too long ago.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from evcore.backends.http.encode import encode
from evcore.model import Event, Item, Payment, Session, wire

RING = 2048  # events and removals that a client can catch up on
FINISHED = 500  # ended sessions and settled payments that stay in the snapshot
WAITING = 1024  # events and replies that may wait for one client
PAYMENT_OVER = ("captured", "voided", "failed")


class Entity:
    """One version of one key. seq: of its publication."""

    __slots__ = ("_body", "item", "seq")

    def __init__(self, item: Item, seq: int) -> None:
        self.item, self.seq = item, seq
        self._body: dict[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON form, made when the first client needs it."""
        if self._body is None:
            self._body = wire(self.item)
        return self._body


class Client:
    """What one client asked for and has yet to be sent. min_gap: seconds between two batches of deltas."""

    def __init__(self) -> None:
        self.patterns: tuple[str, ...] = ()
        self.min_gap = 0.2
        self.cursor = 0
        self.too_slow = False
        self._dirty: dict[str, Entity | None] = {}
        self._queue: deque[tuple[int | None, bytes]] = deque()

    @property
    def urgent(self) -> bool:
        """Something waits that must not wait for the next batch."""
        return bool(self._queue)

    @property
    def waiting(self) -> bool:
        return bool(self._queue or self._dirty)

    def wants(self, key: str) -> bool:
        return any(key.startswith(p[:-1]) if p.endswith("*") else key == p for p in self.patterns)

    def changed(self, key: str, before: Entity | None) -> None:
        self._dirty.setdefault(key, before)  # what the client holds is the oldest one

    def push(self, message: bytes, seq: int | None = None) -> None:
        """Queue an event (with its seq) or a reply."""
        if len(self._queue) >= WAITING:
            self.too_slow = True
            return
        self._queue.append((seq, message))

    def restart(self, cursor: int) -> None:
        """Forget what waits, but for replies: the client gets its state anew."""
        self._dirty.clear()
        self._queue = deque(entry for entry in self._queue if entry[0] is None)
        self.cursor = cursor

    def take(self, entities: Mapping[str, Entity], seq: int) -> Iterator[bytes]:
        """Everything that waits, in the order to send it. entities, seq: the feed's, now."""
        dirty, self._dirty = self._dirty, {}
        queue, self._queue = self._queue, deque()
        deltas = [(key, patch) for key, before in dirty.items() if (patch := _patch(before, entities.get(key))) != {}]
        events = any(entry[0] is not None for entry in queue)
        for at, (key, patch) in enumerate(deltas, 1):
            # Only the last message of a batch moves the cursor, and not past an event that is still to come.
            if at == len(deltas) and not events:
                self.cursor = seq
            yield encode({"t": "d", "seq": self.cursor, "k": key, "v": patch})
        for number, message in queue:
            if number is not None:
                self.cursor = number
            yield message


class Feed:
    """The numbered stream. node: changes with every start, since the numbers do."""

    def __init__(self) -> None:
        self.node = secrets.token_hex(8)
        self.seq = 0
        self.entities: dict[str, Entity] = {}
        self.clients: set[Client] = set()
        self._ring: deque[tuple[int, str, bytes]] = deque()  # bytes: an event's message; empty: the key was removed
        self._floor = 0  # whoever is at or above it can catch up
        self._finished: dict[str, None] = {}

    def publish(self, item: Item) -> None:
        """One item of the hub. Raises ValueError, TypeError, RecursionError for an event that has no JSON form."""
        if isinstance(item, Event):
            self._event(item)
            return
        key, before = item.key, self.entities.get(item.key)
        if before is not None and before.item == item:
            return
        self._state(key, before, Entity(item, self.seq + 1))
        over = (isinstance(item, Session) and item.state == "ended") or (
            isinstance(item, Payment) and item.state in PAYMENT_OVER
        )
        self._finished.pop(key, None)
        if over:
            self._finished[key] = None
            if len(self._finished) > FINISHED:
                self._remove(next(iter(self._finished)))

    def _state(self, key: str, before: Entity | None, entity: Entity) -> None:
        self.seq += 1
        self.entities[key] = entity
        for client in self.clients:
            if client.wants(key):
                client.changed(key, before)

    def _remove(self, key: str) -> None:
        self._finished.pop(key, None)
        before = self.entities.pop(key)
        self.seq += 1
        self._keep(self.seq, key, b"")
        for client in self.clients:
            if client.wants(key):
                client.changed(key, before)

    def _event(self, event: Event) -> None:
        seq = self.seq + 1
        body = {"t": "e", "seq": seq, "type": event.kind, "id": f"{self.node}-{seq}", "d": wire(event)}
        message = encode(body)
        self.seq = seq
        key = f"event/{event.kind}"
        self._keep(seq, key, message)
        for client in self.clients:
            if client.wants(key):
                client.push(message, seq)

    def _keep(self, seq: int, key: str, message: bytes) -> None:
        self._ring.append((seq, key, message))
        if len(self._ring) > RING:
            self._floor = self._ring.popleft()[0]

    def lost(self) -> None:
        """The hub dropped events: nobody can catch up over this point."""
        self.seq += 1
        self._floor = self.seq
        self._ring.clear()

    def subscribe(self, client: Client, patterns: tuple[str, ...], since: int | None = None) -> list[bytes]:
        """From now on `client` gets what matches; the result is what it must be sent first. Removes an earlier one."""
        client.patterns = patterns
        client.restart(self.seq)
        matching = {key: entity for key, entity in self.entities.items() if client.wants(key)}
        if since is None or not self._floor <= since <= self.seq:
            state = {key: entity.body for key, entity in matching.items()}
            return [encode({"t": "snap", "seq": self.seq, "d": state})]
        missed = [entry for entry in self._ring if entry[0] > since and client.wants(entry[1])]
        changed: dict[str, Any] = {key: None for _, key, event in missed if not event}
        changed |= {key: entity.body for key, entity in matching.items() if entity.seq > since}
        events = [event for _, _, event in missed if event]
        # The cursor stays behind the events that follow.
        cursor = since if events else self.seq
        return [encode({"t": "snap", "seq": cursor, "since": since, "d": changed}), *events]


def _patch(before: Entity | None, after: Entity | None) -> Any:
    """The merge patch of one entity; null: it is gone; {}: nothing changed."""
    if after is None:
        return None if before is not None else {}
    if before is None:
        return after.body
    return merge_patch(before.body, after.body)


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What RFC 7396 applies to `before` to get `after`."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, new in after.items():
        old = before.get(key)
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            if inner := merge_patch(old, new):
                patch[key] = inner
        elif key not in before or old != new:
            patch[key] = new
    return patch
