"""A running backend, and a client that holds every answer against the OpenAPI document that this backend serves."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from evcore.backends import HttpBackend
from evcore.local_site import LocalSite
from evcore.model import Answer, Command, Evse, Meter, Sample, Session, Station, Vehicle

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, 123").decode()
NOW_NS = 1_795_400_000_000_000_000


@dataclass
class Got:
    status: int
    headers: Any
    media: str
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """aiohttp's client; every answer to an operation of the document must be one that the document promises."""

    def __init__(self, http: aiohttp.ClientSession, url: str, document: dict[str, Any]) -> None:
        self.http, self.url, self.document = http, url, document
        self.seen: set[tuple[str, str, int]] = set()

    async def ask(self, method: str, path: str, **how: Any) -> Got:
        async with self.http.request(method, self.url + path, **how) as response:
            got = Got(response.status, response.headers, response.content_type, await response.text())
        self._check(method, path.split("?")[0], got)
        return got

    async def get(self, path: str, **how: Any) -> Got:
        return await self.ask("GET", path, **how)

    async def post(self, path: str, **how: Any) -> Got:
        return await self.ask("POST", path, **how)

    def _check(self, method: str, path: str, got: Got) -> None:
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        if got.status >= 400:
            assert got.media == "application/problem+json", got.text
            assert got.json["status"] == got.status
        for template, operations in self.document["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in operations:
                self.seen.add((method, template, got.status))
                responses = operations[method.lower()]["responses"]
                assert got.status >= 500 or str(got.status) in responses, f"{method} {template}: {got.status}"
                self._check_body(responses.get(str(got.status), responses["default"]), got)

    def _check_body(self, response: dict[str, Any], got: Got) -> None:
        if "content" not in response:
            assert got.text == ""
            return
        schema = response["content"][got.media].get("schema", {})
        if got.media.endswith("json"):
            whole = {"components": self.document["components"], **schema}
            Draft202012Validator(closed(whole), format_checker=FormatChecker()).validate(got.json)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, but what it does not name is refused."""
    schema = copy.deepcopy(schema)
    for component in schema["components"]["schemas"].values():
        if "properties" in component:
            component.setdefault("additionalProperties", False)
    return schema


@pytest.fixture
def site() -> LocalSite:
    """A charger with two EVSEs, a meter, a car, and three sessions."""
    site = LocalSite(webhook_secrets={"psp": SECRET})
    hub = site.hub
    hub.publish(Station("CP1", True, "ocpp1.6", "Acme", "One", "S1", "1.0", NOW_NS, NOW_NS))
    hub.publish(Station("CP2", False))
    hub.publish(Evse("CP1", 1, "Occupied", "Charging", session="CP1-3", limit_a=16.0, time_ns=NOW_NS))
    hub.publish(Evse("CP1", 2, "Available"))
    for number in (1, 2, 3):
        state = "active" if number == 3 else "ended"
        hub.publish(Session(f"CP1-{number}", "CP1", 1, str(number), state, NOW_NS + number, token="T1"))
    for second in range(3):
        hub.publish(sample("CP1", 100.5 + second, NOW_NS + second * 10**9, evse=1, session="CP1-3"))
        hub.publish(sample("grid", 5000.0 + second, NOW_NS + second * 10**9))
    hub.publish(Meter("grid", True, "SDM630", "M1", NOW_NS))
    hub.publish(Vehicle("car-1", "gbt27930", "charging", limits={"max_voltage_v": 750.0}, last_seen_ns=NOW_NS))
    hub.publish(Sample("car-1", "SoC", 47.0, "Percent", NOW_NS, location="EV"))
    return site


def sample(source: str, value: float, time_ns: int, **more: Any) -> Sample:
    return Sample(source, "Energy.Active.Import.Register", value, "Wh", time_ns, digits=str(value), **more)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[HttpBackend]]]:
    """serve(site, **arguments): a running backend on a free port, ended after the test without anything left over."""
    before = asyncio.all_tasks()
    running: list[asyncio.Task[None]] = []

    async def start(site: LocalSite, **arguments: Any) -> HttpBackend:
        backend = HttpBackend(site, port=0, **arguments)
        running.append(asyncio.create_task(backend.run(site.hub)))
        async with asyncio.timeout(5):
            await backend.started.wait()
        return backend

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert all(task.cancelled() for task in running)
    left = {task for task in asyncio.all_tasks() - before if task.get_coro().__qualname__.startswith(OURS)}
    assert not left


OURS = ("HttpBackend", "FeedServer", "Commands", "LoopLag", "LocalHub")


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """client_of(backend, **arguments of aiohttp.ClientSession)."""
    open_sessions: list[aiohttp.ClientSession] = []

    async def connect(backend: HttpBackend, **arguments: Any) -> Client:
        http = aiohttp.ClientSession(**arguments)
        open_sessions.append(http)
        async with http.get(backend.url + "/openapi.json") as response:
            document = json.loads(await response.text())
        return Client(http, backend.url, document)

    yield connect
    for http in open_sessions:
        await http.close()


@pytest.fixture
async def backend(site: LocalSite, serve: Callable[..., Awaitable[HttpBackend]]) -> HttpBackend:
    return await serve(site)


@pytest.fixture
async def client(backend: HttpBackend, client_of: Callable[..., Awaitable[Client]]) -> Client:
    return await client_of(backend)


@pytest.fixture
def charger(site: LocalSite) -> list[Command]:
    """CP1 answers: start with its own Accepted, stop with Rejected, reset with an error, unlock never. What it was
    asked."""
    asked: list[Command] = []

    async def answer(command: Command) -> Answer:
        asked.append(command)
        if command.verb == "unlock":
            raise TimeoutError
        if command.verb == "reset":
            raise ValueError("out of order")
        if command.verb == "get_log":
            return Answer("NotSupported", False, "OCPP 1.6 without the security extension")
        if command.verb == "set_limit":
            return Answer("Invalid", False, "limit: is missing")
        accepted = command.verb == "start"
        return Answer("Accepted" if accepted else "Rejected", accepted, data={"status": "x"})

    site.hub.serve("CP1", answer)
    return asked
