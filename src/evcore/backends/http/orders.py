"""Charging orders, tokens and payments."""

from __future__ import annotations

from typing import Any

from evcore.backends.http.call import Call, Context, Reply
from evcore.backends.http.models import PageQuery, PaymentBody, SessionQuery, TokenBody
from evcore.backends.http.moments import LAST_NS, exact_ns
from evcore.backends.http.paging import paged
from evcore.backends.http.problem import ProblemError
from evcore.backends.http.tables import samples_reply
from evcore.errors import LinkError, MessageError, RefusedError
from evcore.model import rfc3339, wire
from evcore.ports import KeyReused, PaymentOrder, Token


async def list_sessions(at: Context, call: Call) -> Reply:
    """Charging sessions, newest first."""
    query: SessionQuery = call.query
    found = await at.site.sessions(station=query.station, state=query.state, after=query.after, limit=query.limit + 1)
    page = found[: query.limit]
    return paged(call, [wire(session) for session in page], page[-1].id if len(found) > len(page) else None)


async def get_session(at: Context, call: Call) -> Reply:
    """One charging session."""
    session = await at.site.session(call.path["id"])
    if session is None:
        raise ProblemError(404, f"no session {call.path['id']!r}")
    return Reply(wire(session))


async def get_session_samples(at: Context, call: Call) -> Reply:
    """What was measured during a session; as JSON or CSV."""
    id = call.path["id"]
    if await at.site.session(id) is None:
        raise ProblemError(404, f"no session {id!r}")
    return await samples_reply(call, await at.site.session_samples(id), f"session-{id}")


async def list_tokens(at: Context, call: Call) -> Reply:
    """All tokens."""
    return Reply({"items": [_token(token) for token in await at.site.tokens()]})


async def put_token(at: Context, call: Call) -> Reply:
    """Make a token, or replace it."""
    id = call.path["id"]
    body: TokenBody = call.body
    expires_ns = None if body.expires is None else exact_ns(body.expires)
    if expires_ns is not None and not 0 <= expires_ns <= LAST_NS:
        wrong = "Expected a time between 1970 and 2262 (leave it out for never) - at `$.expires`"
        raise ProblemError(400, wrong, kind="malformed")
    token = Token(id, body.status, expires_ns, body.group, body.note)
    # Ids of tokens are compared without regard to case (OCPP 1.6, 7.28).
    existed = any(known.id.casefold() == id.casefold() for known in await at.site.tokens())
    try:
        await at.site.put_token(token)
    except ValueError as error:
        raise ProblemError(400, str(error), kind="malformed") from None
    return Reply(_token(token), status=200 if existed else 201)


async def delete_token(at: Context, call: Call) -> Reply:
    """Forget a token."""
    if not await at.site.delete_token(call.path["id"]):
        raise ProblemError(404, f"no token {call.path['id']!r}")
    return Reply(status=204)


def _token(token: Token) -> dict[str, Any]:
    body: dict[str, Any] = {"id": token.id, "status": token.status, "note": token.note}
    if token.expires_ns is not None:
        body["expires"] = rfc3339(token.expires_ns)
    if token.group is not None:
        body["group"] = token.group
    return body


async def list_payments(at: Context, call: Call) -> Reply:
    """Payments, newest first."""
    query: PageQuery = call.query
    found = await at.site.payments(after=query.after, limit=query.limit + 1)
    page = found[: query.limit]
    return paged(call, [wire(payment) for payment in page], page[-1].id if len(found) > len(page) else None)


async def get_payment(at: Context, call: Call) -> Reply:
    """One payment."""
    payment = await at.site.payment(call.path["id"])
    if payment is None:
        raise ProblemError(404, f"no payment {call.path['id']!r}")
    return Reply(wire(payment))


async def create_payment(at: Context, call: Call) -> Reply:
    """Hold an amount at a payment provider for one session.

    A repeat with the same Idempotency-Key gets the first payment again; 422 if it is for another order, 409 while the
    first is still being made (draft-ietf-httpapi-idempotency-key-header-07, 2.6). 402: the provider refused. 502: the
    provider cannot be reached.
    """
    body: PaymentBody = call.body
    if call.key in at.pending:
        raise ProblemError(409, "the first request with this key is still in progress", kind="in-progress")
    at.pending.add(call.key)
    try:
        order = PaymentOrder(body.station, body.evse, body.amount, body.currency, body.provider)
        payment = await at.site.create_payment(order, call.key)
    except KeyReused as error:
        raise ProblemError(422, str(error) or "the key was used for another order", kind="key-reused") from None
    except KeyError as error:
        raise ProblemError(422, f"unknown: {error.args[0] if error.args else body.provider}", kind="unknown") from None
    except RefusedError as error:
        raise ProblemError(402, str(error), kind="payment-refused") from None
    except LinkError as error:
        raise ProblemError(502, str(error), kind="provider-unreachable") from None
    finally:
        at.pending.discard(call.key)
    return Reply(wire(payment), status=201, headers={"Location": f"/v1/payments/{payment.id}"})


async def receive_webhook(at: Context, call: Call) -> Reply:
    """A payment provider's message, as it came: its signature is the only authentication.

    403: the signature is wrong. 422: signed, but not understood. 503: not stored, send it again.
    """
    try:
        result = await at.site.psp_webhook(call.path["name"], call.headers, call.raw)
    except PermissionError as error:
        raise ProblemError(403, str(error) or "bad signature", kind="bad-signature") from None
    except KeyError:
        raise ProblemError(404, f"no payment provider {call.path['name']!r}") from None
    except MessageError as error:
        raise ProblemError(422, str(error), kind="not-understood") from None
    return Reply({"result": result})
