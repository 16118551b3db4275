"""A payment on a whole site: ordered over REST, paid at a provider, charged over a real WebSocket, captured."""

from __future__ import annotations

import asyncio
import base64
import contextlib

import aiohttp
import pytest

from evcore.gateway.config import parse
from evcore.gateway.gateway import Gateway
from evcore.sim import SimStation
from evcore.sim.psp import SimPsp

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
SITE = """
[[ocpp]]
port = 0
[[ocpp.stations]]
id = "CP1"
[http]
port = 0
[tariff]
currency = "EUR"
per_kwh = 0.50
[[payments]]
name = "psp"
url = "{url}"
api_key = "psp-key"
webhook_secrets = ["{secret}"]
"""


@contextlib.asynccontextmanager
async def running(gateway: Gateway, *runs):
    tasks = [asyncio.ensure_future(gateway.run())]
    try:
        await asyncio.wait_for(gateway.started.wait(), 20)
        tasks += [asyncio.ensure_future(run()) for run in runs]
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(http: aiohttp.ClientSession, path: str, **wanted: str) -> dict:
    async with asyncio.timeout(20):
        while True:
            async with http.get(path) as answer:
                body = await answer.json()
            if all(body.get(name) == value for name, value in wanted.items()):
                return body
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_payment_starts_a_session_and_its_end_captures_what_it_cost(tmp_path, version):
    psp = SimPsp(api_key="psp-key", secret=SECRET)
    await psp.start()
    gateway = Gateway(parse(SITE.format(url=psp.url, secret=SECRET), file="site.toml", base=tmp_path))
    try:
        async with running(gateway):
            psp.webhook_url = gateway.urls["http"] + "/v1/psp/psp/webhook"
            station = SimStation(gateway.urls["ocpp"], "CP1", version=version, speed=100)
            charging = asyncio.ensure_future(station.run())
            await asyncio.wait_for(station.online.wait(), 10)
            async with aiohttp.ClientSession(gateway.urls["http"]) as http:
                order = {"station": "CP1", "evse": 1, "amount": 3000, "currency": "EUR", "provider": "psp"}
                async with http.post("/v1/payments", json=order, headers={"Idempotency-Key": "k1"}) as answer:
                    assert answer.status == 201, await answer.text()
                    payment = await answer.json()
                async with http.get(payment["redirect_url"]) as page:  # the driver pays on the provider's page
                    assert page.status == 200
                path = f"/v1/payments/{payment['id']}"
                bound = await until(http, path, state="charging")
                while station.energy_wh < 100:
                    await asyncio.sleep(0.01)
                command = {"verb": "stop", "args": {"session": bound["session"]}}
                async with http.post("/v1/chargers/CP1/commands", json=command) as answer:
                    assert (await answer.json())["status"] == "Accepted"
                done = await until(http, path, state="captured")
                session = await until(http, f"/v1/sessions/{bound['session']}", state="ended")
            charging.cancel()
            await asyncio.gather(charging, return_exceptions=True)
    finally:
        await psp.stop()
    assert session["payment"] == payment["id"]
    money = [
        {name: value for name, value in answered.answer.items() if name in ("totalCost", "transactionLimit")}
        for answered in station.answers
        if answered.action == "TransactionEvent"
    ]
    if version != "1.6":  # what it costs, and in 2.1 what the payment holds, in units of the currency
        assert money[0] == ({"transactionLimit": {"maxCost": 30}} if version == "2.1" else {})
        assert money[-1] == {"totalCost": session["cost"] / 100}
    # 0.50 EUR a kWh are 0.05 minor units a Wh.
    assert done["captured"] == done["cost"] == session["cost"] == round(session["energy_wh"] * 0.05 + 1e-9)
    assert [p.captures for p in psp.payments.values()] == [[done["captured"]]]
    assert session["energy_wh"] == pytest.approx(station.energy_wh, abs=1)


async def test_a_station_that_refuses_the_start_costs_the_driver_nothing(tmp_path):
    psp = SimPsp(api_key="psp-key", secret=SECRET)
    await psp.start()
    gateway = Gateway(parse(SITE.format(url=psp.url, secret=SECRET), file="site.toml", base=tmp_path))
    try:
        async with running(gateway):
            psp.webhook_url = gateway.urls["http"] + "/v1/psp/psp/webhook"
            station = SimStation(gateway.urls["ocpp"], "CP1")
            life = asyncio.ensure_future(station.run())
            await asyncio.wait_for(station.online.wait(), 10)
            await station.fault(1)
            async with aiohttp.ClientSession(gateway.urls["http"]) as http:
                order = {"station": "CP1", "evse": 1, "amount": 3000, "currency": "EUR", "provider": "psp"}
                async with http.post("/v1/payments", json=order, headers={"Idempotency-Key": "k1"}) as answer:
                    payment = await answer.json()
                psp.pay(next(iter(psp.payments)))
                done = await until(http, f"/v1/payments/{payment['id']}", state="voided")
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
    finally:
        await psp.stop()
    assert "Rejected" in done["error"]
    assert [(p.status, p.captures) for p in psp.payments.values()] == [("voided", [])]
