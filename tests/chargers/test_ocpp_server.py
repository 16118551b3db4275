"""OcppServer against simulated stations of all versions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from evcore.errors import ConfigError, StoreError
from evcore.local import LocalLedger
from evcore.model import Authorization, Evse, Health, Recorded, Sample, Session, SessionRecord, Station, Verb

VERSIONS = ["1.6", "2.0.1", "2.1"]
Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_boots_and_is_part_of_the_site(csms: Start, version: str, wait_until: Until) -> None:
    site = await csms()
    await site.station(version=version, evses=2)
    known = await wait_until(lambda: site.hub.last("charger/CP1"))
    assert isinstance(known, Station)
    assert (known.online, known.protocol, known.vendor, known.serial) == (True, f"ocpp{version}", "evcore", "SN-CP1")
    evse = await wait_until(lambda: site.hub.last("evse/CP1/2"))
    assert isinstance(evse, Evse)
    assert (evse.status, evse.charging, evse.fault) == ("Available", None, "")
    health = site.hub.last("health/ocpp")
    assert isinstance(health, Health)
    assert health.state == "up"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_charge_from_plug_to_unplug_is_a_session_with_samples(
    csms: Start, version: str, wait_until: Until
) -> None:
    site = await csms()
    station = await site.station(version=version)
    assert await station.plug_in(1, "T1")
    register = "sample/CP1/1/Energy.Active.Import.Register"
    await wait_until(lambda: getattr(site.hub.last(register), "value", 0) > 5, "energy")
    evse = site.hub.last("evse/CP1/1")
    assert (evse.status, evse.charging) == ("Occupied", "Charging")
    sample = site.hub.last(register)
    assert isinstance(sample, Sample)
    assert (sample.unit, sample.session) == ("Wh", evse.session)
    assert sample.digits is not None
    assert float(sample.digits) == sample.value
    for measurand in ("Power.Active.Import", "Current.Import/L1", "Voltage"):
        assert site.hub.last(f"sample/CP1/1/{measurand}") is not None
    await station.unplug(1)
    await station.queue.drained()
    ended = await wait_until(lambda: site.events("session.ended"))
    session = site.hub.last(f"session/{ended[0].session}")
    assert isinstance(session, Session)
    assert (session.state, session.token, session.reason) == ("ended", "T1", "EVDisconnected")
    assert session.energy_wh == pytest.approx(station.energy_wh, abs=1.0)
    after = site.hub.last("evse/CP1/1")
    assert after.session is None


async def test_a_fault_is_raised_and_cleared_once(csms: Start, wait_until: Until) -> None:
    site = await csms()
    station = await site.station()
    await station.fault(1, "GroundFailure")
    await station.fault(1, "")
    await wait_until(lambda: site.events("fault.cleared"))
    assert [(event.kind, event.evse, event.text) for event in site.events("fault.")] == [
        ("fault.raised", 1, "GroundFailure"),
        ("fault.cleared", 1, "GroundFailure"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_token_that_may_not_charge_does_not(csms: Start, version: str) -> None:
    site = await csms(ledger=LocalLedger({"GOOD"}))
    station = await site.station(version=version)
    assert not await station.plug_in(1, "BAD")
    assert site.ledger.sessions == {}


class FullDisk(LocalLedger):
    """A ledger whose disk is full until it is told otherwise."""

    full = True
    readable = True

    async def authorize(self, station: str, token: str) -> Authorization:
        if not self.readable:
            raise StoreError("disk I/O error")
        return await super().authorize(station, token)

    async def record(self, record: SessionRecord) -> Recorded:
        if self.full:
            raise StoreError("no space left on device")
        return await super().record(record)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_not_on_disk_is_not_acknowledged_and_comes_again(
    csms: Start, version: str, wait_until: Until
) -> None:
    ledger = FullDisk()
    site = await csms(ledger=ledger)
    station = await site.station(version=version)
    charging = asyncio.create_task(station.plug_in(1, "T1"))
    await wait_until(lambda: [answer for answer in station.answers if "InternalError" in answer.error])
    assert site.events("store.failed")
    assert ledger.sessions == {}
    ledger.full = False
    assert await charging
    assert len(ledger.sessions) == 1


async def test_tokens_that_cannot_be_read_are_a_fault_of_ours_not_of_the_token(csms: Start, wait_until: Until) -> None:
    ledger = FullDisk()
    ledger.full = ledger.readable = False
    site = await csms(ledger=ledger)
    station = await site.station()
    assert not await station.plug_in(1, "T1")
    [refused] = [answered for answered in station.answers if answered.action == "Authorize"]
    assert refused.error.startswith("InternalError")
    assert site.errors() == {"store": 1}


async def test_beyond_loopback_without_authentication_it_does_not_even_start(csms: Start) -> None:
    with pytest.raises(ConfigError):
        await csms(host="0.0.0.0")


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_command_gets_the_stations_own_answer(csms: Start, version: str, wait_until: Until) -> None:
    site = await csms()
    station = await site.station(version=version, evses=2)
    one = version == "1.6"
    key = "HeartbeatInterval" if one else "OCPPCommCtrlr.HeartbeatInterval"
    variable = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
    await wait_until(lambda: site.hub.last("evse/CP1/2"))
    assert (await site.command(Verb.START, token="T1", evse=1)).ok
    await wait_until(lambda: site.events("session.started"))
    expected: list[tuple[Verb, dict[str, Any], str]] = [
        (Verb.START, {"token": "T1", "evse": 1}, "Rejected"),
        (Verb.START, {"evse": 1}, "Invalid"),
        (Verb.SET_LIMIT, {"evse": 1, "limit": 6, "unit": "A"}, "Accepted"),
        (Verb.SET_LIMIT, {"evse": 0, "limit": 8000.0, "unit": "W"}, "Accepted"),
        (Verb.SET_LIMIT, {"evse": 1, "limit": 6, "unit": "horses"}, "Invalid"),
        (Verb.CLEAR_LIMIT, {"evse": 1}, "Accepted"),
        (Verb.GET_CONFIG, {"keys": [key]}, "Accepted"),
        (Verb.SET_CONFIG, {"key": key, "value": "77"}, "Accepted"),
        (Verb.SET_CONFIG, {"key": key, "value": "often"}, "Rejected"),
        (Verb.GET_VARIABLES, {"variables": [variable]}, "Accepted"),
        (Verb.SET_VARIABLES, {"variables": [variable | {"value": 60}]}, "Accepted"),
        (Verb.CHANGE_AVAILABILITY, {"evse": 2, "operative": False}, "Accepted"),
        (Verb.CHANGE_AVAILABILITY, {"operative": False}, "Scheduled"),
        (Verb.CHANGE_AVAILABILITY, {"operative": True}, "Accepted"),
        (Verb.TRIGGER, {"message": "MeterValues", "evse": 2}, "Accepted"),
        (Verb.TRIGGER, {"message": "Poetry"}, "Invalid"),
        (Verb.UNLOCK, {"evse": 2}, "Unlocked"),
        (Verb.CLEAR_CACHE, {}, "Accepted"),
        (Verb.DATA_TRANSFER, {"vendor_id": "evcore", "data": "hi"}, "Accepted"),
        (Verb.DATA_TRANSFER, {"vendor_id": "nobody"}, "UnknownVendorId"),
        (Verb.RESERVE, {"evse": 1}, "Invalid"),
        (Verb.CLEAR_CACHE, {"evse": 1}, "Invalid"),
        (Verb.STOP, {"session": "no such"}, "Rejected"),
        (Verb.STOP, {"evse": 1}, "Accepted"),
    ]
    for verb, args, status in expected:
        answer = await site.command(verb, **args)
        assert (verb, args, answer.status) == (verb, args, status)
        assert answer.ok == (status in ("Accepted", "Unlocked", "Scheduled")), (verb, answer)
        assert answer.ok or answer.reason or answer.data, (verb, answer)
    await wait_until(lambda: site.events("session.ended"))
    assert station.heartbeat_s == 60
    assert (await site.command(Verb.RESET, type="Immediate")).ok
    await wait_until(lambda: station.boots == 2)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_limit_is_kept_by_the_station_and_shown(csms: Start, version: str, wait_until: Until) -> None:
    site = await csms()
    station = await site.station(version=version)
    await station.plug_in(1, "T1")
    assert (await site.command(Verb.SET_LIMIT, evse=1, limit=6.0, unit="A")).ok
    assert site.hub.last("evse/CP1/1").limit_a == 6.0
    await wait_until(lambda: station.evses[1].power_w == pytest.approx(6 * 230 * 3))
    assert (await site.command(Verb.CLEAR_LIMIT, evse=1)).ok
    assert site.hub.last("evse/CP1/1").limit_a is None
    await wait_until(lambda: station.evses[1].power_w == 11_000)
    await site.command(Verb.SET_LIMIT, evse=1, limit=8.0, unit="A")
    await station.unplug(1)
    await station.queue.drained()
    assert site.hub.last("evse/CP1/1").limit_a is None, "it was the transaction's"
    await site.command(Verb.SET_LIMIT, evse=1, limit=12.0, unit="A")
    await station.plug_in(1, "T2")
    await site.command(Verb.SET_LIMIT, evse=1, limit=7.0, unit="A")
    assert site.hub.last("evse/CP1/1").limit_a == 7.0
    await station.unplug(1)
    await station.queue.drained()
    assert site.hub.last("evse/CP1/1").limit_a == 12.0, "the default is in force again"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_is_stopped_by_its_id(csms: Start, version: str, wait_until: Until) -> None:
    site = await csms()
    station = await site.station(version=version)
    await station.plug_in(1, "T1")
    [started] = site.events("session.started")
    assert (await site.command(Verb.STOP, session=started.session)).ok
    [ended] = await wait_until(lambda: site.events("session.ended"))
    assert (ended.session, ended.data["reason"]) == (started.session, "Remote")


@pytest.mark.parametrize("version", VERSIONS)
async def test_who_is_not_accepted_yet_is_told_so_and_charges_nothing(
    csms: Start, version: str, wait_until: Until
) -> None:
    verdicts = ["Pending", "Rejected", "Accepted"]
    site = await csms(register=lambda station: verdicts.pop(0), heartbeat_s=1)
    station = await site.station(version=version)
    assert station.boots == 3
    assert [event.text for event in site.events("station.booted")] == ["Pending", "Rejected", "Accepted"]
    assert await station.plug_in(1, "T1")


async def test_who_is_away_is_offline(csms: Start, wait_until: Until) -> None:
    site = await csms()
    station = await site.station()
    assert site.server.connected == {"CP1"}
    station.drop()
    await wait_until(lambda: site.events("station.disconnected"))
    offline = next(item for item in site.items if isinstance(item, Station) and not item.online)
    assert offline.vendor == "evcore", "what is known of it is kept"
    assert (await site.command(Verb.UNLOCK, "CP2", evse=1)).status == "Offline"


async def test_a_restarted_server_knows_nothing_and_loses_nothing(csms: Start, wait_until: Until) -> None:
    site = await csms()
    station = await site.station()
    await station.plug_in(1, "T1")
    await site.server.drain(0)
    site.task.cancel()
    again = await csms(port=site.server.port, ledger=site.ledger)
    await wait_until(lambda: station.online.is_set() and "CP1" in again.server.connected)
    await station.unplug(1)
    await asyncio.wait_for(station.queue.drained(), 8)
    [session] = site.ledger.sessions.values()
    assert session.state == "ended"
    assert station.queue.given_up == []


async def test_offline_from_the_first_message_on_nothing_is_lost(
    csms: Start, wait_until: Until, free_port: Callable[[], int]
) -> None:
    port = free_port()
    site = await csms()
    station = await site.station(online=False)
    station.url = station.url.replace(str(site.server.port), str(port))
    station.drop()
    await wait_until(lambda: not station.online.is_set())
    assert await station.plug_in(1, "T1")
    await wait_until(lambda: len(station.queue) >= 3)
    await station.unplug(1)
    later = await csms(port=port)
    await asyncio.wait_for(station.queue.drained(), 8)
    [(_, session)] = later.ledger.sessions.items()
    assert (session.state, session.token) == ("ended", "T1")
    actions = [answer.action for answer in station.answers if answer.action.endswith(("Transaction", "Values"))]
    assert actions[0] == "StartTransaction"
    assert actions[-1] == "StopTransaction"
    assert set(actions[1:-1]) == {"MeterValues"}


async def test_a_drain_says_service_restart_and_the_station_comes_back(csms: Start, wait_until: Until) -> None:
    site = await csms()
    station = await site.station()
    port = site.server.port
    await site.server.drain(0.05)
    await wait_until(lambda: not site.server.connected)
    site.task.cancel()
    await asyncio.gather(site.task, return_exceptions=True)
    again = await csms(port=port)
    await wait_until(lambda: station.online.is_set() and "CP1" in again.server.connected)
