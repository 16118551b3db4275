"""What a connector may ask of its surroundings. `evcore.local` implements them for a connector used alone,
`evcore.gateway` for a site.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evcore.model import Answer, Authorization, Command, Item, Payment, Recorded, Sample, Session, SessionRecord

CommandHandler = Callable[[Command], Awaitable[Answer]]


@dataclass(slots=True)
class Traffic:
    """Messages of one protocol: received, sent, and refused as broken."""

    received: int = 0
    sent: int = 0
    errors: int = 0


class Subscription(Protocol):
    """A bounded queue of what was published: samples and states conflated by key, events in order, one by one.

    dropped: events lost because the consumer was too slow (the oldest go first).
    """

    dropped: int

    def __aiter__(self) -> AsyncIterator[Item]: ...
    async def get(self) -> Item: ...
    def close(self) -> None: ...


class Hub(Protocol):
    """Where connectors meet. All calls but `command` are synchronous and never block; one event loop only."""

    def publish(self, item: Item) -> None: ...
    def last(self, key: str) -> Item | None: ...
    def snapshot(self, prefix: str = "") -> list[Item]: ...
    def subscribe(self, *kinds: type, limit: int = 1000) -> Subscription:
        """Everything published from now on of these types (none named: all). At most `limit` events and `limit` keys
        wait.
        """
        ...

    def serve(self, target: str, handler: CommandHandler) -> Callable[[], None]:
        """Answer commands for `target` with `handler`, the newest registration wins; the result takes this one (only)
        back.
        """
        ...

    async def command(self, command: Command, timeout: float = 35.0) -> Answer:
        """The device's real answer; Offline, Timeout or Error as an Answer, never as an exception."""
        ...

    def traffic(self, protocol: str) -> Traffic: ...
    def all_traffic(self) -> Mapping[str, Traffic]: ...
    def count(self, name: str, n: int = 1, **labels: str) -> None:
        """Add to the counter `name` (Prometheus style, ends in _total)."""
        ...

    def counters(self) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]: ...


class Ledger(Protocol):
    """Who may charge, and the record of it that is never lost."""

    async def authorize(self, station: str, token: str) -> Authorization: ...
    async def record(self, record: SessionRecord) -> Recorded:
        """Commit, then answer. Raises StoreError: nothing is on disk, the station must keep its record."""
        ...


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a destination must be told, committed together with the record it comes from.

    order_key: facts of one key are delivered in order (the session's id). kind: as Event.kind. body: JSON object.
    """

    id: int
    order_key: str
    kind: str
    body: Mapping[str, Any]
    attempts: int = 0


class Outbox(Protocol):
    """What one destination has still to be told. A fact leaves it by `done` only; `failed` puts it back for later."""

    async def next(self, limit: int = 50) -> Sequence[Fact]:
        """The facts that may go now, at most one per order_key; waits until there is one."""
        ...

    async def done(self, ids: Sequence[int]) -> None: ...
    async def failed(self, id: int, error: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Token:
    """A user's token. expires_ns: None for never. note: whose it is."""

    id: str
    status: str = "Accepted"
    expires_ns: int | None = None
    group: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """POST /v1/payments: hold `amount` minor units of `currency` at `provider` for one session at station/evse."""

    station: str
    evse: int
    amount: int
    currency: str
    provider: str


class Site(Protocol):
    """What the outside may see of a site and ask of it: the port of the HTTP backend."""

    @property
    def hub(self) -> Hub: ...
    def ready(self) -> Mapping[str, str]:
        """Part -> "ok" or what is wrong: store, listeners, connectors."""
        ...

    async def sessions(
        self, *, station: str | None = None, state: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[Session]:
        """Newest first; `after`: id of the last session of the page before."""
        ...

    async def session(self, id: str) -> Session | None: ...
    async def session_samples(self, id: str) -> Sequence[Sample]: ...
    async def energy(self, meter: str, from_ns: int, to_ns: int) -> Sequence[Sample]:
        """Energy registers of a meter over time, oldest first, at most 10 000."""
        ...

    async def tokens(self) -> Sequence[Token]: ...
    async def put_token(self, token: Token) -> None: ...
    async def delete_token(self, id: str) -> bool: ...
    async def create_payment(self, order: PaymentOrder, key: str) -> Payment:
        """Same idempotency key and order: the first payment again. Raises KeyReused for another order, RefusedError by
        the provider.
        """
        ...

    async def payments(self, *, after: str | None = None, limit: int = 100) -> Sequence[Payment]: ...
    async def payment(self, id: str) -> Payment | None: ...
    async def psp_webhook(self, provider: str, headers: Mapping[str, str], body: bytes) -> str:
        """Verify first, then act once per webhook id. "accepted", "duplicate" or "ignored"; raises PermissionError (bad
        signature), KeyError (no such provider), MessageError (signed but not understood).
        """
        ...


class KeyReused(ValueError):
    """The idempotency key was used for another request."""
