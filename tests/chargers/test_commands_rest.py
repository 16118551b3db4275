"""Commands over REST, from the HTTP request to a mobilityhouse station and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from ocpp.exceptions import InternalError, NotSupportedError

from evcore.backends import HttpBackend
from evcore.chargers import StationRules
from evcore.chargers.commands import TABLES
from evcore.local_site import LocalSite
from evcore.model import Verb

Start = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def rest(site: Any) -> AsyncIterator[aiohttp.ClientSession]:
    outside = LocalSite()
    outside.hub = site.hub
    backend = HttpBackend(outside, port=0)
    running = asyncio.create_task(backend.run(site.hub))
    try:
        await asyncio.wait_for(backend.started.wait(), 8)
        async with aiohttp.ClientSession(backend.url) as http:
            yield http
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def ask(http: aiohttp.ClientSession, verb: str, **args: Any) -> tuple[int, dict[str, Any]]:
    async with http.post("/v1/chargers/CP1/commands", json={"verb": verb, "args": args}) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("version", TABLES)
async def test_the_status_says_whose_fault_it_is(csms: Start, peer: Start, version: str) -> None:
    site = await csms(call_timeout_s=0.2)
    station = await peer(site, version)
    async with rest(site) as http:
        station.replies["ClearCache"] = {"status": "Accepted"}
        assert await ask(http, "clear_cache") == (
            200,
            {"status": "Accepted", "ok": True, "reason": "", "data": {"status": "Accepted"}},
        )
        station.replies["ClearCache"] = {"status": "Rejected"}
        status, answer = await ask(http, "clear_cache")
        assert (status, answer["status"], answer["ok"]) == (200, "Rejected", False)
        station.replies["ClearCache"] = NotSupportedError("no cache")
        status, answer = await ask(http, "clear_cache")
        assert (status, answer["status"], answer["ok"]) == (200, "NotSupported", False)
        station.replies["ClearCache"] = InternalError("it burns")
        status, problem = await ask(http, "clear_cache")
        assert (status, problem["answer"]["status"]) == (502, "Error")
        station.replies["ClearCache"] = lambda payload: asyncio.sleep(0.4, {"status": "Accepted"})
        status, problem = await ask(http, "clear_cache")
        assert (status, problem["answer"]["status"]) == (504, "Timeout")
        station.asked.clear()
        status, problem = await ask(http, "start", token="T" * 300)
        assert (status, problem["answer"]["status"]) == (422, "Invalid")
        assert problem["detail"] == "start: token: expected 0 to 255 characters, got 300"
        status, problem = await ask(http, "start", token="T" * 256 if version == "2.1" else "T" * 40)
        assert status == 422, "the schema of its version refuses it"
        assert station.asked == []
    async with rest(site) as http:
        await station.socket.close()
        await asyncio.sleep(0)
        async with asyncio.timeout(8):
            while site.server.connected:
                await asyncio.sleep(0.01)
        status, problem = await ask(http, "clear_cache")
        assert (status, problem["answer"]["status"]) == (409, "Offline")


@pytest.mark.parametrize("version", TABLES)
async def test_every_verb_goes_over_rest(csms: Start, peer: Start, version: str) -> None:
    """With arguments that are all there is: the station knows none of them, and says so."""
    site = await csms(rules=StationRules(certificates_over_plain=True))
    station = await peer(site, version)
    for action in station.point.route_map:
        station.replies[action] = NotSupportedError("not me")
    needed = {
        "start": {"token": "T"},
        "stop": {"session": "x"},
        "unlock": {"evse": 1},
        "set_limit": {"limit": 6},
        "change_availability": {"operative": True},
        "trigger": {"message": "Heartbeat"},
        "get_config": {"keys": ["HeartbeatInterval"]},
        "set_config": {"key": "HeartbeatInterval", "value": 1},
        "get_variables": {"variables": [{"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}]},
        "set_variables": {"variables": [{"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval", "value": 1}]},
        "get_composite_schedule": {"duration_s": 60},
        "set_monitoring": {"level": 1},
        "get_log": {"url": "https://x.example/"},
        "update_firmware": {"url": "https://x.example/"},
        "reserve": {"token": "T", "expires": "2026-11-23T18:30:00Z"},
        "cancel_reservation": {"id": 1},
        "data_transfer": {"vendor_id": "v"},
        "cost_updated": {"session": "x", "cost": 1},
        "set_display_message": {"message": "x"},
        "set_tariff": {"currency": "EUR", "per_kwh": 1},
        "install_certificate": {"type": "CSMSRootCertificate", "certificate": "PEM"},
        "delete_certificate": {"issuer_name_hash": "a", "issuer_key_hash": "b", "serial_number": "1"},
        "certificate_signed": {"chain": "PEM"},
    }
    async with rest(site) as http:
        for verb in Verb:
            status, answer = await ask(http, verb, **needed.get(verb, {}))
            wanted = "Rejected" if verb in (Verb.STOP, Verb.COST_UPDATED) else "NotSupported"
            assert (status, answer.get("status")) == (200, wanted), (verb, answer)
            assert answer["reason"]
