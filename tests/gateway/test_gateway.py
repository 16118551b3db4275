"""The whole gateway: it starts, serves, loses no session over a restart, and ends in time whatever hangs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from waiting import until

from evcore.errors import ConfigError, StoreError
from evcore.gateway.config import parse
from evcore.gateway.gateway import Gateway
from evcore.gateway.history import History
from evcore.gateway.part import Part, Phase, supervise
from evcore.gateway.store import Store
from evcore.local import LocalHub
from evcore.meters import ModbusMeter
from evcore.model import Health, Session, Station
from evcore.sim import SimMeter, SimStation

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "gateway.py"
SITE = """
[[ocpp]]
port = 0
[[ocpp.stations]]
id = "AC-1"
password = "password-of-ac-1"
[[ocpp.stations]]
id = "DC-1"
[http]
port = 0
dashboard = false
[tariff]
currency = "EUR"
per_session = 0.50
per_kwh = 0.45
[[tokens]]
id = "CARD-1"
"""


def configured(tmp_path: Path, more: str = "", site: str = SITE) -> Any:
    return parse(site + more, file="site.toml", base=tmp_path)


@asynccontextmanager
async def running(*runs: Callable[[], Awaitable[None]]) -> Any:
    """The coroutines as tasks, cancelled at the end."""
    tasks = [asyncio.ensure_future(run()) for run in runs]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def get(gateway: Gateway, path: str) -> Any:
    async with aiohttp.ClientSession() as client, client.get(gateway.urls["http"] + path) as answer:
        return await answer.json()


async def test_stations_of_two_versions_charge_and_rest_shows_what_the_store_keeps(tmp_path: Path) -> None:
    gateway = Gateway(configured(tmp_path))
    async with running(gateway.run):
        await asyncio.wait_for(gateway.started.wait(), 10)
        url = gateway.urls["ocpp"]
        ac = SimStation(url, "AC-1", password="password-of-ac-1", speed=200)
        dc = SimStation(url, "DC-1", version="2.0.1", power_w=50_000, dc=True, speed=200)
        async with running(ac.run, dc.run):
            await until(lambda: ac.online.is_set() and dc.online.is_set())
            assert await ac.plug_in(1, "CARD-1")
            assert not await dc.plug_in(1, "NOBODY")
            await dc.unplug(1)
            assert await dc.plug_in(1, "CARD-1")
            await until(lambda: ac.energy_wh > 100 and dc.energy_wh > 100)
            await ac.unplug(1)
            await dc.unplug(1)
            await ac.queue.drained()
            await dc.queue.drained()
            sessions = (await get(gateway, "/v1/sessions"))["items"]
            assert {session["station"] for session in sessions} == {"AC-1", "DC-1"}
            for session in sessions:
                delivered = {"AC-1": ac, "DC-1": dc}[session["station"]].energy_wh
                assert session["state"] == "ended"
                assert session["energy_wh"] == pytest.approx(delivered, abs=1)
                assert session["cost"] == pytest.approx(50 + 45 * delivered / 1000, abs=1)
            ready = await get(gateway, "/readyz")
            assert ready["status"] == "ready", ready
            assert (await get(gateway, "/v1/tokens"))["items"][0]["id"] == "CARD-1"


async def test_a_stranger_and_a_wrong_password_stay_outside(tmp_path: Path) -> None:
    gateway = Gateway(configured(tmp_path))
    async with running(gateway.run):
        await asyncio.wait_for(gateway.started.wait(), 10)
        url = gateway.urls["ocpp"]
        stranger = SimStation(url, "AC-9", password="password-of-ac-1", backoff_s=0.05)
        liar = SimStation(url, "AC-1", password="another-password", backoff_s=0.05)
        silent = SimStation(url, "AC-1", backoff_s=0.05)
        async with running(stranger.run, liar.run, silent.run):
            for station, status in ((stranger, "404"), (liar, "401"), (silent, "401")):
                await until(lambda station=station, status=status: status in station.last_error)
                assert not station.online.is_set()


async def test_a_stop_sends_stations_away_with_1012_and_an_open_session_outlives_the_restart(tmp_path: Path) -> None:
    gateway = Gateway(configured(tmp_path))
    async with running(gateway.run) as [task]:
        await asyncio.wait_for(gateway.started.wait(), 10)
        port = int(gateway.urls["ocpp"].rpartition(":")[2])
        station = SimStation(gateway.urls["ocpp"], "AC-1", password="password-of-ac-1", speed=50, backoff_s=0.1)
        async with running(station.run):
            await until(station.online.is_set)
            assert await station.plug_in(1, "CARD-1")
            gateway.stop()
            await asyncio.wait_for(task, 10)
            assert [code for code, _ in station.closings] == [1012]
            boots = station.boots

            again = Gateway(configured(tmp_path, site=SITE.replace("port = 0", f"port = {port}", 1)))
            async with running(again.run):
                await asyncio.wait_for(again.started.wait(), 10)
                [session] = [item for item in again.hub.snapshot("session/") if isinstance(item, Session)]
                assert session.state == "active"
                await until(station.online.is_set)
                await station.unplug(1)
                await station.queue.drained()
                ended = again.hub.last(session.key)
                assert isinstance(ended, Session)
                assert ended.state == "ended"
                assert ended.energy_wh == pytest.approx(station.energy_wh, abs=1)
            assert station.boots >= boots


async def test_a_known_station_is_described_after_a_restart_before_it_comes_back(tmp_path: Path) -> None:
    gateway = Gateway(configured(tmp_path))
    async with running(gateway.run):
        await asyncio.wait_for(gateway.started.wait(), 10)
        before = gateway.hub.last("charger/DC-1")
        assert isinstance(before, Station)
        assert (before.online, before.model) == (False, "")
        station = SimStation(gateway.urls["ocpp"], "DC-1", version="2.0.1", model="Tower")
        async with running(station.run):
            await until(station.online.is_set)
    again = Gateway(configured(tmp_path))
    async with running(again.run):
        await asyncio.wait_for(again.started.wait(), 10)
        after = again.hub.last("charger/DC-1")
        assert isinstance(after, Station)
        assert (after.online, after.model, after.protocol) == (False, "Tower", "ocpp2.0.1")
        shown: list[tuple[bool, str]] = []
        publish = again.hub.publish

        def note(item: Any) -> None:
            if isinstance(item, Station):
                shown.append((item.online, item.model))
            publish(item)

        again.hub.publish = note  # type: ignore[method-assign]
        station = SimStation(again.urls["ocpp"], "DC-1", version="2.0.1", model="Tower")
        async with running(station.run):
            await until(station.online.is_set)
        assert shown[0] == (True, "Tower"), "before it booted"


async def test_a_part_that_crashes_is_started_again_and_the_others_do_not_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes: list[float] = []
    run = ModbusMeter.run

    async def crash_twice(self: ModbusMeter, hub: Any) -> None:
        if len(crashes) < 2:
            crashes.append(time.monotonic())
            raise ZeroDivisionError("password-of-ac-1 divided by zero")
        await run(self, hub)

    monkeypatch.setattr(ModbusMeter, "run", crash_twice)
    monkeypatch.setattr("evcore.gateway.part.FIRST_PAUSE_S", 0.05)
    async with SimMeter("sdm630", values=lambda: {"energy_import": 5000.0}) as meter:
        more = f'[[modbus]]\nname = "grid"\nurl = "{meter.url}"\nprofile = "sdm630"\nperiod_s = 0.1\n'
        gateway = Gateway(configured(tmp_path, more))
        seen = gateway.hub.subscribe(Health)
        async with running(gateway.run):
            await until(lambda: any(item.key == "health/grid" for item in gateway.hub.snapshot("health/grid")))
            await asyncio.wait_for(gateway.started.wait(), 10)
            assert (await get(gateway, "/healthz"))["status"] == "ok"
            await until(lambda: gateway.hub.last("sample/grid/0/Energy.Active.Import.Register") is not None)
            details = []
            while len(details) < 3:
                item = await asyncio.wait_for(seen.get(), 5)
                if isinstance(item, Health) and item.connector == "grid":
                    details.append(item.detail)
                    if item.state == "up":
                        break
            assert not [detail for detail in details if "password-of-ac-1" in detail], "a secret was shown"
    store = Store(tmp_path / "evcore.db")
    await store.open()
    kept = await History(store).energy("grid", 0, time.time_ns())
    await store.close()
    assert {sample.measurand: sample.value for sample in kept}["Energy.Active.Import.Register"] == 5000.0
    assert len(crashes) == 2
    counted = {name: n for (name, labels), n in gateway.hub.counters().items() if ("part", "grid") in labels}
    assert counted == {"evcore_part_failures_total": 2}


@pytest.mark.parametrize("how", ["returns", "raises a group", "cancels itself"])
async def test_however_a_part_ends_it_is_shown_as_down_and_started_again(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evcore.gateway.part.FIRST_PAUSE_S", 0.01)
    runs = 0

    async def run(hub: Any) -> None:
        nonlocal runs
        runs += 1
        if how == "raises a group":
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.wait_for(asyncio.sleep(5), 0))
        if how == "cancels itself":
            raise asyncio.CancelledError

    hub = LocalHub()
    async with running(lambda: supervise(Part("it", Phase.DEVICES, run), hub, longest_s=0.02)):
        await until(lambda: runs > 4)
    health = hub.last("health/it")
    assert isinstance(health, Health)
    assert health.state == "down"
    assert {"returns": "ended by itself", "raises a group": "TimeoutError", "cancels itself": "cancelled"}[
        how
    ] in health.detail


async def test_a_part_that_does_not_end_keeps_no_other_from_ending_and_the_store_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = asyncio.Event()

    async def stubborn(self: ModbusMeter, hub: Any) -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    monkeypatch.setattr(ModbusMeter, "run", stubborn)
    more = '[[modbus]]\nname = "grid"\nurl = "tcp://127.0.0.1:1"\nprofile = "sdm630"\n[limits]\ndrain_s = 1\n'
    gateway = Gateway(configured(tmp_path, more))
    async with running(gateway.run) as [task]:
        await asyncio.wait_for(gateway.started.wait(), 10)
        began = time.monotonic()
        gateway.stop()
        second = Gateway(configured(tmp_path))
        await until(lambda: not gateway.started.is_set())
        while True:
            try:  # the file is locked until the first has let go of it
                await asyncio.wait_for(_open_and_close(second), 8)
                break
            except StoreError:
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 8
        free.set()
        await asyncio.wait_for(task, 5)


async def _open_and_close(gateway: Gateway) -> None:
    store = gateway._keepers().store
    await store.open()
    await store.close()


async def test_a_cancelled_gateway_leaves_nothing_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    gateway = Gateway(configured(tmp_path))
    async with running(gateway.run):
        await asyncio.wait_for(gateway.started.wait(), 10)
    assert asyncio.all_tasks() == before
    await _open_and_close(Gateway(configured(tmp_path)))


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('[[modbus]]\nname = "m"\nurl = "tcp://h"\nprofile = "nosuch"', "modbus[0].profile"),
        ('[[modbus]]\nname = "m"\nurl = "rtu:///dev/x?baud=9600"\nprofile = "sdm630"', "modbus[0].url"),
        ('[[can]]\nname = "c"\nchannel = "v"\ninterface = "nosuch"\nobserver = "gbt27930"', "can[0].interface"),
        ('[[mqtt]]\nurl = "mqtt://h/path"', "mqtt[0].url"),
        ('[[mqtt]]\npassword = "secret-pw"', "mqtt[0].username"),
        (
            '[[mqtt]]\n[[mqtt.sources]]\ntopic = "a/#"\nsource = "s"\nmeasurand = "P"\nunit = "W"',
            "mqtt[0].sources[0].topic",
        ),
        ('[[payments]]\nname = "p"\nurl = "http://h"\napi_key = "a-key"\nwebhook_secrets = ["abcd"]', "payments[0]"),
        ('[http]\ntls = { certificate = "junk.pem", key = "junk.pem" }', "http.tls"),
    ],
)
async def test_what_a_connector_refuses_is_an_error_of_the_users_file(more: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    gateway = Gateway(configured(tmp_path, more, site=""))
    with pytest.raises(ConfigError) as caught:
        await gateway.check()
    assert caught.value.file == "site.toml"
    assert caught.value.key.startswith(key)
    with pytest.raises(ConfigError):
        await gateway.run()
    await _open_and_close(Gateway(configured(tmp_path, site="")))


async def test_a_database_that_is_none_is_refused_before_anything_listens(tmp_path: Path) -> None:
    (tmp_path / "evcore.db").write_bytes(b"this is no database, and was never one" * 100)
    gateway = Gateway(configured(tmp_path))
    with pytest.raises(StoreError):
        await gateway.run()
    assert not gateway.started.is_set()


async def test_without_a_provider_a_payment_is_refused_and_its_webhook_unknown(tmp_path: Path) -> None:
    gateway = Gateway(configured(tmp_path))
    async with running(gateway.run):
        await asyncio.wait_for(gateway.started.wait(), 10)
        body = {"station": "AC-1", "evse": 1, "amount": 1000, "currency": "EUR", "provider": "acme"}
        url = gateway.urls["http"]
        async with aiohttp.ClientSession() as client:
            async with client.post(f"{url}/v1/payments", json=body, headers={"Idempotency-Key": "k"}) as answer:
                assert answer.status == 402
                assert "no payment provider" in (await answer.json())["detail"]
            async with client.post(f"{url}/v1/psp/acme/webhook", data=b"{}") as answer:
                assert answer.status == 404
        assert (await get(gateway, "/v1/payments"))["items"] == []


def test_the_example_runs_to_its_end() -> None:
    done = subprocess.run([sys.executable, EXAMPLE, "30"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(" Wh")
