"""SimStation as a peer: what it does when the CSMS is slow, silent, refuses, or goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mobilityhouse_csms import mobilityhouse
from ocpp import v16, v21, v201
from scripted_csms import NOW, Csms
from waiting import until

from evcore.sim import SimStation

VERSIONS = ["1.6", "2.0.1", "2.1"]


@asynccontextmanager
async def playing(version: str = "1.6", port: int = 0, **options: Any) -> AsyncIterator[tuple[Csms, SimStation]]:
    async with Csms(f"ocpp{version}", port=port) as csms:
        defaults: dict[str, Any] = {"speed": 50, "interval_s": 5, "backoff_s": 0.05, "call_timeout_s": 0.5}
        station = SimStation(csms.url, "CP1", version=version, **defaults | options)  # type: ignore[arg-type]
        life = asyncio.create_task(station.run())
        try:
            yield csms, station
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
async def test_it_boots_again_until_it_is_accepted_and_says_nothing_else(status: str) -> None:
    async with playing() as (csms, station):
        answers = iter([status, status, "Accepted"])
        csms.rules["BootNotification"] = lambda _: {"currentTime": NOW, "interval": 1, "status": next(answers)}
        await asyncio.wait_for(station.online.wait(), 8)
        assert [action for _, action, _ in csms.heard[:3]] == ["BootNotification"] * 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unanswered_transaction_message_is_sent_again_with_a_new_id(version: str) -> None:
    start = "StartTransaction" if version == "1.6" else "TransactionEvent"
    async with playing(version) as (csms, station):
        await asyncio.wait_for(station.online.wait(), 8)
        silent = 2

        def grudgingly(_: Any) -> Any:
            nonlocal silent
            silent -= 1
            return (
                None
                if silent >= 0
                else {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}}
                if version == "1.6"
                else {}
            )

        csms.rules[start] = grudgingly
        assert await station.plug_in(1, "T1")
        tries = csms.of(start)[:3]
        assert len({id for id, _, _ in tries}) == 3, "each try has an id of its own"
        assert tries[0][2] == tries[1][2] == tries[2][2], "and is the same record"


async def test_the_id_of_a_transaction_started_offline_is_put_into_what_waited() -> None:
    async with playing() as (csms, station):
        await asyncio.wait_for(station.online.wait(), 8)
        csms.rules["StartTransaction"] = lambda _: None
        charging = asyncio.create_task(station.plug_in(1, "T1"))
        await until(lambda: len(station.queue) >= 3)
        del csms.rules["StartTransaction"]
        assert await charging
        await station.unplug(1)
        await station.queue.drained()
        heard = csms.of("MeterValues", "StopTransaction")
        assert {payload["transactionId"] for _, _, payload in heard} == {4711}
        assert heard[-1][1] == "StopTransaction"


async def test_a_message_that_is_always_refused_is_given_up_and_the_next_ones_flow() -> None:
    async with playing() as (csms, station):
        await asyncio.wait_for(station.online.wait(), 8)
        csms.rules["MeterValues"] = lambda _: {"code": "InternalError"}
        await station.plug_in(1, "T1")
        await until(lambda: station.queue.given_up)
        await station.unplug(1)
        await asyncio.wait_for(station.queue.drained(), 8)
        assert csms.of("StopTransaction")
        assert {entry.action for entry in station.queue.given_up} == {"MeterValues"}
        assert all(entry.attempts == 3 for entry in station.queue.given_up)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_start_that_is_not_authorised_ends_at_once(version: str) -> None:
    start, stop = ("StartTransaction", "StopTransaction") if version == "1.6" else ("TransactionEvent",) * 2
    async with playing(version) as (csms, station):
        await asyncio.wait_for(station.online.wait(), 8)
        blocked = {"status": "Blocked"}
        refusal = {"transactionId": 1, "idTagInfo": blocked} if version == "1.6" else {"idTokenInfo": blocked}
        csms.rules[start] = lambda payload: refusal if "idTag" in payload or "idToken" in payload else {}
        assert not await station.plug_in(1, "T1")
        await station.queue.drained()
        assert "DeAuthorized" in json.dumps(csms.of(stop)[-1][2])


async def test_it_comes_back_after_the_connection_is_cut() -> None:
    async with playing() as (csms, station):
        for times in (1, 2, 3):
            await until(lambda times=times: station.online.is_set() and len(csms.sockets) == times)
            station.drop()
            await until(lambda: not station.online.is_set())


async def test_energy_is_told_as_it_is_delivered() -> None:
    told: list[tuple[str, float]] = []
    async with playing(on_energy=lambda id, wh: told.append((id, wh))) as (_, station):
        await asyncio.wait_for(station.online.wait(), 8)
        assert not told
        await station.plug_in(1, "T1")
        await until(lambda: station.energy_wh > 20)
        await station.unplug(1)
        assert sum(wh for _, wh in told) == pytest.approx(station.energy_wh)
        assert {id for id, _ in told} == {"CP1"}


async def test_direct_current_tells_its_soc_and_takes_less_when_nearly_full() -> None:
    async with playing(dc=True, power_w=150_000, voltage=800) as (csms, station):
        await asyncio.wait_for(station.online.wait(), 8)
        await station.plug_in(1, "T1", soc=79.0)
        await until(lambda: (station.evses[1].soc or 0) > 85)
        assert station.evses[1].power_w < 120_000
        assert "SoC" in json.dumps(csms.of("MeterValues")[-1][2])


async def test_what_no_csms_asks_is_not_supported() -> None:
    async with playing() as (csms, station):
        await asyncio.wait_for(station.online.wait(), 8)
        assert (await csms.ask("Authorize", {"idTag": "T1"}))[0] == "NotSupported", "only stations ask this"


REMOTE = {
    "1.6": lambda: v16.call.RemoteStartTransaction("T1", 1),
    "2.0.1": lambda: v201.call.RequestStartTransaction({"id_token": "T1", "type": "Central"}, 7, evse_id=1),
    "2.1": lambda: v21.call.RequestStartTransaction({"id_token": "T1", "type": "Central"}, 7, evse_id=1),
}


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_csms_of_mobilityhouse_starts_it_from_afar_and_finds_all_it_says_valid(version: Any) -> None:
    async with mobilityhouse(version) as (url, points):
        station = SimStation(url, "CP1", version=version, speed=50, interval_s=5, backoff_s=0.05)
        life = asyncio.create_task(station.run())
        await asyncio.wait_for(station.online.wait(), 8)
        assert (await points[0].call(REMOTE[version]())).status == "Accepted"
        await until(lambda: station.energy_wh > 20)
        await station.unplug(1)
        await asyncio.wait_for(station.queue.drained(), 8)
        assert all(answered.answer is not None for answered in station.answers)
        said = [answered.action for answered in station.answers]
        assert said.count("StopTransaction" if version == "1.6" else "TransactionEvent") >= 1
        assert station.queue.given_up == []
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def test_a_place_that_is_not_there_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        await SimStation("ws://127.0.0.1:1", "CP1").plug_in(2, "T1")
