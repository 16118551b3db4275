"""The peer in Node, ocpp-rpc in strict mode, both ways: it validates all that we send, and we all that it sends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from evcore.chargers import OcppServer
from evcore.local import LocalHub, LocalLedger
from evcore.model import Command, Session, Verb
from evcore.ocpp import ConnectionProfile, StationAbout, StationClient
from evcore.ocpp.events import Called
from evcore.sim import SimStation

PEER = Path(__file__).with_name("rpc_peer.js")
MODULES = Path(__file__).parents[2] / ".venv" / "node" / "node_modules"
PASSWORD = "a-password-of-16+"
VERSIONS = ["1.6", "2.0.1", "2.1"]


class Peer:
    """A process of rpc_peer.js and what it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[list[Any]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(json.loads(line))

    def of(self, word: str, action: str | None = None) -> list[Any]:
        return [words[1:] for words in self.said if words[0] == word and action in (None, words[1])]

    async def ask(self, action: str, params: Any) -> Any:
        """Let the server call its stations; the first one's answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([action, params]).encode() + b"\n")
        return (await until(lambda: self.of("answer", action)))[0][1]


Start = Callable[..., Any]


@pytest.fixture
def rpc(program: Callable[[str], str]) -> Start:
    """rpc(role, protocol, ...): a context manager of a running peer."""
    if reason := os.environ.get("EVCORE_NO_NPM"):  # CI that cannot reach npm says so
        pytest.skip(reason)
    node = program("node")
    modules = next(
        (path for path in (os.environ.get("NODE_PATH", ""), str(MODULES)) if Path(path, "ocpp-rpc").is_dir()), ""
    )
    if not modules:
        if os.environ.get("CI") == "true":
            pytest.fail("ocpp-rpc is missing, and CI must have it")
        pytest.skip("ocpp-rpc is missing: npm install --prefix .venv/node ocpp-rpc")

    @asynccontextmanager
    async def start(*arguments: str) -> AsyncIterator[Peer]:
        process = await asyncio.create_subprocess_exec(
            node, str(PEER), *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={**os.environ, "NODE_PATH": modules},
        )  # fmt: skip
        peer = Peer(process)
        try:
            yield peer
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await peer._reading

    return start


@asynccontextmanager
async def serving(rpc: Start, version: str) -> AsyncIterator[tuple[Peer, str]]:
    """A strict server of the peer and its URL."""
    async with rpc("serve", f"ocpp{version}", "", "", PASSWORD) as peer:
        [[port]] = await until(lambda: peer.of("listening"))
        yield peer, f"ws://127.0.0.1:{port}"
        assert peer.of("invalid") == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_simulated_station_charges_at_its_server(rpc: Start, version: Any) -> None:
    async with serving(rpc, version) as (peer, url):
        station = SimStation(url, "CP1", version=version, password=PASSWORD, speed=100, interval_s=5, backoff_s=0.05)
        life = asyncio.create_task(station.run())
        await asyncio.wait_for(station.online.wait(), 8)
        assert await station.plug_in(1, "T1")
        if version == "1.6":
            await until(lambda: peer.of("got", "MeterValues"))
            asked = ("RemoteStopTransaction", {"transactionId": 4711})
        else:
            await until(lambda: len(peer.of("got", "TransactionEvent")) > 2)
            transaction = peer.of("got", "TransactionEvent")[0][1]["transactionInfo"]["transactionId"]
            asked = ("RequestStopTransaction", {"transactionId": transaction})
        assert await peer.ask(*asked) == {"status": "Accepted"}
        await until(lambda: station.evses[1].transaction is None)
        await asyncio.wait_for(station.queue.drained(), 8)
        assert (await peer.ask("ClearCache", {}))["status"] == "Accepted"
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        assert all(answered.answer is not None for answered in station.answers)
        if version != "1.6":
            numbers = [params["seqNo"] for _, params in peer.of("got", "TransactionEvent")]
            assert numbers == list(range(len(numbers)))


async def test_a_station_client_calls_it_and_answers_it(rpc: Start) -> None:
    def handle(called: Called) -> Any:
        return {"status": "Accepted"} if called.action == "ClearCache" else {"status": "no such word"}

    async with serving(rpc, "2.0.1") as (peer, url):
        profile = ConnectionProfile(url, 1, PASSWORD)
        station = StationClient(profile, "CP1", StationAbout("V", "M"), handle)
        life = asyncio.create_task(station.run())
        await asyncio.wait_for(station.online.wait(), 8)
        assert station.version == "2.0.1"
        await station.call("Heartbeat", {})
        assert await peer.ask("ClearCache", {}) == {"status": "Accepted"}
        assert (await peer.ask("Reset", {"type": "Immediate"}))["code"] == "InternalError", (
            "our answer breaks the schema"
        )
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


@pytest.mark.parametrize("version", VERSIONS)
async def test_its_station_charges_at_our_server(rpc: Start, version: str) -> None:
    server, hub = OcppServer(port=0, ledger=LocalLedger(), passwords={"RPC 1": PASSWORD}), LocalHub()
    task = asyncio.create_task(server.run(hub))
    try:
        await asyncio.wait_for(server.started.wait(), 8)
        async with rpc("station", f"ocpp{version}", server.url, "RPC 1", PASSWORD) as peer:
            await until(lambda: peer.of("done"))
            assert peer.of("invalid") == []
            assert [answer for _, answer in peer.of("answer") if "code" in answer] == []
            [session] = [item for item in hub.snapshot("session/") if isinstance(item, Session)]
            assert (session.station, session.token) == ("RPC 1", "T1")
            assert session.state == ("active" if version == "1.6" else "ended")
            answer = await hub.command(Command("RPC 1", Verb.RESET, {"type": "OnIdle"}), timeout=8)
            assert answer.status == "Accepted", answer
            await until(lambda: peer.of("got", "Reset"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_is_refused_without_the_password(rpc: Start) -> None:
    server = OcppServer(port=0, ledger=LocalLedger(), passwords={"RPC 1": PASSWORD})
    task = asyncio.create_task(server.run(LocalHub()))
    try:
        await asyncio.wait_for(server.started.wait(), 8)
        async with rpc("station", "ocpp1.6", server.url, "RPC 1", "another-password-of-16") as peer:
            await until(lambda: peer.of("invalid"))
            assert "Unauthorized" in str(peer.of("invalid"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
