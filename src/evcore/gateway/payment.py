"""The life of a payment, as a table: state x event -> state. No I/O, no clock; docs/payment.md is drawn from it.

    created -> authorised -> starting -> charging -> ended -> capturing -> captured
          -> failed      -> voiding -> voided                          -> review

`review` is where a human must look: money may be owed in one direction or the other. Nothing leaves it by itself.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from evcore.model import Payment, PaymentState


class PaymentEvent(StrEnum):
    """What can happen to a payment."""

    AUTHORISED = "authorised"  # the provider holds the amount
    DECLINED = "declined"  # the provider or the driver said no
    EXPIRED = "expired"  # nobody paid, or nothing started, in time
    START_SENT = "start_sent"  # committed before the start command leaves
    START_REFUSED = "start_refused"  # the station said no
    SESSION_STARTED = "session_started"
    SESSION_ENDED = "session_ended"  # with something to pay
    SESSION_FREE = "session_free"  # ended with nothing to pay
    CAPTURE_SENT = "capture_sent"  # committed before the capture leaves
    CAPTURED = "captured"
    VOIDED = "voided"
    GAVE_UP = "gave_up"  # refused for good, or tried often enough


_E = PaymentEvent

TRANSITIONS: dict[tuple[PaymentState, PaymentEvent], PaymentState] = {
    ("created", _E.AUTHORISED): "authorised",
    ("created", _E.DECLINED): "failed",
    ("created", _E.EXPIRED): "voiding",
    ("created", _E.VOIDED): "failed",
    ("authorised", _E.START_SENT): "starting",
    ("authorised", _E.EXPIRED): "voiding",
    ("authorised", _E.SESSION_STARTED): "charging",
    ("authorised", _E.SESSION_ENDED): "ended",
    ("authorised", _E.SESSION_FREE): "voiding",
    ("authorised", _E.VOIDED): "failed",
    ("starting", _E.START_REFUSED): "voiding",
    ("starting", _E.EXPIRED): "voiding",
    ("starting", _E.SESSION_STARTED): "charging",
    ("starting", _E.SESSION_ENDED): "ended",
    ("starting", _E.SESSION_FREE): "voiding",
    ("starting", _E.VOIDED): "review",
    ("charging", _E.SESSION_ENDED): "ended",
    ("charging", _E.SESSION_FREE): "voiding",
    ("charging", _E.VOIDED): "review",
    ("ended", _E.CAPTURE_SENT): "capturing",
    ("ended", _E.VOIDED): "review",
    ("capturing", _E.CAPTURED): "captured",
    ("capturing", _E.VOIDED): "review",
    ("capturing", _E.GAVE_UP): "review",
    ("voiding", _E.VOIDED): "voided",
    ("voiding", _E.CAPTURED): "review",
    ("voiding", _E.GAVE_UP): "review",
    # Energy was delivered on a payment that was already being let go: a station that started too late.
    ("voiding", _E.SESSION_ENDED): "review",
    ("voided", _E.SESSION_ENDED): "review",
    ("failed", _E.SESSION_ENDED): "review",
    # The driver paid on the provider's page after we had given up waiting.
    ("voided", _E.AUTHORISED): "voiding",
    ("failed", _E.AUTHORISED): "voiding",
}

FINAL: frozenset[PaymentState] = frozenset({"captured", "voided", "failed", "review"})


def step(payment: Payment, event: PaymentEvent, now_ns: int, **fields: object) -> Payment | None:
    """The payment after `event`, with `fields` set too; None where the table has no such step (too late, a repeat)."""
    state = TRANSITIONS.get((payment.state, event))
    if state is None:
        return None
    return replace(payment, state=state, updated_ns=now_ns, **fields)  # type: ignore[arg-type]


def to_capture(payment: Payment) -> int:
    """What to take, in minor units: the cost, and never more than what is held."""
    return min(payment.cost or 0, payment.amount)


def retry_ns(attempt: int) -> int:
    """How long to wait after the attempt number `attempt` (from 1) failed: 1 s, 2 s, 4 s ... at most 10 minutes."""
    return int(min(2.0 ** (attempt - 1), 600.0) * 1_000_000_000)
