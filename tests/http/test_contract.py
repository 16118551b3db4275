"""The route table, the document and what is really answered are the same thing."""

from __future__ import annotations

import asyncio
import base64
import hmac
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from evcore.backends.http.call import CSV, JSON
from evcore.backends.http.routes import ROUTES

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "rest_api.py"
BODIES = {
    "command_charger": {"verb": "start", "args": {"evse": 1}},
    "put_token": {"note": "Ann"},
    "create_payment": {"station": "CP1", "evse": 1, "amount": 5, "currency": "EUR", "provider": "psp"},
    "login": {"key": "none is needed"},
}
WEBHOOK = b'{"type": "payment.failed", "payment": "none"}'
WINDOW = "?from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z"


def signature() -> dict[str, str]:
    stamp = str(int(time.time()))
    mac = hmac.digest(b"a secret of thirty-two bytes, 123", f"w.{stamp}.".encode() + WEBHOOK, "sha256")
    signed = "v1," + base64.b64encode(mac).decode()
    return {"webhook-id": "w", "webhook-timestamp": stamp, "webhook-signature": signed}


@pytest.mark.parametrize("media", [JSON, CSV])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_each_route_succeeds_as_its_schema_says(client, charger, route, media):
    """conftest.Client holds the answer against the schema of its status, and refuses members that are not in it."""
    name = route.handler.__name__
    paid = await client.post("/v1/payments", json=BODIES["create_payment"], headers={"Idempotency-Key": "before"})
    ids = {"v1/sessions": "CP1-3", "v1/meters": "grid", "v1/payments": paid.json["id"], "v1/psp": "psp"}
    await client.ask("PUT", "/v1/tokens/CP1", json={})
    id = ids.get("/".join(route.path.split("/")[1:3]), "CP1")
    path = route.path.format(id=id, name=id) + (WINDOW if name == "get_meter_energy" else "")
    how = {"headers": {"Accept": media, "Idempotency-Key": "k"}}
    if route.body is not None:
        how["json"] = BODIES[name]
    if route.access == "signature":
        how = {"data": WEBHOOK, "headers": signature()}
    got = await client.ask(route.method, path, **how)
    assert got.status in route.returns, got.text
    if route.returns[got.status] is not None:
        assert got.media == (media if media in route.media else route.media[0])
        assert len(got.text) > 2
        assert '"items":[]' not in got.text


async def run_example(seconds: str, port: int) -> asyncio.subprocess.Process:
    arguments = [sys.executable, str(EXAMPLE), seconds, str(port)]
    return await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)


async def test_the_example_serves_what_it_promises(free_port):
    port = free_port()
    example = await run_example("60", port)
    try:
        url = (await example.stdout.readline()).decode().strip()
        assert url == f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(url) as http:
            async with http.post("/v1/chargers/BOX-1/commands", json={"verb": "start"}) as response:
                assert (await response.json())["status"] == "Accepted"
            async with http.get("/v1/chargers/BOX-1") as response:
                charger = await response.json()
        assert charger["evses"][0]["charging"] == "Charging"
        assert charger["samples"][0]["measurand"] == "Voltage"
    finally:
        example.kill()
        await example.wait()


async def test_the_example_ends_by_itself():
    assert await (await run_example("1", 0)).wait() == 0
