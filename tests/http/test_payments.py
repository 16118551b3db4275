"""Payments and the provider's webhook."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time

import pytest

from evcore.errors import LinkError, RefusedError, StoreError

ORDER = {"station": "CP1", "evse": 1, "amount": 2500, "currency": "EUR", "provider": "psp"}


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def signed(body: bytes, id: str, *, secret: bytes = b"a secret of thirty-two bytes, 123", at: float | None = None):
    """By the text of Standard Webhooks, not by our code."""
    stamp = str(int(time.time() if at is None else at))
    mac = hmac.new(secret, f"{id}.{stamp}.".encode() + body, "sha256").digest()
    signature = "v1,AAAA v1," + base64.b64encode(mac).decode()
    return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signature}


async def test_a_payment_is_made_once_for_a_key(client):
    got = await client.post("/v1/payments", json=ORDER, headers=keyed("a"))
    assert (got.status, got.json["state"], got.json["amount"]) == (201, "created", 2500)
    again = await client.post("/v1/payments", json=ORDER, headers=keyed("a"))
    assert again.json == got.json
    assert (await client.get(got.headers["Location"])).json == got.json
    other = await client.post("/v1/payments", json=ORDER | {"amount": 1}, headers=keyed("a"))
    assert (other.status, other.json["type"]) == (422, "tag:evcore,2026:key-reused")
    assert [item["id"] for item in (await client.get("/v1/payments")).json["items"]] == [got.json["id"]]
    assert (await client.get("/v1/payments/nope")).status == 404


@pytest.mark.parametrize("key", [None, "", '""', "x" * 256, "caf\u00e9"])
async def test_a_payment_without_a_good_key_is_refused(client, key):
    got = await client.post("/v1/payments", json=ORDER, headers={} if key is None else keyed(key))
    assert (got.status, got.json["type"]) == (400, "tag:evcore,2026:idempotency-key")


async def test_a_second_request_while_the_first_is_in_progress_is_a_conflict(client, site, monkeypatch):
    gate, entered, create = asyncio.Event(), asyncio.Event(), site.create_payment

    async def slow(order, key):
        entered.set()
        await gate.wait()
        return await create(order, key)

    monkeypatch.setattr(site, "create_payment", slow)
    first = asyncio.create_task(client.post("/v1/payments", json=ORDER, headers=keyed("a")))
    await entered.wait()
    assert (await client.post("/v1/payments", json=ORDER, headers=keyed("a"))).status == 409
    gate.set()
    assert (await first).status == 201
    assert (await client.post("/v1/payments", json=ORDER, headers=keyed("a"))).status == 201


async def test_payments_are_paged(client):
    for n in range(3):
        await client.post("/v1/payments", json=ORDER, headers=keyed(str(n)))
    first = await client.get("/v1/payments?limit=2")
    rest = await client.get(f"/v1/payments?limit=2&after={first.json['next']}")
    assert (len(first.json["items"]), len(rest.json["items"]), "next" in rest.json) == (2, 1, False)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RefusedError("declined"), 402),
        (KeyError("provider"), 422),
        (LinkError("no answer"), 502),
        (StoreError("disk full"), 503),
        (RuntimeError("secret detail"), 500),
    ],
)
async def test_what_goes_wrong_at_a_payment_has_its_own_status(client, site, monkeypatch, error, status):
    async def fail(order, key):
        raise error

    monkeypatch.setattr(site, "create_payment", fail)
    got = await client.post("/v1/payments", json=ORDER, headers=keyed("a"))
    assert got.status == status
    assert "secret detail" not in got.text
    assert "disk full" not in got.text


async def test_an_unknown_provider_and_an_unknown_charger_are_told_apart(client):
    assert (await client.post("/v1/payments", json=ORDER | {"provider": "x"}, headers=keyed("a"))).status == 422
    assert (await client.post("/v1/payments", json=ORDER | {"station": "x"}, headers=keyed("b"))).status == 402


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"amount": 0}, "$.amount"),
        ({"amount": "5"}, "$.amount"),
        ({"currency": "eur"}, "$.currency"),
        ({"evse": 0}, "$.evse"),
    ],
)
async def test_a_wrong_order_names_the_field(client, change, path):
    got = await client.post("/v1/payments", json=ORDER | change, headers=keyed("a"))
    assert got.status == 400
    assert path in got.json["detail"]


async def test_the_providers_webhook_moves_the_payment_once(client):
    payment = (await client.post("/v1/payments", json=ORDER, headers=keyed("a"))).json["id"]
    body = json.dumps({"type": "payment.authorised", "payment": payment}).encode()
    results = []
    for id in ("w1", "w1", "w2"):
        got = await client.post("/v1/psp/psp/webhook", data=body, headers=signed(body, id))
        results.append(got.json["result"])
    assert results == ["accepted", "duplicate", "accepted"]
    assert (await client.get(f"/v1/payments/{payment}")).json["state"] == "authorised"
    stranger = b'{"type": "payment.authorised", "payment": "nope"}'
    got = await client.post("/v1/psp/psp/webhook", data=stranger, headers=signed(stranger, "w3"))
    assert got.json == {"result": "ignored"}


async def test_a_webhook_is_judged_by_its_signature_before_its_content(client):
    good = b'{"type": "payment.authorised", "payment": "x"}'
    for headers in (
        {},
        signed(good, "w", secret=b"another"),
        signed(good, "w", at=time.time() - 301),
        signed(b"other", "w"),
    ):
        assert (await client.post("/v1/psp/psp/webhook", data=good, headers=headers)).status == 403
    assert (await client.post("/v1/psp/psp/webhook", data=b"{", headers=signed(b"{", "w"))).status == 422
    assert (await client.post("/v1/psp/nope/webhook", data=good, headers=signed(good, "w"))).status == 404
    huge = b"x" * 70_000
    assert (await client.post("/v1/psp/psp/webhook", data=huge, headers=signed(huge, "w"))).status == 413


async def test_a_webhook_needs_no_key_no_origin_and_no_host_of_ours(site, serve, client_of):
    client = await client_of(await serve(site, api_keys=["key"]))
    body = b'{"type": "x", "payment": "x"}'
    headers = signed(body, "w") | {"Host": "pay.example", "Origin": "https://psp.example"}
    assert (await client.post("/v1/psp/psp/webhook", data=body, headers=headers)).json == {"result": "ignored"}
