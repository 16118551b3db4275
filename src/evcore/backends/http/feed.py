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
from collections.abc import Mapping
from typing import Any

from evcore.backends.http.encode import encode
from evcore.model import Event, Item, Payment, Session, wire

RING = 1024  # events and removals that a client can catch up on
RING_BYTES = 4 << 20
FINISHED = 500  # ended sessions and settled payments that stay in the snapshot
WAITING = 2048  # events and replies that may wait for one client
WAITING_BYTES = 8 << 20
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
    """What one client asked for and has yet to be sent.

    min_gap: seconds between two batches of deltas. resting: its writer sits such a gap out. too_slow: more waits than
    may; it has lost something and is to be closed.
    """

    def __init__(self) -> None:
        self.patterns: tuple[str, ...] = ()
        self.min_gap = 0.2
        self.cursor = 0
        self.resting = False
        self.too_slow = False
        self.starts = False  # it is to be sent its state first, as of then
        self.since: int | None = None
        self._dirty: dict[str, Entity | None] = {}
        self._replies: deque[bytes] = deque()
        self._events: deque[tuple[int, bytes]] = deque()
        self._bytes = 0

    @property
    def urgent(self) -> bool:
        """Something waits that must not wait for the next batch."""
        return self.starts or bool(self._replies or self._events)

    @property
    def batch(self) -> bool:
        """There are deltas to send."""
        return bool(self._dirty)

    @property
    def waiting(self) -> bool:
        return self.urgent or self.batch

    def wants(self, key: str) -> bool:
        return any(key.startswith(p[:-1]) if p.endswith("*") else key == p for p in self.patterns)

    def start(self, patterns: tuple[str, ...], since: int | None) -> None:
        """Whatever waits of the stream is forgotten: it will be in what the client is sent first."""
        self.patterns, self.since, self.starts = patterns, since, True
        self._dirty.clear()
        self._bytes -= sum(len(message) for _, message in self._events)
        self._events.clear()

    def changed(self, key: str, before: Entity | None) -> None:
        if not self.starts and self.wants(key):
            self._dirty.setdefault(key, before)  # the oldest one is what the client holds

    def event(self, key: str, seq: int, message: bytes) -> None:
        if not self.starts and self.wants(key) and self._fits(message):
            self._events.append((seq, message))

    def reply(self, message: bytes) -> None:
        if self._fits(message):
            self._replies.append(message)

    def _fits(self, message: bytes) -> bool:
        self._bytes += len(message)
        if len(self._replies) + len(self._events) >= WAITING or self._bytes > WAITING_BYTES:
            self.too_slow = True
        return not self.too_slow

    def take_replies(self) -> deque[bytes]:
        replies, self._replies = self._replies, deque()
        self._bytes -= sum(map(len, replies))
        return replies

    def take_changes(self) -> tuple[dict[str, Entity | None], deque[tuple[int, bytes]]]:
        """Key -> the version that the client holds; and the events."""
        dirty, self._dirty = self._dirty, {}
        events, self._events = self._events, deque()
        self._bytes -= sum(len(message) for _, message in events)
        return dirty, events


class Feed:
    """The numbered stream. node: changes with every start, since the numbers do."""

    def __init__(self) -> None:
        self.node = secrets.token_hex(8)
        self.seq = 0
        self.entities: dict[str, Entity] = {}
        self.clients: set[Client] = set()
        self._ring: deque[tuple[int, str, bytes]] = deque()  # bytes: an event's message; empty: the key was removed
        self._ring_bytes = 0
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
            client.changed(key, before)

    def _remove(self, key: str) -> None:
        self._finished.pop(key, None)
        before = self.entities.pop(key)
        self.seq += 1
        self._keep(self.seq, key, b"")
        for client in self.clients:
            client.changed(key, before)

    def _event(self, event: Event) -> None:
        seq, key = self.seq + 1, f"event/{event.kind}"
        body = {"t": "e", "seq": seq, "type": event.kind, "id": f"{self.node}-{seq}", "d": wire(event)}
        message = encode(body)
        self.seq = seq
        self._keep(seq, key, message)
        for client in self.clients:
            client.event(key, seq, message)

    def _keep(self, seq: int, key: str, message: bytes) -> None:
        self._ring.append((seq, key, message))
        self._ring_bytes += len(message)
        while len(self._ring) > RING or self._ring_bytes > RING_BYTES:
            self._floor, _, gone = self._ring.popleft()
            self._ring_bytes -= len(gone)

    def lost(self) -> None:
        """The hub dropped events: no copy is whole, everybody gets a snapshot, nobody catches up over this point."""
        self.seq += 1
        self._floor = self.seq
        self._ring.clear()
        self._ring_bytes = 0
        for client in self.clients:
            client.start(client.patterns, None)

    def subscribe(self, client: Client, patterns: tuple[str, ...], since: int | None = None) -> None:
        """From now on `client` gets what matches, first the state, or what it missed since. Replaces an earlier one."""
        client.start(patterns, since)
        self.clients.add(client)

    def take(self, client: Client) -> list[bytes]:
        """Everything that waits for `client`, in the order to send it."""
        messages = list(client.take_replies())
        if client.starts:
            messages += self._first(client)
            return messages
        dirty, events = client.take_changes()
        patches = ((key, _patch(before, self.entities.get(key))) for key, before in dirty.items())
        deltas = [(key, patch) for key, patch in patches if patch != {}]
        for at, (key, patch) in enumerate(deltas, 1):
            # Only the last message of a batch moves the cursor, and not past an event that is still to come.
            if at == len(deltas) and not events:
                client.cursor = self.seq
            messages.append(encode({"t": "d", "seq": client.cursor, "k": key, "v": patch}))
        for client.cursor, message in events:
            messages.append(message)
        return messages

    def _first(self, client: Client) -> list[bytes]:
        since, client.starts = client.since, False
        matching = {key: entity for key, entity in self.entities.items() if client.wants(key)}
        if since is None or not self._floor <= since <= self.seq:
            client.cursor = self.seq
            state = {key: entity.body for key, entity in matching.items()}
            return [encode({"t": "snap", "seq": self.seq, "d": state})]
        missed = [entry for entry in self._ring if entry[0] > since and client.wants(entry[1])]
        changed: dict[str, Any] = {key: None for _, key, event in missed if not event}
        changed |= {key: entity.body for key, entity in matching.items() if entity.seq > since}
        events = [(seq, event) for seq, _, event in missed if event]
        # The state first; its number stays behind the events that follow.
        messages = [encode({"t": "snap", "seq": since if events else self.seq, "since": since, "d": changed})]
        client.cursor = events[-1][0] if events else self.seq
        return [*messages, *(event for _, event in events)]


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
