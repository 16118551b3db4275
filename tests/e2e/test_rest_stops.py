"""A charging station that nobody here wrote (mobilityhouse/ocpp) charges and is stopped by REST."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets
from ocpp import v16, v201
from ocpp.routing import after, on

from evcore.gateway.config import parse
from evcore.gateway.gateway import Gateway

PASSWORD = "password-of-cp1-1"
SITE = f"""
[[ocpp]]
port = 0
[[ocpp.stations]]
id = "CP1"
password = "{PASSWORD}"
[http]
port = 0
[[tokens]]
id = "T1"
"""
BEGIN, LATER, END = (f"2026-11-23T18:{minute}:00Z" for minute in (30, 40, 50))


class Station16(v16.ChargePoint):
    """Charges at once; stopped from afar, it tells what it delivered."""

    transaction = 0

    async def charge(self) -> None:
        assert (await self.call(v16.call.BootNotification("M", "V"))).status == "Accepted"
        await self.call(v16.call.StatusNotification(1, "NoError", "Preparing"))
        assert (await self.call(v16.call.Authorize("NOBODY"))).id_tag_info["status"] == "Invalid"
        assert (await self.call(v16.call.Authorize("T1"))).id_tag_info["status"] == "Accepted"
        started = await self.call(v16.call.StartTransaction(1, "T1", 1200, BEGIN))
        self.transaction = started.transaction_id
        await self.call(v16.call.StatusNotification(1, "NoError", "Charging"))
        value = {"value": "1.7005", "measurand": "Energy.Active.Import.Register", "unit": "kWh"}
        values = [{"timestamp": LATER, "sampledValue": [value]}]
        await self.call(v16.call.MeterValues(1, values, transaction_id=self.transaction))

    @on("RemoteStopTransaction")
    def on_stop(self, transaction_id: int) -> Any:
        mine = transaction_id == self.transaction
        return v16.call_result.RemoteStopTransaction("Accepted" if mine else "Rejected")

    @after("RemoteStopTransaction")
    async def after_stop(self, transaction_id: int) -> None:
        if transaction_id == self.transaction:
            self.transaction = 0
            await self.call(v16.call.StopTransaction(2200, END, transaction_id, reason="Remote"))
            await self.call(v16.call.StatusNotification(1, "NoError", "Available"))


class Station201(v201.ChargePoint):
    """The same in 2.0.1's words."""

    transaction = ""

    async def charge(self) -> None:
        about = {"model": "M", "vendor_name": "V"}
        assert (await self.call(v201.call.BootNotification(about, "PowerUp"))).status == "Accepted"
        await self.call(v201.call.StatusNotification(BEGIN, "Occupied", 1, 1))
        stranger = await self.call(v201.call.Authorize({"id_token": "NOBODY", "type": "Central"}))
        assert stranger.id_token_info["status"] == "Invalid"
        self.transaction = "tx-1"
        token = {"id_token": "T1", "type": "Central"}
        started = await self.event("Started", "Authorized", 0, BEGIN, 1200, id_token=token)
        assert started.id_token_info["status"] == "Accepted"
        await self.event("Updated", "MeterValuePeriodic", 1, LATER, 1700.5)

    async def event(self, kind: str, why: str, number: int, when: str, energy: float, **more: Any) -> Any:
        info = {"transaction_id": "tx-1", "charging_state": "Idle" if kind == "Ended" else "Charging"}
        if kind == "Ended":
            info["stopped_reason"] = "Remote"
        values = [{"timestamp": when, "sampled_value": [{"value": energy}]}]
        place = {"id": 1, "connector_id": 1}
        return await self.call(
            v201.call.TransactionEvent(kind, when, why, number, info, meter_value=values, evse=place, **more)
        )

    @on("RequestStopTransaction")
    def on_stop(self, transaction_id: str) -> Any:
        mine = transaction_id == self.transaction
        return v201.call_result.RequestStopTransaction("Accepted" if mine else "Rejected")

    @after("RequestStopTransaction")
    async def after_stop(self, transaction_id: str) -> None:
        if transaction_id == self.transaction:
            self.transaction = ""
            await self.event("Ended", "RemoteStop", 2, END, 2200)
            await self.call(v201.call.StatusNotification(END, "Available", 1, 1))


@asynccontextmanager
async def charging(url: str, kind: Any, subprotocol: str) -> AsyncIterator[Any]:
    """A station that charges, over a real WebSocket with Basic auth."""
    secret = base64.b64encode(f"CP1:{PASSWORD}".encode()).decode()
    async with websockets.connect(
        f"{url}/CP1",
        subprotocols=[subprotocol],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Basic {secret}"},
    ) as socket:
        station = kind("CP1", socket)
        reading = asyncio.create_task(station.start())
        try:
            async with asyncio.timeout(8):
                await station.charge()
            yield station
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(parse(SITE, file="site.toml", base=tmp_path))
    life = asyncio.create_task(gateway.run())
    await asyncio.wait_for(gateway.started.wait(), 20)
    yield gateway
    gateway.stop()
    await asyncio.wait_for(life, 20)


async def until(ask: Callable[[], Any], true: Callable[[Any], bool]) -> Any:
    """Ask until the answer is true, with a generous limit."""
    async with asyncio.timeout(8):
        while not true(answer := await ask()):
            await asyncio.sleep(0.01)
    return answer


@pytest.mark.parametrize(
    ("kind", "subprotocol"), [(Station16, "ocpp1.6"), (Station201, "ocpp2.0.1")], ids=["1.6", "2.0.1"]
)
async def test_a_real_station_charges_and_rest_stops_it_with_its_own_answer(
    gateway: Gateway, kind: Any, subprotocol: str
) -> None:
    async with (
        charging(gateway.urls["ocpp"], kind, subprotocol),
        aiohttp.ClientSession(gateway.urls["http"]) as rest,
    ):

        async def get(path: str) -> Any:
            async with rest.get(path) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        async def command(verb: str, **args: Any) -> Any:
            async with rest.post("/v1/chargers/CP1/commands", json={"verb": verb, "args": args}) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        [before] = (await get("/v1/sessions"))["items"]
        assert (before["state"], before["energy_wh"], before["token"]) == ("active", 500.5, "T1")
        charger = await get("/v1/chargers/CP1")
        assert (charger["online"], charger["protocol"]) == (True, subprotocol)
        async with rest.ws_connect("/feed") as feed:
            await feed.send_str('{"op": "sub"}')
            async with asyncio.timeout(8):
                while before["id"] not in (await feed.receive()).data:  # hello, then the snapshot
                    pass
            refused = await command("stop", session="no-such-session")
            assert (refused["ok"], refused["status"]) == (False, "Rejected")
            answer = await command("stop", session=before["id"])
            assert (answer["ok"], answer["status"]) == (True, "Accepted")
            async with asyncio.timeout(8):
                while "session.ended" not in (await feed.receive()).data:
                    pass
        after = await until(lambda: get(f"/v1/sessions/{before['id']}"), lambda one: one["state"] == "ended")
        assert (after["energy_wh"], after["reason"], after["meter_stop"]) == (1000, "Remote", "2200")
        samples = (await get(f"/v1/sessions/{before['id']}/samples"))["items"]
        digits = [one["digits"] for one in samples if one["measurand"] == "Energy.Active.Import.Register"]
        assert "1.7005" in digits or "1700.5" in digits, "the digits that the station sent"
        again = await command("stop", session=before["id"])
        assert not again["ok"], "the station's own Rejected: nothing runs"
        unable = await command("unlock", evse=1)
        assert (unable["ok"], unable["status"]) == (False, "NotSupported")
