"""The payment desk: carries each payment from its order to its capture, one committed step at a time.

A step is committed before its effect leaves (start command, capture, void), and the effect carries a key, so after a
crash it is simply done again. The session's side runs inside the ledger's own transaction (payment_hook.py): a stop
record and the claim on its money are one commit.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from evcore.backends.psp import Hold, Notice
from evcore.errors import LinkError, RefusedError
from evcore.gateway import outbox
from evcore.gateway import payment_store as rows
from evcore.gateway.payment import FINAL, PaymentEvent, retry_ns, step, to_capture
from evcore.gateway.payment_hook import PaymentHook
from evcore.gateway.payment_watch import PaymentWatch
from evcore.gateway.store import Store
from evcore.model import Authorization, Command, Event, Payment, PaymentState, Session, Verb
from evcore.ports import Hub, PaymentOrder

SECOND = 1_000_000_000
AT_ONCE = 64  # steps under way; a station or provider that does not answer holds up its own payments only
ASK_NS = 15 * SECOND  # between two looks at what the provider says of an order: its webhook may be lost
_WEBHOOKS_NS = 7 * 86_400 * SECOND  # how long their ids are remembered; older ones fail by their timestamp anyway
_PROVIDER_EVENTS = {
    "authorised": PaymentEvent.AUTHORISED,
    "failed": PaymentEvent.DECLINED,
    "captured": PaymentEvent.CAPTURED,
    "voided": PaymentEvent.VOIDED,
}


class Provider(Protocol):
    """What the desk needs of a payment provider: backends/psp.py."""

    async def authorize(self, reference: str, amount: int, currency: str, key: str) -> Hold: ...
    async def capture(self, ref: str, amount: int, key: str) -> Hold: ...
    async def void(self, ref: str, key: str) -> Hold: ...
    async def get(self, ref: str) -> Hold: ...
    def parse_webhook(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Notice: ...


def new_token() -> str:
    """20 characters, as OCPP 1.6 allows for an idTag; 95 random bits."""
    return "P" + base64.b32encode(secrets.token_bytes(12)).decode()[:19]


class PaymentDesk:
    """providers: by name. price: what a session costs so far, minor units and currency, None where no tariff applies.
    currency: the tariff's, no order in another is taken; None: any.

    start_timeout_s: from the authorisation to the session, then the hold is let go. order_timeout_s: from the order to
    the authorisation. destinations: the outboxes that are told of every state. attempts: of a capture or void before a
    human must look. clock: wall ns.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        providers: Mapping[str, Provider],
        *,
        price: Callable[[Session], tuple[int, str] | None],
        currency: str | None = None,
        destinations: Sequence[str] = (),
        start_timeout_s: float = 180.0,
        order_timeout_s: float = 900.0,
        attempts: int = 20,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store, self._hub, self._providers, self._currency = store, hub, providers, currency
        self._start_ns, self._order_ns = int(start_timeout_s * SECOND), int(order_timeout_s * SECOND)
        self._attempts, self._clock, self._destinations = attempts, clock, destinations
        self._due = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sent: set[str] = set()  # payments whose start command the station has accepted since this process began
        self._ordering: dict[str, asyncio.Lock] = {}
        self.hook = PaymentHook(self._wake, clock, destinations)
        self._watch = PaymentWatch(store, hub, price, self._publish, self._due.set, clock)

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._due.set)

    async def create(self, order: PaymentOrder, key: str) -> Payment:
        """See `ports.Site.create_payment`. Raises LinkError when the provider does not answer: the same key may try
        again.
        """
        provider = self._providers.get(order.provider)
        if provider is None:
            raise RefusedError(
                f"no payment provider {order.provider!r}, known: {', '.join(sorted(self._providers)) or 'none'}"
            )
        if self._currency not in (None, order.currency):
            raise RefusedError(f"currency: expected {self._currency}, that of the tariff, got {order.currency!r}")
        if self._hub.last(f"charger/{order.station}") is None:
            raise RefusedError(f"no charger {order.station!r} at this site")
        now = self._clock()
        fresh = Payment(
            id=secrets.token_hex(12),
            provider=order.provider,
            state="created",
            station=order.station,
            evse=order.evse,
            amount=order.amount,
            currency=order.currency,
            created_ns=now,
            updated_ns=now,
        )
        lock = self._ordering.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                payment = await self._store.write(
                    lambda conn: rows.create(
                        conn, fresh, key=key, token=new_token(), due_ns=now + min(ASK_NS, self._order_ns)
                    )
                )
                if payment.provider_ref is None and payment.state == "created":
                    payment = await self._authorize(provider, payment)
                return payment
        finally:
            if not lock.locked():
                self._ordering.pop(key, None)

    async def _authorize(self, provider: Provider, payment: Payment) -> Payment:
        try:
            hold = await provider.authorize(payment.id, payment.amount, payment.currency, f"auth:{payment.id}")
        except RefusedError as error:
            await self._apply(payment.id, PaymentEvent.DECLINED, error=str(error))
            raise

        def keep(conn: sqlite3.Connection) -> Payment:
            # A webhook may have overtaken the answer: keep the state that it brought.
            current = rows.by_id(conn, payment.id) or payment
            known = replace(current, provider_ref=hold.ref, redirect_url=hold.redirect_url)
            return rows.save(conn, known, due_ns=self._due_after(known))

        kept = await self._store.write(keep)
        self._publish(kept)
        if hold.status == "authorised":
            kept = await self._apply(payment.id, PaymentEvent.AUTHORISED) or kept
        return kept

    async def webhook(self, provider: str, headers: Mapping[str, str], body: bytes) -> str:
        """See `ports.Site.psp_webhook`."""
        known = self._providers.get(provider)
        if known is None:
            raise KeyError(provider)
        notice = known.parse_webhook(
            {name.lower(): value for name, value in headers.items()}, body, self._clock() / 1e9
        )
        event = _PROVIDER_EVENTS.get(notice.status)

        def act(conn: sqlite3.Connection) -> tuple[str, Payment | None]:
            if not rows.first_time(conn, provider, notice.id, self._clock()):
                return "duplicate", None
            payment = rows.by_id(conn, notice.reference)
            if event is None or payment is None or payment.provider != provider:
                return "ignored", None
            ref = payment.provider_ref or notice.ref
            # The provider's word may overtake the answer to our capture.
            taken = {"captured": notice.captured or to_capture(payment), "error": None}
            fields = taken if event is PaymentEvent.CAPTURED else {}
            if event is PaymentEvent.AUTHORISED and payment.state == "voided" and payment.provider_ref is not None:
                return "ignored", None  # overtaken: this hold was let go
            after = self._step(conn, replace(payment, provider_ref=ref), event, **fields)
            return ("accepted", after) if after else ("ignored", None)

        outcome, payment = await self._store.write(act, wakes=outbox.SIGNAL)
        if payment is not None:
            self._publish(payment)
            self._due.set()
        return outcome

    async def authorize(self, station: str, token: str, session: str | None = None) -> Authorization | None:
        """The verdict on a token that a payment was given, at the station it was given for; None for any other.
        session: that it began; a payment is for one."""
        payment = await self._store.read(lambda conn: rows.by_token(conn, token))
        if payment is None or payment.station != station:
            return None
        used = session is not None and payment.session != session
        valid = payment.state in ("authorised", "starting", "charging") and not used
        return Authorization("Accepted", max_cost=payment.amount) if valid else Authorization("Expired")

    async def get(self, id: str) -> Payment | None:
        return await self._store.read(lambda conn: rows.by_id(conn, id))

    async def page(self, after: str | None = None, limit: int = 100) -> Sequence[Payment]:
        return await self._store.read(lambda conn: rows.page(conn, after, limit))

    async def run(self) -> None:
        """Do what is due, for ever. A failing step is tried again later and hurts no other payment."""
        # A start command may have been lost with the process that sent it, a webhook while it was away.
        await self._store.write(lambda conn: rows.make_due(conn, ("created", "starting"), self._clock()))
        for payment in await self._store.read(rows.open_payments):
            self._hub.publish(payment)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            await self._work(group)

    async def _work(self, group: asyncio.TaskGroup) -> None:
        busy: dict[str, asyncio.Task[None]] = {}

        def done(id: str) -> None:
            del busy[id]
            self._due.set()

        while True:
            self._due.clear()
            now = self._clock()
            batch = await self._store.read(lambda conn, now=now: rows.due(conn, now, 2 * AT_ONCE))  # type: ignore[misc]
            for payment, token in batch:
                if payment.id not in busy and len(busy) < AT_ONCE:
                    task = busy[payment.id] = group.create_task(self._step_of(payment, token))
                    task.add_done_callback(lambda _, id=payment.id: done(id))  # type: ignore[misc]
            wake = await self._store.read(lambda conn, now=now: rows.next_due(conn, now))  # type: ignore[misc]
            delay = 3600.0 if wake is None else min(3600.0, max(0.0, (wake - self._clock()) / SECOND))
            try:
                async with asyncio.timeout(delay):
                    await self._due.wait()
            except TimeoutError:
                await self._store.write(lambda conn: rows.forget_webhooks(conn, self._clock() - _WEBHOOKS_NS))

    async def _step_of(self, payment: Payment, token: str) -> None:
        try:
            await self._act(payment, token)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again, and is no other payment's
            await self._failed(payment.id, f"{type(error).__name__}: {error}", final=isinstance(error, RefusedError))

    async def _act(self, payment: Payment, token: str) -> None:
        """The one step that is due. LinkError: later again. RefusedError: never again."""
        state: PaymentState = payment.state
        provider = self._providers.get(payment.provider)
        if provider is None:
            raise LinkError(f"no payment provider {payment.provider!r} is configured")
        if state == "created":
            await self._ask(provider, payment)
        elif state == "authorised":
            started = await self._apply(payment.id, PaymentEvent.START_SENT)
            if started is not None:
                await self._start(started, token, first=True)
        elif state == "starting":
            late = self._clock() >= payment.updated_ns + self._start_ns
            if late:
                await self._apply(payment.id, PaymentEvent.EXPIRED, error="no session started in time")
            else:
                await self._start(payment, token, first=False)
        elif state == "ended":
            await self._apply(payment.id, PaymentEvent.CAPTURE_SENT)
        elif state == "capturing":
            await self._capture(provider, payment)
        elif state == "voiding":
            await self._void(provider, payment)

    async def _ask(self, provider: Provider, payment: Payment) -> None:
        """An order that nobody has paid yet, as far as we were told."""
        late = self._clock() >= payment.created_ns + self._order_ns
        if payment.provider_ref is not None:
            try:
                status = (await provider.get(payment.provider_ref)).status
            except (LinkError, RefusedError):
                status = "pending"
            if status in ("authorised", "failed", "voided"):
                await self._apply(payment.id, _PROVIDER_EVENTS[status])
                return
        if late:
            await self._apply(payment.id, PaymentEvent.EXPIRED, error="nobody paid in time")
        else:
            await self._reschedule(payment, self._due_after(payment) or 0)

    async def _start(self, payment: Payment, token: str, *, first: bool) -> None:
        """first: no earlier command can have reached the station."""
        last_ns = payment.updated_ns + self._start_ns
        if payment.id in self._sent:
            return await self._reschedule(payment, last_ns)
        arguments = {"evse": payment.evse, "token": token, "token_type": "DirectPayment"}
        id = f"pay:{payment.id}:{self._clock()}"
        answer = await self._hub.command(Command(payment.station, Verb.START, arguments, id))
        reason = f"the station answered {answer.status}{': ' if answer.reason else ''}{answer.reason}"
        if answer.ok:
            self._sent.add(payment.id)
            await self._reschedule(payment, last_ns)
        elif answer.status in ("Offline", "Timeout", "Error"):
            await self._reschedule(payment, min(self._clock() + 5 * SECOND, last_ns))
        elif first:
            await self._apply(payment.id, PaymentEvent.START_REFUSED, error=reason)
        else:
            # It may refuse because it charges already, by an earlier command: its record of that may be on the way.
            self._sent.add(payment.id)
            await self._reschedule(payment, last_ns, error=reason)

    async def _capture(self, provider: Provider, payment: Payment) -> None:
        amount = to_capture(payment)
        try:
            hold = await provider.capture(payment.provider_ref or "", amount, f"cap:{payment.id}")
        except RefusedError:
            hold = await provider.get(payment.provider_ref or "")
            if hold.status != "captured":
                raise
        taken = amount if hold.captured is None else hold.captured
        await self._apply(payment.id, PaymentEvent.CAPTURED, captured=taken, error=None)

    async def _void(self, provider: Provider, payment: Payment) -> None:
        if payment.provider_ref is not None:
            try:
                await provider.void(payment.provider_ref, f"void:{payment.id}")
            except RefusedError:
                hold = await provider.get(payment.provider_ref)
                if hold.status not in ("voided", "failed"):
                    raise
        await self._apply(payment.id, PaymentEvent.VOIDED)

    async def _apply(self, id: str, event: PaymentEvent, **values: object) -> Payment | None:
        """Commit one step, then show it. None where the table has no such step from where the payment is by now."""

        def act(conn: sqlite3.Connection) -> Payment | None:
            payment = rows.by_id(conn, id)
            return None if payment is None else self._step(conn, payment, event, **values)

        after = await self._store.write(act, wakes=outbox.SIGNAL)
        if after is not None:
            self._publish(after)
            self._due.set()
        return after

    def _step(
        self, conn: sqlite3.Connection, payment: Payment, event: PaymentEvent, **values: object
    ) -> Payment | None:
        after = step(payment, event, self._clock(), **values)
        if after is None:
            return None
        if after.state in FINAL or after.state == "voiding":
            self._sent.discard(after.id)
        rows.tell(conn, after, self._destinations)
        return rows.save(conn, after, due_ns=self._due_after(after))

    def _due_after(self, payment: Payment) -> int | None:
        if payment.state in FINAL or payment.state == "charging":
            return None
        if payment.state == "created":
            return min(self._clock() + ASK_NS, payment.created_ns + self._order_ns)
        # After START_SENT the step that is under way reschedules; a crash before it does is found at the next start.
        return payment.updated_ns + (self._start_ns if payment.state == "starting" else 0)

    async def _reschedule(self, payment: Payment, due_ns: int, *, error: str | None = None) -> None:
        def act(conn: sqlite3.Connection) -> None:
            current = rows.by_id(conn, payment.id)
            if current is not None and current.state == payment.state:
                rows.save(conn, replace(current, error=error or current.error), due_ns=due_ns)

        await self._store.write(act, wakes=outbox.SIGNAL)

    async def _failed(self, id: str, error: str, *, final: bool) -> None:
        """A step failed: again after a while, or `review` when it was refused or tried often enough."""

        def act(conn: sqlite3.Connection) -> Payment | None:
            payment = rows.by_id(conn, id)
            if payment is None or payment.state in FINAL:
                return None
            tried = rows.attempts(conn, id) + 1
            if final or tried >= self._attempts:
                after = self._step(conn, payment, PaymentEvent.GAVE_UP, error=error)
                if after is not None:
                    return after
            return rows.save(
                conn, replace(payment, error=error), due_ns=self._clock() + retry_ns(tried), attempts=tried
            )

        after = await self._store.write(act, wakes=outbox.SIGNAL)
        if after is not None:
            self._publish(after)

    def _publish(self, payment: Payment) -> None:
        before = self._hub.last(payment.key)
        self._hub.publish(payment)
        if isinstance(before, Payment) and before.state == payment.state:
            return
        self._hub.publish(
            Event(
                source=payment.station,
                kind=f"payment.{payment.state}",
                time_ns=payment.updated_ns,
                evse=payment.evse,
                session=payment.session,
                severity="error" if payment.state == "review" else "info",
                text=payment.error or "",
                data={"payment": payment.id, "amount": payment.amount, "currency": payment.currency},
            )
        )
