"""`ports.Site` in memory, for the HTTP backend used alone: what is published is what there is, nothing survives."""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from evcore.errors import FrameError, RefusedError
from evcore.local import LocalHub, LocalLedger
from evcore.model import Authorization, Item, Payment, Sample, Session
from evcore.ports import KeyReused, PaymentOrder, Token

SESSIONS = 1000
SAMPLES = 10_000
WEBHOOK_AGE_S = 300


class LocalSite:
    """Everything of one process. hub: give it to the connectors. ledger: give it to an OcppServer.

    tokens: who may charge; none at all: everyone. webhook_secrets: payment provider -> secret of Standard Webhooks,
    base64 after an optional "whsec_"; a provider's message {"type": "payment.authorised" | "payment.failed",
    "payment": id} moves that payment on.
    """

    def __init__(self, *, tokens: Sequence[Token] = (), webhook_secrets: Mapping[str, str] | None = None) -> None:
        self.hub = LocalHub(on_item=self._keep)
        self.ledger: LocalLedger = _TokenLedger(self)
        self._tokens = {token.id.casefold(): token for token in tokens}
        self._secrets = {name: _secret(text) for name, text in (webhook_secrets or {}).items()}
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._samples: dict[str, deque[Sample]] = {}
        self._energy: dict[str, deque[Sample]] = {}
        self._payments: dict[str, Payment] = {}
        self._orders: dict[str, tuple[PaymentOrder, str]] = {}
        self._webhooks: OrderedDict[tuple[str, str], None] = OrderedDict()

    def _keep(self, item: Item) -> None:
        if isinstance(item, Session):
            self._sessions[item.id] = item
            if len(self._sessions) > SESSIONS:
                gone, _ = self._sessions.popitem(last=False)
                self._samples.pop(gone, None)
        elif isinstance(item, Sample):
            if item.session is not None and item.session in self._sessions:
                self._samples.setdefault(item.session, deque(maxlen=SAMPLES)).append(item)
            if item.measurand == "Energy.Active.Import.Register":
                self._energy.setdefault(item.source, deque(maxlen=SAMPLES)).append(item)

    def ready(self) -> Mapping[str, str]:
        return {"hub": "ok"}

    async def sessions(
        self, *, station: str | None = None, state: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[Session]:
        newest = list(reversed(self._sessions.values()))
        if after is not None:
            newest = newest[next((at for at, one in enumerate(newest, 1) if one.id == after), len(newest)) :]
        found = [s for s in newest if station in (None, s.station) and state in (None, s.state)]
        return found[:limit]

    async def session(self, id: str) -> Session | None:
        return self._sessions.get(id)

    async def session_samples(self, id: str) -> Sequence[Sample]:
        return list(self._samples.get(id, ()))

    async def energy(self, meter: str, from_ns: int, to_ns: int) -> Sequence[Sample]:
        return [sample for sample in self._energy.get(meter, ()) if from_ns <= sample.time_ns < to_ns]

    async def tokens(self) -> Sequence[Token]:
        return [self._tokens[id] for id in sorted(self._tokens)]

    async def put_token(self, token: Token) -> None:
        if not 1 <= len(token.id) <= 255:
            raise ValueError(f"id: expected 1 to 255 characters, got {len(token.id)}")
        self._tokens[token.id.casefold()] = token

    async def delete_token(self, id: str) -> bool:
        return self._tokens.pop(id.casefold(), None) is not None

    async def create_payment(self, order: PaymentOrder, key: str) -> Payment:
        if key in self._orders:
            first, id = self._orders[key]
            if first != order:
                raise KeyReused(f"the key {key!r} was used for another order")
            return self._payments[id]
        if order.provider not in self._secrets:
            raise KeyError(f"payment provider {order.provider!r}")
        if self.hub.last(f"charger/{order.station}") is None:
            raise RefusedError(f"no charger {order.station!r}")
        now = time.time_ns()
        id = uuid.uuid4().hex[:20]
        payment = Payment(
            id, order.provider, "created", order.station, order.evse, order.amount, order.currency, now, now
        )
        self._orders[key] = order, id
        self._store(payment)
        return payment

    async def payments(self, *, after: str | None = None, limit: int = 100) -> Sequence[Payment]:
        newest = list(reversed(self._payments.values()))
        if after is not None:
            newest = newest[next((at for at, one in enumerate(newest, 1) if one.id == after), len(newest)) :]
        return newest[:limit]

    async def payment(self, id: str) -> Payment | None:
        return self._payments.get(id)

    async def psp_webhook(self, provider: str, headers: Mapping[str, str], body: bytes) -> str:
        secret = self._secrets[provider]
        _verify(secret, headers, body)
        seen = (provider, headers["webhook-id"])
        if seen in self._webhooks:
            return "duplicate"
        kind, id = _message(body)
        self._webhooks[seen] = None
        if len(self._webhooks) > SESSIONS:
            self._webhooks.popitem(last=False)
        payment = self._payments.get(id)
        states: dict[str, Literal["authorised", "failed"]] = {
            "payment.authorised": "authorised",
            "payment.failed": "failed",
        }
        if payment is None or kind not in states:
            return "ignored"
        self._store(replace(payment, state=states[kind], updated_ns=time.time_ns()))
        return "accepted"

    def _store(self, payment: Payment) -> None:
        self._payments[payment.id] = payment
        self.hub.publish(payment)


class _TokenLedger(LocalLedger):
    """Asks the site's tokens."""

    def __init__(self, site: LocalSite) -> None:
        super().__init__()
        self._site = site

    async def authorize(self, station: str, token: str) -> Authorization:
        tokens = {known.id.casefold(): known for known in await self._site.tokens()}
        if not tokens:
            return Authorization("Accepted")
        known = tokens.get(token.casefold())
        if known is None:
            return Authorization("Invalid")
        if known.expires_ns is not None and known.expires_ns <= time.time_ns():
            return Authorization("Expired", known.expires_ns, known.group)
        blocked = known.status != "Accepted"
        return Authorization("Blocked" if blocked else "Accepted", known.expires_ns, known.group)


def _secret(text: str) -> bytes:
    return base64.b64decode(text.removeprefix("whsec_"), validate=True)


def _verify(secret: bytes, headers: Mapping[str, str], body: bytes) -> None:
    """Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, any of several signatures, five minutes. Raises
    PermissionError."""
    id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id or not stamp.isdecimal() or abs(time.time() - int(stamp[:15])) > WEBHOOK_AGE_S:
        raise PermissionError("webhook-id or webhook-timestamp is missing, malformed or too old")
    signed = hmac.digest(secret, f"{id}.{stamp}.".encode() + body, "sha256")
    expected = "v1," + base64.b64encode(signed).decode()
    given = headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise PermissionError("no signature fits")


def _message(body: bytes) -> tuple[str, str]:
    try:
        message: Any = json.loads(body)
        return str(message["type"]), str(message["payment"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FrameError("json", f"expected an object with type and payment: {error}") from None
