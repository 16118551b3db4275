"""A fleet against OcppServer, against the peer's CSMS, and against one that misbehaves."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from mobilityhouse_csms import mobilityhouse
from scripted_csms import NOW, Csms
from typer.testing import CliRunner
from waiting import until

from evcore.chargers import OcppServer
from evcore.errors import ConfigError
from evcore.gateway.cli import app
from evcore.local import LocalHub, LocalLedger
from evcore.model import Session
from evcore.sim import Fleet, FleetPlan
from evcore.sim.fleet_report import FleetReport, Histogram
from evcore.sim.fleet_words import BROKEN


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[OcppServer, LocalHub]]:
    server, hub = OcppServer(port=0, ledger=LocalLedger(), **options), LocalHub()
    task = asyncio.create_task(server.run(hub))
    try:
        await asyncio.wait_for(server.started.wait(), 8)
        yield server, hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def run_until(enough: Callable[[FleetReport], object], plan: FleetPlan) -> FleetReport:
    """The first report, of runs that get longer, that has enough in it: a slow machine needs more time."""
    for seconds in (0.6, 2.0, 6.0):
        report = await Fleet(plan).run(seconds)
        if enough(report):
            break
    return report


def sessions(hub: LocalHub) -> list[Session]:
    return [item for item in hub.snapshot("session/") if isinstance(item, Session)]


@pytest.mark.parametrize("versions", [("1.6",), ("2.0.1",), ("2.1",), ("1.6", "2.0.1", "2.1")], ids="-".join)
async def test_20_stations_charge_at_our_server_and_every_call_is_answered(versions: tuple[str, ...]) -> None:
    async with serving() as (server, hub):
        stopped = {"1.6": "StopTransaction", "2.0.1": "TransactionEvent", "2.1": "TransactionEvent"}
        plan = FleetPlan(server.url, 20, versions, meters=2)
        report = await run_until(lambda report: all(report.results[stopped[version]] for version in versions), plan)
        assert report.ok, report.as_dict()
        assert (report.lost, report.cut, report.opening.count) == (0, 0, 20)
        assert report.calls == report.results
        assert sum(report.calls.values()) == report.latency.count
        assert all(report.results[stopped[version]] for version in versions)
        ended = [session for session in sessions(hub) if session.state == "ended"]
        assert ended
        assert all(session.energy_wh == 22 for session in ended)
        assert not [name for name, _ in hub.counters() if name == "evcore_ocpp_errors_total"]


async def test_a_rate_is_kept_and_a_password_sent() -> None:
    passwords = {f"FLEET-{n}": f"password-of-FLEET-{n}" for n in range(10)}
    async with serving(passwords=passwords) as (server, _):
        plan = FleetPlan(server.url, 10, rate=100, password="password-of-{id}")
        report = await run_until(lambda report: report.calls.total() >= 50, plan)
        assert report.ok, report.as_dict()
        assert 50 <= report.calls.total() <= 100 * report.seconds + 25
        wrong = await Fleet(FleetPlan(server.url, 1, password="password-of-another")).run(0.3)
        assert not wrong.ok
        assert set(wrong.failures) == {"HTTP 401"}


async def test_it_speaks_tls_with_a_server_whose_root_it_trusts() -> None:
    ca, own, trusting = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("127.0.0.1").configure_cert(own)
    ca.configure_trust(trusting)
    async with serving(ssl=own) as (server, _):
        assert (await Fleet(FleetPlan(server.url, 3, ssl=trusting)).run(0.3)).ok
        stranger = await Fleet(FleetPlan(server.url, 1, ssl=ssl.create_default_context())).run(0.2)
        assert set(stranger.failures) == {"SSLCertVerificationError"}


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_broken_frames_and_cut_connections_cost_no_good_call(version: str) -> None:
    async with serving() as (server, hub):
        plan = FleetPlan(server.url, 20, (version,), faults=0.2, meters=5)
        report = await run_until(lambda report: report.broken_refused and report.opening.count > 20, plan)
        assert report.ok, report.as_dict()
        assert report.drops
        assert report.broken
        assert report.broken_refused
        assert report.opening.count > 20
        assert [name for name, _ in hub.counters() if name == "evcore_ocpp_errors_total"]


def test_only_the_broken_frames_are_broken() -> None:
    for frame in BROKEN[:5]:
        assert orjson.loads(frame % b"id")[1] == "id"
    with pytest.raises(ValueError):
        orjson.loads(BROKEN[5] % b"id")


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_the_csms_of_mobilityhouse_finds_every_message_of_20_stations_valid(version: str) -> None:
    async with mobilityhouse(version) as (url, _):
        stop = "StopTransaction" if version == "1.6" else "TransactionEvent"
        report = await run_until(lambda report: report.results[stop] >= 20, FleetPlan(url, 20, (version,), meters=2))
        assert report.ok, report.as_dict()
        assert report.results[stop] >= 20


async def test_a_station_that_is_not_accepted_waits_and_one_that_is_forgotten_boots() -> None:
    boots = iter(["Pending", "Accepted", "Accepted"])
    async with Csms("ocpp1.6") as csms:
        csms.rules["BootNotification"] = lambda _: {"currentTime": NOW, "interval": 1, "status": next(boots)}
        fleet = Fleet(FleetPlan(csms.url, 1, rate=50))
        running = asyncio.create_task(fleet.run(5))
        await until(lambda: len(csms.of("BootNotification")) == 2)
        await until(lambda: csms.of("MeterValues"))
        csms.rules["MeterValues"] = lambda _: {"code": "SecurityError"}
        await until(lambda: len(csms.of("BootNotification")) == 3)
        csms.rules.clear()
        assert (await csms.ask("TriggerMessage", {"requestedMessage": "BootNotification"}))[0] == {"status": "Accepted"}
        await until(lambda: len(csms.of("BootNotification")) >= 4)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_token_that_is_not_accepted_is_counted(version: str) -> None:
    async with Csms(f"ocpp{version}") as csms:
        info = "idTagInfo" if version == "1.6" else "idTokenInfo"
        csms.rules["Authorize"] = lambda _: {info: {"status": "Blocked"}}
        plan = FleetPlan(csms.url, 1, (version,))
        report = await run_until(lambda report: report.denied, plan)
        assert report.ok
        assert report.denied == {"Authorize": report.results["Authorize"]}


async def test_a_server_that_hangs_up_or_says_nonsense_is_told_of_and_connected_to_again() -> None:
    async with Csms("ocpp1.6") as csms:
        fleet = Fleet(FleetPlan(csms.url, 2, rate=20))
        running = asyncio.create_task(fleet.run(1.5))
        await until(lambda: len(csms.of("MeterValues")) > 2)
        await csms.sockets[0].send("nonsense")
        await csms.sockets[0].close(1012)
        await until(lambda: len(csms.sockets) == 3)
        report = await running
        assert not report.ok
        assert (report.lost, report.nonsense) == (1, 1)
        assert sum(report.closings.values()) == 1


def test_the_fleet_shares_no_codec_with_the_server() -> None:
    code = "import sys, evcore.sim.fleet; print([m for m in sys.modules if m.startswith('evcore.core')"
    code += " or m.endswith(('.codec', '.session', '.schemas'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    "wrong",
    [{"url": "http://x"}, {"stations": 0}, {"versions": ("1.5",)}, {"rate": -1}, {"faults": 1}, {"meters": -1}],
)
def test_a_plan_that_cannot_be_is_a_config_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        FleetPlan(**{"url": "ws://127.0.0.1:1", **wrong})


@given(st.lists(st.integers(1, 10**11), min_size=1, max_size=200), st.sampled_from([0.5, 0.99, 1.0]))
def test_a_percentile_is_right_to_4_percent(durations: list[int], share: float) -> None:
    histogram = Histogram()
    for ns in durations:
        histogram.add(ns)
    exact = sorted(durations)[max(-(-len(durations) * int(share * 100) // 100) - 1, 0)]
    assert exact <= histogram.percentile(share) <= exact * 1.04 + 1


async def test_the_command_prints_one_json_object_and_its_exit_code_tells() -> None:
    async with serving() as (server, _):
        arguments = ["sim", "fleet", server.url, "--stations", "3", "--version", "mixed", "--for", "0.5", "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        told = json.loads(done.stdout)
        assert done.exit_code == 0
        assert (told["ok"], told["connections"], told["refused"]) == (True, 3, 0)
        assert set(told["latency_ms"]) == {"p50", "p99", "max"}
        lines = await asyncio.to_thread(CliRunner().invoke, app, [*arguments[:-1], "--prefix", "A"])
        assert "latency p50" in lines.stdout
    nobody = await asyncio.to_thread(CliRunner().invoke, app, ["sim", "fleet", "ws://127.0.0.1:1", "--for", "0.2"])
    assert nobody.exit_code == 1
    assert "not connected: {'ConnectionRefusedError'" in nobody.stdout


async def test_ctrl_c_shows_what_was_counted() -> None:
    async with serving() as (server, _):
        arguments = ["sim", "fleet", server.url, "--stations", "2", "--for", "60", "--json"]
        # A shell that starts its tests in the background lets them and their children ignore Ctrl-C.
        command = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        command += "from evcore.gateway.cli import main; main()"
        running = await asyncio.create_subprocess_exec(sys.executable, "-c", command, *arguments, stdout=PIPE)
        try:
            await until(lambda: server.stats.received >= 20, within_s=30)
            running.send_signal(signal.SIGINT)
            out, _ = await asyncio.wait_for(running.communicate(), 30)
        finally:
            if running.returncode is None:
                running.kill()
                await running.communicate()
    told = json.loads(out)
    assert running.returncode == 130
    assert told["answered"] >= 18
    assert told["per_second"] > 0


async def test_a_root_that_cannot_be_read_is_named() -> None:
    arguments = ["sim", "fleet", "wss://127.0.0.1:1", "--ca", "/nowhere.pem", "--for", "0.2"]
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert isinstance(done.exception, ConfigError)
    assert "/nowhere.pem" in str(done.exception)
