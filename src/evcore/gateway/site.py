"""The site as the outside sees it: `ports.Site` over hub, store and payment desk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from evcore.errors import RefusedError
from evcore.gateway.history import History
from evcore.gateway.part import Part
from evcore.gateway.store import Store
from evcore.gateway.tokens import Tokens
from evcore.model import Health, Payment, Sample, Session
from evcore.ports import Hub, PaymentOrder, Token


class PaymentDesk(Protocol):
    """What the site needs of whoever handles payments."""

    async def create(self, order: PaymentOrder, key: str) -> Payment: ...
    async def webhook(self, provider: str, headers: Mapping[str, str], body: bytes) -> str: ...
    async def get(self, id: str) -> Payment | None: ...
    async def page(self, after: str | None = None, limit: int = 100) -> Sequence[Payment]: ...


class GatewaySite:
    """See `ports.Site`. payments: None: this site takes none. parts: whose state `ready` reports."""

    def __init__(
        self,
        hub: Hub,
        store: Store,
        history: History,
        tokens: Tokens,
        *,
        payments: PaymentDesk | None = None,
        parts: Sequence[Part] = (),
    ) -> None:
        self._hub, self._store, self._history, self._tokens = hub, store, history, tokens
        self._payments, self.parts = payments, parts

    @property
    def hub(self) -> Hub:
        return self._hub

    def ready(self) -> Mapping[str, str]:
        """Part -> "ok" or what is wrong. A part that shows no health is ok while it runs."""
        state = {"store": self._store.trouble or "ok"}
        for part in self.parts:
            health = self._hub.last(f"health/{part.name}")
            if isinstance(health, Health) and health.state not in ("up", "degraded"):
                state[part.name] = f"{health.state}: {health.detail}" if health.detail else health.state
            elif part.listens is not None and not part.listens.started.is_set():
                state[part.name] = "starting"
            else:
                state[part.name] = "ok"
        return state

    async def sessions(
        self, *, station: str | None = None, state: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[Session]:
        return await self._history.sessions(station=station, state=state, after=after, limit=limit)

    async def session(self, id: str) -> Session | None:
        return await self._history.session(id)

    async def session_samples(self, id: str) -> Sequence[Sample]:
        return await self._history.session_samples(id)

    async def energy(self, meter: str, from_ns: int, to_ns: int) -> Sequence[Sample]:
        return await self._history.energy(meter, from_ns, to_ns)

    async def tokens(self) -> Sequence[Token]:
        return await self._tokens.list()

    async def put_token(self, token: Token) -> None:
        await self._tokens.put(token)

    async def delete_token(self, id: str) -> bool:
        return await self._tokens.delete(id)

    async def create_payment(self, order: PaymentOrder, key: str) -> Payment:
        if self._payments is None:
            raise RefusedError("no payment provider is configured")
        return await self._payments.create(order, key)

    async def payments(self, *, after: str | None = None, limit: int = 100) -> Sequence[Payment]:
        return [] if self._payments is None else await self._payments.page(after, limit)

    async def payment(self, id: str) -> Payment | None:
        return None if self._payments is None else await self._payments.get(id)

    async def psp_webhook(self, provider: str, headers: Mapping[str, str], body: bytes) -> str:
        if self._payments is None:
            raise KeyError(provider)
        return await self._payments.webhook(provider, headers, body)
