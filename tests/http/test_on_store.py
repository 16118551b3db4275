"""The same routes on the gateway's own site, whose store is a real SQLite file."""

from __future__ import annotations

import pytest

from evcore.gateway.history import History
from evcore.gateway.hub import Hub
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.site import GatewaySite
from evcore.gateway.store import Store
from evcore.gateway.tokens import Tokens
from evcore.model import Meter, SessionRecord, Station


@pytest.fixture
async def on_store(tmp_path, serve, client_of):
    store, hub = Store(tmp_path / "site.db"), Hub()
    await store.open()
    hub.publish(Station("CP1", True))
    hub.publish(Meter("grid", True))
    ledger = StoreLedger(store)
    for n in range(3):
        start = SessionRecord("CP1", "start", (n + 1) * 10**18, b"%d" % n, 1, token="T", meter=str(n))
        await ledger.record(start)
    site = GatewaySite(hub, store, History(store), Tokens(store))
    yield await client_of(await serve(site))
    await store.close()


async def test_sessions_are_paged_from_the_file(on_store):
    first = await on_store.get("/v1/sessions?limit=2")
    assert [session["started"][:4] for session in first.json["items"]] == ["2065", "2033"]
    rest = await on_store.get(f"/v1/sessions?limit=2&after={first.json['next']}")
    assert [session["started"][:4] for session in rest.json["items"]] == ["2001"]
    id = rest.json["items"][0]["id"]
    assert (await on_store.get(f"/v1/sessions/{id}")).json["token"] == "T"
    assert (await on_store.get(f"/v1/sessions/{id}/samples")).json == {"items": []}
    assert (await on_store.get("/v1/sessions?after=nobody")).json == {"items": []}


@pytest.mark.parametrize("window", ["from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", "to=2262-04-12T00:00:00Z"])
async def test_a_window_beyond_all_clocks_is_no_error(on_store, window):
    assert (await on_store.get(f"/v1/meters/grid/energy?{window}")).json == {"items": []}


async def test_tokens_are_kept_there(on_store):
    assert (await on_store.ask("PUT", "/v1/tokens/a%00b", json={"note": "\x00"})).status == 201
    assert (await on_store.ask("PUT", "/v1/tokens/A%00B", json={})).status == 200
    assert (await on_store.ask("DELETE", "/v1/tokens/a%00b")).status == 204


async def test_without_payments_there_are_none(on_store):
    order = {"station": "CP1", "evse": 1, "amount": 5, "currency": "EUR", "provider": "psp"}
    assert (await on_store.get("/v1/payments")).json == {"items": []}
    assert (await on_store.post("/v1/payments", json=order, headers={"Idempotency-Key": "k"})).status == 402
    assert (await on_store.post("/v1/psp/psp/webhook", data=b"{}")).status == 404
