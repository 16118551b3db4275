"""The session's side of a payment: what happens to it inside the ledger's own transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from evcore.gateway import payment_store as rows
from evcore.gateway.payment import FINAL, PaymentEvent, step
from evcore.model import Session


class PaymentHook:
    """A `SessionHook` of the ledger: binds a session to the payment whose token started it, and claims the money when
    it ends.

    wake: called from the store's thread, inside the transaction, so that the desk looks again.
    """

    def __init__(
        self, wake: Callable[[], None], clock: Callable[[], int] = time.time_ns, destinations: Sequence[str] = ()
    ) -> None:
        self._wake, self._clock, self._destinations = wake, clock, destinations

    def started(self, conn: sqlite3.Connection, session: Session) -> Session:
        payment = rows.by_token(conn, session.token) if session.token else None
        if payment is None or payment.session not in (None, session.id):
            return session
        now = self._clock()
        after = step(payment, PaymentEvent.SESSION_STARTED, now, session=session.id, error=None)
        if after is None:
            return session
        rows.save(conn, after, due_ns=None)
        rows.tell(conn, after, self._destinations)
        self._wake()
        return replace(session, payment=payment.id)

    def updated(self, conn: sqlite3.Connection, session: Session) -> Session:
        """A late record may know better what a session cost that has ended."""
        payment = rows.by_session(conn, session.id) if session.state == "ended" else None
        cost = session.cost or 0
        if payment is None or payment.cost in (None, cost):
            return session
        if payment.state == "ended":
            rows.save(conn, replace(payment, cost=cost), due_ns=self._clock())
        elif payment.state in ("voiding", "voided"):  # it seemed to be free
            self.ended(conn, session)
        return session

    def ended(self, conn: sqlite3.Connection, session: Session) -> Session:
        payment = rows.by_session(conn, session.id)
        if payment is None and session.token:
            payment = rows.by_token(conn, session.token)
        if payment is None or payment.session not in (None, session.id):
            return session
        now, cost = self._clock(), session.cost or 0
        event = PaymentEvent.SESSION_ENDED if cost > 0 else PaymentEvent.SESSION_FREE
        after = step(payment, event, now, session=session.id, cost=cost)
        if after is None:
            return session
        rows.save(conn, after, due_ns=None if after.state in FINAL else now)
        rows.tell(conn, after, self._destinations)
        self._wake()
        return replace(session, payment=payment.id)
