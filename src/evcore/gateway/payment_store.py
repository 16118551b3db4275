"""Payments on disk: rows of the table `payments` (gateway/schema.py), and which webhooks were already acted on.

All functions take the connection that `Store.write` or `Store.read` hands to a work, and run inside its transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import fields

from evcore.gateway import outbox
from evcore.model import Payment, PaymentState, wire
from evcore.ports import KeyReused, PaymentOrder

_NAMES = tuple(field.name for field in fields(Payment))
_COLUMNS = ", ".join(_NAMES)


def _one(conn: sqlite3.Connection, where: str, *values: object) -> Payment | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM payments WHERE {where}", values).fetchone()  # noqa: S608 - constant text
    return None if row is None else Payment(*row)


def by_id(conn: sqlite3.Connection, id: str) -> Payment | None:
    return _one(conn, "id = ?", id)


def by_token(conn: sqlite3.Connection, token: str) -> Payment | None:
    return _one(conn, "token = ?", token)


def by_session(conn: sqlite3.Connection, session: str) -> Payment | None:
    return _one(conn, "session = ?", session)


def create(conn: sqlite3.Connection, payment: Payment, *, key: str, token: str, due_ns: int) -> Payment:
    """The new payment, or the one that was made with the same key and order. Raises KeyReused."""
    known = _one(conn, "idempotency_key = ?", key)
    if known is not None:
        if order_of(known) != order_of(payment):
            raise KeyReused("this Idempotency-Key was used for another order")
        return known
    marks = ", ".join("?" * (len(_NAMES) + 3))
    conn.execute(
        f"INSERT INTO payments ({_COLUMNS}, idempotency_key, token, due_ns) VALUES ({marks})",  # noqa: S608
        (*(getattr(payment, name) for name in _NAMES), key, token, due_ns),
    )
    return payment


def order_of(payment: Payment) -> PaymentOrder:
    return PaymentOrder(payment.station, payment.evse, payment.amount, payment.currency, payment.provider)


def save(conn: sqlite3.Connection, payment: Payment, *, due_ns: int | None, attempts: int = 0) -> Payment:
    """Write the payment's fields, when to look at it again, and how often its present step has failed."""
    sets = ", ".join(f"{name} = ?" for name in _NAMES[1:])
    conn.execute(
        f"UPDATE payments SET {sets}, due_ns = ?, attempts = ? WHERE id = ?",  # noqa: S608
        (*(getattr(payment, name) for name in _NAMES[1:]), due_ns, attempts, payment.id),
    )
    return payment


def due(conn: sqlite3.Connection, now_ns: int, limit: int) -> list[tuple[Payment, str]]:
    """What the desk must look at now: payment and its token."""
    rows = conn.execute(
        f"SELECT {_COLUMNS}, token FROM payments WHERE due_ns <= ? ORDER BY due_ns LIMIT ?",  # noqa: S608
        (now_ns, limit),
    )
    return [(Payment(*row[:-1]), row[-1]) for row in rows]


def attempts(conn: sqlite3.Connection, id: str) -> int:
    """How often the present step has failed."""
    return int(conn.execute("SELECT attempts FROM payments WHERE id = ?", (id,)).fetchone()[0])


def make_due(conn: sqlite3.Connection, states: Sequence[PaymentState], now_ns: int) -> None:
    conn.executemany("UPDATE payments SET due_ns = ? WHERE state = ?", [(now_ns, state) for state in states])


def hasten_starts(conn: sqlite3.Connection, station: str, due_ns: int) -> None:
    """Look at the starts of this station at `due_ns`, where that is earlier."""
    conn.execute(
        "UPDATE payments SET due_ns = ? WHERE state = 'starting' AND station = ? AND due_ns > ?",
        (due_ns, station, due_ns),
    )


def next_due(conn: sqlite3.Connection, after_ns: int) -> int | None:
    due_ns: int | None = conn.execute("SELECT min(due_ns) FROM payments WHERE due_ns > ?", (after_ns,)).fetchone()[0]
    return due_ns


def page(conn: sqlite3.Connection, after: str | None, limit: int) -> Sequence[Payment]:
    """Newest first."""
    before = by_id(conn, after) if after else None
    where, values = "", []
    if before is not None:
        where, values = "WHERE (created_ns, id) < (?, ?)", [before.created_ns, before.id]
    order = f"SELECT {_COLUMNS} FROM payments {where} ORDER BY created_ns DESC, id DESC LIMIT ?"  # noqa: S608
    return [Payment(*row) for row in conn.execute(order, (*values, limit))]


def open_payments(conn: sqlite3.Connection) -> Sequence[Payment]:
    """All that are not in a final state: what a start-up shows in the hub."""
    final = "('captured', 'voided', 'failed')"
    return [Payment(*row) for row in conn.execute(f"SELECT {_COLUMNS} FROM payments WHERE state NOT IN {final}")]  # noqa: S608


def tell(conn: sqlite3.Connection, payment: Payment, destinations: Sequence[str]) -> None:
    """Put the payment's new state into the outboxes, behind what is said of its session."""
    for destination in destinations:
        key = payment.session or payment.id
        outbox.put(conn, destination, key, f"payment.{payment.state}", wire(payment), payment.updated_ns)


def first_time(conn: sqlite3.Connection, provider: str, webhook: str, now_ns: int) -> bool:
    """Remember a webhook; False when it had been acted on before."""
    done = conn.execute("INSERT OR IGNORE INTO psp_webhooks VALUES (?, ?, ?)", (provider, webhook, now_ns))
    return done.rowcount == 1


def forget_webhooks(conn: sqlite3.Connection, before_ns: int) -> None:
    conn.execute("DELETE FROM psp_webhooks WHERE received_ns < ?", (before_ns,))
