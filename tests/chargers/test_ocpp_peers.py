"""OcppServer against the client that everyone in Python uses: mobilityhouse/ocpp over websockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from ocpp import v16, v201
from ocpp.routing import on

from evcore.model import Verb

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
NOW = "2026-11-23T18:30:37.5Z"


class Station16(v16.ChargePoint):
    stopped: asyncio.Event

    @on("RemoteStartTransaction")
    def on_remote_start(self, id_tag: str, connector_id: int | None = None) -> Any:
        return v16.call_result.RemoteStartTransaction("Accepted")

    @on("RemoteStopTransaction")
    def on_remote_stop(self, transaction_id: int) -> Any:
        self.wanted = transaction_id
        self.stopped.set()
        return v16.call_result.RemoteStopTransaction("Accepted")


class Station201(v201.ChargePoint):
    stopped: asyncio.Event

    @on("RequestStopTransaction")
    def on_remote_stop(self, transaction_id: str) -> Any:
        self.wanted = transaction_id
        self.stopped.set()
        return v201.call_result.RequestStopTransaction("Accepted")


@asynccontextmanager
async def connected(site: Any, kind: Any, subprotocol: str) -> AsyncIterator[Any]:
    async with websockets.connect(f"{site.url}/CP1", subprotocols=[subprotocol]) as socket:  # type: ignore[list-item]
        station = kind("CP1", socket)
        station.stopped = asyncio.Event()
        reading = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def test_mobilityhouse_16_boots_charges_and_is_stopped_from_afar(csms: Start, wait_until: Until) -> None:
    site = await csms()
    async with connected(site, Station16, "ocpp1.6") as station:
        booted = await station.call(v16.call.BootNotification("M", "V"))
        assert (booted.status, booted.interval) == ("Accepted", 300)
        await station.call(v16.call.StatusNotification(1, "NoError", "Preparing"))
        assert (await station.call(v16.call.Authorize("T1"))).id_tag_info["status"] == "Accepted"
        assert (await site.command(Verb.START, token="T1", evse=1)).status == "Accepted"
        started = await station.call(v16.call.StartTransaction(1, "T1", 1200, NOW))
        [event] = site.events("session.started")
        values = [
            {"value": "1.250", "measurand": "Energy.Active.Import.Register", "unit": "kWh"},
            {"value": "230.1", "measurand": "Voltage", "phase": "L1-N"},
        ]
        meter = v16.call.MeterValues(1, [{"timestamp": NOW, "sampledValue": values}], started.transaction_id)
        await station.call(meter)
        sample = site.hub.last("sample/CP1/1/Energy.Active.Import.Register")
        assert (sample.value, sample.unit, sample.digits, sample.session) == (1250, "Wh", "1250", event.session)
        answer = await site.command(Verb.STOP, session=event.session)
        assert (answer.status, answer.ok) == ("Accepted", True)
        await asyncio.wait_for(station.stopped.wait(), 8)
        assert station.wanted == started.transaction_id
        await station.call(v16.call.StopTransaction(2200, NOW, started.transaction_id, reason="Remote"))
        session = site.hub.last(f"session/{event.session}")
        assert (session.state, session.energy_wh, session.meter_stop) == ("ended", 1000, "2200")
        assert (await site.command(Verb.UNLOCK, evse=1)).status == "NotSupported"


async def test_mobilityhouse_201_boots_charges_and_is_stopped_from_afar(csms: Start, wait_until: Until) -> None:
    site = await csms()
    async with connected(site, Station201, "ocpp2.0.1") as station:
        about = {"model": "M", "vendor_name": "V"}
        booted = await station.call(v201.call.BootNotification(about, "PowerUp"))
        assert booted.status == "Accepted"
        await station.call(v201.call.StatusNotification(NOW, "Occupied", 1, 1))

        async def event(kind: str, reason: str, number: int, energy: float, **more: Any) -> Any:
            return await station.call(
                v201.call.TransactionEvent(
                    event_type=kind,
                    timestamp=NOW,
                    trigger_reason=reason,
                    seq_no=number,
                    transaction_info={"transaction_id": "tx-1", "charging_state": "Charging"} | more.pop("info", {}),
                    evse={"id": 1, "connector_id": 1},
                    meter_value=[{"timestamp": NOW, "sampled_value": [{"value": energy}]}],
                    **more,
                )
            )

        started = await event("Started", "Authorized", 0, 1200.5, id_token={"id_token": "T1", "type": "Central"})
        assert started.id_token_info["status"] == "Accepted"
        await event("Updated", "MeterValuePeriodic", 1, 1700.25)
        [happened] = site.events("session.started")
        session = site.hub.last(f"session/{happened.session}")
        assert (session.meter_start, session.energy_wh, session.token) == ("1200.5", 499.75, "T1")
        assert site.hub.last("evse/CP1/1").charging == "Charging"
        answer = await site.command(Verb.STOP, evse=1)
        assert (answer.status, answer.ok) == ("Accepted", True)
        await asyncio.wait_for(station.stopped.wait(), 8)
        assert station.wanted == "tx-1"
        await event("Ended", "RemoteStop", 2, 2200.5, info={"stopped_reason": "Remote", "charging_state": "Idle"})
        session = site.hub.last(f"session/{happened.session}")
        assert (session.state, session.energy_wh, session.reason) == ("ended", 1000, "Remote")


async def test_a_call_while_the_station_waits_for_its_own_answer_crosses_it(csms: Start) -> None:
    site = await csms()
    async with connected(site, Station16, "ocpp1.6") as station:
        await station.call(v16.call.BootNotification("M", "V"))
        answers = await asyncio.gather(
            *(station.call(v16.call.Heartbeat()) for _ in range(20)),
            *(site.command(Verb.START, token=f"T{n}", evse=1) for n in range(20)),
        )
        assert [answer.status for answer in answers[20:]] == ["Accepted"] * 20
        assert site.errors() == {}


@pytest.mark.parametrize("library", ["Heartbeat"])
async def test_a_station_that_returns_to_a_server_that_forgot_it_is_asked_to_boot(
    csms: Start, wait_until: Until, library: str
) -> None:
    site = await csms()

    class Returning(v16.ChargePoint):
        @on("TriggerMessage")
        def on_trigger(self, requested_message: str) -> Any:
            asyncio.get_running_loop().create_task(self.call(v16.call.BootNotification("M", "V")))
            return v16.call_result.TriggerMessage("Accepted")

    async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        station = Returning("CP1", socket)
        reading = asyncio.create_task(station.start())
        assert await station.call(getattr(v16.call, library)()) is None, "SecurityError, which this library swallows"
        assert site.errors() == {"not_accepted": 1}
        await wait_until(lambda: site.events("station.booted"))
        assert (await station.call(getattr(v16.call, library)())).current_time
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
