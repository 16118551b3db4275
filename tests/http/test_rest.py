"""Every route, over a real socket, each answer held against the served document (conftest.Client)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import jsonschema
import pytest

from evcore.backends.http.routes import ROUTES
from evcore.model import Answer, Station


async def test_chargers_come_with_their_evses(client):
    got = await client.get("/v1/chargers")
    assert [item["id"] for item in got.json["items"]] == ["CP1", "CP2"]
    one = got.json["items"][0]
    assert one["since"] == "2026-11-23T02:13:20.000Z"
    assert [evse["status"] for evse in one["evses"]] == ["Occupied", "Available"]
    assert "since" not in got.json["items"][1]


async def test_one_charger_shows_its_latest_values(client):
    got = await client.get("/v1/chargers/CP1")
    assert [sample["digits"] for sample in got.json["samples"]] == ["102.5"]
    assert (await client.get("/v1/chargers/CP9")).status == 404


async def test_a_charger_whose_id_needs_escaping_is_found(site, client):
    site.hub.publish(Station("a/b c?*", True))
    assert (await client.get("/v1/chargers/a%2Fb%20c%3F*")).json["id"] == "a/b c?*"


async def test_a_command_is_answered_with_the_chargers_own_word(client, charger):
    body = {"verb": "start", "args": {"token": "T1", "evse": 1}}
    got = await client.post("/v1/chargers/CP1/commands", json=body)
    assert (got.status, got.json) == (200, {"status": "Accepted", "ok": True, "reason": "", "data": {"status": "x"}})
    assert (charger[0].verb, charger[0].args, charger[0].target) == ("start", {"token": "T1", "evse": 1}, "CP1")


@pytest.mark.parametrize(
    ("verb", "target", "status", "word"),
    [
        ("stop", "CP1", 200, "Rejected"),
        ("get_log", "CP1", 200, "NotSupported"),
        ("set_limit", "CP1", 422, "Invalid"),
        ("reset", "CP1", 502, "Error"),
        ("unlock", "CP1", 504, "Timeout"),
        ("start", "CP2", 409, "Offline"),
    ],
)
async def test_a_command_without_success_says_why(client, charger, verb, target, status, word):
    got = await client.post(f"/v1/chargers/{target}/commands", json={"verb": verb})
    answer = got.json if status == 200 else got.json["answer"]
    assert (got.status, answer["status"], answer["ok"]) == (status, word, False)


async def test_a_command_to_nobody_is_not_found(client):
    assert (await client.post("/v1/chargers/CP9/commands", json={"verb": "start"})).status == 404


async def test_a_repeated_idempotency_key_asks_the_charger_once(client, charger):
    for key in ('"k-1"', "k-1"):  # a structured string, and what people send
        got = await client.post("/v1/chargers/CP1/commands", json={"verb": "start"}, headers={"Idempotency-Key": key})
        assert got.json["status"] == "Accepted"
    assert [command.id for command in charger] == ["k-1"]
    got = await client.post("/v1/chargers/CP1/commands", json={"verb": "stop"}, headers={"Idempotency-Key": "k-1"})
    assert (got.status, got.json["type"]) == (422, "tag:evcore,2026:key-reused")
    await client.post("/v1/chargers/CP1/commands", json={"verb": "start"})
    assert len({command.id for command in charger}) == len(charger) == 2


async def test_offline_is_not_remembered_for_a_key(client, site):
    ask = {"json": {"verb": "start"}, "headers": {"Idempotency-Key": "k"}}
    assert (await client.post("/v1/chargers/CP2/commands", **ask)).status == 409

    async def accept(command):
        return Answer("Accepted", True)

    site.hub.serve("CP2", accept)
    assert (await client.post("/v1/chargers/CP2/commands", **ask)).status == 200


async def test_meters_and_vehicles_come_with_their_values(client):
    (meter,) = (await client.get("/v1/meters")).json["items"]
    assert (meter["model"], meter["samples"][0]["value"]) == ("SDM630", 5002.0)
    (car,) = (await client.get("/v1/vehicles")).json["items"]
    assert (car["limits"], car["samples"][0]["measurand"]) == ({"max_voltage_v": 750.0}, "SoC")


async def test_energy_is_cut_to_its_window(client):
    query = "?from=2026-11-23T02:13:21Z&to=2026-11-23T04:13:22%2B02:00"
    assert [s["digits"] for s in (await client.get("/v1/meters/grid/energy" + query)).json["items"]] == ["5001.0"]
    whole = "?from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z"
    assert len((await client.get("/v1/meters/grid/energy" + whole)).json["items"]) == 3
    assert (await client.get("/v1/meters/nope/energy")).status == 404
    backwards = "?from=2026-11-24T00:00:00Z&to=2026-11-23T00:00:00Z"
    assert (await client.get("/v1/meters/grid/energy" + backwards)).status == 400


@pytest.mark.parametrize(
    "how", [{"params": {"format": "csv"}}, {"headers": {"Accept": "application/json;q=0.5, text/*"}}]
)
async def test_samples_come_as_csv_when_asked_for(client, how):
    got = await client.get("/v1/sessions/CP1-3/samples", **how)
    assert got.media == "text/csv"
    rows = list(csv.DictReader(io.StringIO(got.text, newline="")))
    assert [row["digits"] for row in rows] == ["100.5", "101.5", "102.5"]
    assert rows[0]["time"] == "2026-11-23T02:13:20.000Z"


async def test_the_format_parameter_beats_the_accept_header_and_json_is_the_default(client):
    path = "/v1/sessions/CP1-3/samples"
    assert (await client.get(path + "?format=json", headers={"Accept": "text/csv"})).media == "application/json"
    assert (await client.get(path, headers={"Accept": "*/*"})).media == "application/json"
    assert (await client.get(path, headers={"Accept": "text/csv;q=0.1, application/json;q=0"})).media == "text/csv"


async def test_ten_thousand_samples_keep_their_order(client, site):
    from dataclasses import replace

    first = (await site.session_samples("CP1-3"))[0]
    for n in range(10_000):
        site.hub.publish(replace(first, time_ns=first.time_ns + n, digits=str(n)))
    digits = [item["digits"] for item in (await client.get("/v1/sessions/CP1-3/samples")).json["items"]]
    assert digits == [str(n) for n in range(10_000)]


async def test_sessions_are_filtered_and_paged_by_link(client):
    got = await client.get("/v1/sessions?limit=2")
    assert [item["id"] for item in got.json["items"]] == ["CP1-3", "CP1-2"]
    assert got.headers["Link"] == '</v1/sessions?limit=2&after=CP1-2>; rel="next"'
    rest = await client.get(got.headers["Link"].split(">")[0].lstrip("<"))
    assert ([item["id"] for item in rest.json["items"]], "Link" in rest.headers) == (["CP1-1"], False)
    assert len((await client.get("/v1/sessions?state=active")).json["items"]) == 1
    assert (await client.get("/v1/sessions?station=CP2")).json["items"] == []


async def test_chargers_are_paged_too(client):
    got = await client.get("/v1/chargers?limit=1")
    assert (got.json["next"], len(got.json["items"])) == ("CP1", 1)
    assert [item["id"] for item in (await client.get("/v1/chargers?limit=1&after=CP1")).json["items"]] == ["CP2"]


async def test_one_session(client):
    assert (await client.get("/v1/sessions/CP1-3")).json["state"] == "active"
    assert (await client.get("/v1/sessions/nope")).status == 404
    assert (await client.get("/v1/sessions/nope/samples")).status == 404


async def test_a_token_is_made_replaced_and_forgotten(client, site):
    body = {"status": "Blocked", "expires": "2030-01-01T00:00:00+01:00", "group": "g", "note": "Ann"}
    assert (await client.ask("PUT", "/v1/tokens/AB%20C", json=body)).status == 201
    got = await client.ask("PUT", "/v1/tokens/AB%20C", json=body)
    assert (got.status, got.json["expires"]) == (200, "2029-12-31T23:00:00.000Z")
    assert (await client.get("/v1/tokens")).json["items"] == [got.json]
    (token,) = await site.tokens()
    assert token.expires_ns == datetime(2029, 12, 31, 23, tzinfo=UTC).timestamp() * 1e9
    assert (await client.ask("DELETE", "/v1/tokens/AB%20C")).status == 204
    assert (await client.ask("DELETE", "/v1/tokens/AB%20C")).status == 404


@pytest.mark.parametrize("expires", ["9999-12-31T00:00:00Z", "1969-12-31T23:59:59Z", "2262-04-12T00:00:00Z"])
async def test_a_token_cannot_expire_when_no_clock_gets_to(client, expires):
    got = await client.ask("PUT", "/v1/tokens/T", json={"expires": expires})
    assert got.status == 400
    assert "$.expires" in got.json["detail"]


async def test_a_token_is_the_same_in_capitals(client):
    assert (await client.ask("PUT", "/v1/tokens/abc", json={})).status == 201
    assert (await client.ask("PUT", "/v1/tokens/ABC", json={})).status == 200
    assert (await client.ask("PUT", "/v1/tokens/" + "x" * 256, json={})).status == 400
    assert len((await client.get("/v1/tokens")).json["items"]) == 1


async def test_health_and_readiness(client, site, monkeypatch):
    assert (await client.get("/healthz")).json == {"status": "ok"}
    assert (await client.get("/readyz")).json == {"status": "ready", "parts": {"hub": "ok"}}
    monkeypatch.setattr(site, "ready", lambda: {"hub": "ok", "store": "the disk is full"})
    got = await client.get("/readyz")
    assert (got.status, got.json["parts"]["store"]) == (503, "the disk is full")


async def test_a_head_request_is_a_get_without_a_body(client, backend):
    async with client.http.head(backend.url + "/v1/chargers") as response:
        assert (response.status, await response.text()) == (200, "")
        assert int(response.headers["Content-Length"]) > 100


async def test_every_route_is_in_the_document_and_the_document_is_valid_openapi(client):
    from openapi_spec_validator import OpenAPIV31SpecValidator, validate

    validate(client.document, cls=OpenAPIV31SpecValidator)
    described = {(m.upper(), p) for p, ops in client.document["paths"].items() for m in ops}
    assert described == {(route.method, route.path) for route in ROUTES} | {("GET", "/feed")}
    ids = [op["operationId"] for ops in client.document["paths"].values() for op in ops.values()]
    assert len(ids) == len(set(ids))
    assert all(op["summary"].endswith(".") for ops in client.document["paths"].values() for op in ops.values())


async def test_each_verb_has_a_body_of_its_own_in_the_document(client):
    from evcore.model import Verb

    schemas = client.document["components"]["schemas"]
    bodies = [schemas[reference["$ref"].rsplit("/", 1)[1]] for reference in schemas["CommandBody"]["oneOf"]]
    assert [body["properties"]["verb"]["const"] for body in bodies] == [str(verb) for verb in Verb]
    whole = {"$ref": "#/components/schemas/CommandBody", "components": client.document["components"]}
    validator = jsonschema.Draft202012Validator(whole)
    good = [
        {"verb": "clear_cache"},
        {"verb": "start", "args": {"token": "T1", "evse": 1}},
        {"verb": "set_variables", "args": {"variables": [{"component": "C", "variable": "V", "value": True}]}},
    ]
    bad = [
        {"verb": "start"},
        {"verb": "start", "args": {"token": "T1", "evseId": 1}},
        {"verb": "fly", "args": {}},
        {"verb": "set_variables", "args": {"variables": [{"component": "C", "variable": "V"}]}},
        {"verb": "clear_cache", "more": 1},
    ]
    assert [validator.is_valid(body) for body in good + bad] == [True] * len(good) + [False] * len(bad)
