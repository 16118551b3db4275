"""What leaves the connector is JSON of a bounded size, whatever a station or a command puts in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets

from evcore.model import Answer, Verb

Start = Callable[..., Awaitable[Any]]
NOW = "2026-11-23T18:30:00Z"
DECIMAL = {"vendorId": "v", "value": 1.5}  # the codec keeps the digits of what is called `value`: a Decimal


class Bare:
    """A station by hand: one CALL after the other."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.number = socket, 0

    async def call(self, action: str, payload: Any) -> Any:
        self.number += 1
        await self.socket.send(json.dumps([2, str(self.number), action, payload]))
        return json.loads(await asyncio.wait_for(self.socket.recv(), 8))

    async def answer(self, asked: asyncio.Task[Answer], payload: Any) -> Answer:
        call = json.loads(await asyncio.wait_for(self.socket.recv(), 8))
        await self.socket.send(json.dumps([3, call[1], payload]))
        return await asyncio.wait_for(asked, 8)


def dial(site: Any, subprotocol: str) -> Any:
    return websockets.connect(f"{site.url}/CP1", subprotocols=[subprotocol])  # type: ignore[list-item]


async def test_events_and_answers_of_2x_carry_json_values(csms: Start) -> None:
    site = await csms(registered=["CP1"])
    async with dial(site, "ocpp2.0.1") as socket:
        station = Bare(socket)
        await station.call("SecurityEventNotification", {"type": "x", "timestamp": NOW, "customData": DECIMAL})
        await station.call("NotifyReport", {"requestId": 1, "generatedAt": NOW, "seqNo": 0, "customData": DECIMAL})
        asked = asyncio.create_task(site.command(Verb.DATA_TRANSFER, vendor_id="v", data=1))
        answer = await station.answer(asked, {"status": "Accepted", "data": {"value": 1.25}})
    [security], [report] = site.events("security.event"), site.events("report")
    assert json.loads(json.dumps(security.data))["customData"] == DECIMAL
    assert json.loads(json.dumps(report.data))["customData"] == DECIMAL
    assert json.loads(json.dumps(answer.data)) == {"status": "Accepted", "data": {"value": 1.25}}


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_a_long_message_does_not_wait_in_every_queue(csms: Start, subprotocol: str) -> None:
    site = await csms(registered=["CP1"])
    async with dial(site, subprotocol) as socket:
        station = Bare(socket)
        for text in ("short", "x" * 50_000):
            assert (await station.call("DataTransfer", {"vendorId": "v", "data": text}))[0] == 3
    short, long = site.events("data_transfer")
    assert short.data == {"vendorId": "v", "data": "short"}
    assert long.data.keys() == {"bytes"}
    assert long.data["bytes"] > 50_000


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -float("inf")])
async def test_a_limit_that_is_no_number_is_refused_before_anyone_is_asked(csms: Start, limit: float) -> None:
    site = await csms(registered=["CP1"])
    async with dial(site, "ocpp1.6"):
        answer = await site.command(Verb.SET_LIMIT, evse=1, limit=limit)
    assert (answer.status, answer.ok) == ("Invalid", False)
    assert "finite" in answer.reason


@pytest.mark.parametrize(
    ("verb", "args", "where"),
    [
        (Verb.UNLOCK, {"evse": 2**80}, "evse"),
        (Verb.DATA_TRANSFER, {"vendor_id": "v", "data": {"x": 2**80}}, ""),
        (Verb.DATA_TRANSFER, {"vendor_id": "v", "data": object()}, ""),
        (Verb.START, {"token": "T" * 300}, "token"),
        (Verb.START, {"token": "T" * 40}, "/id"),  # the schema's limit: 20 for 1.6, 36 for 2.0.1
    ],
)
@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_an_argument_that_no_message_can_carry_is_invalid(
    csms: Start, verb: Verb, args: dict[str, Any], where: str, subprotocol: str
) -> None:
    site = await csms(registered=["CP1"])
    async with dial(site, subprotocol) as socket:
        asked = asyncio.create_task(site.command(verb, **args))
        if subprotocol == "ocpp1.6" and args.get("data") == {"x": 2**80}:
            answer = await Bare(socket).answer(asked, {"status": "Accepted"})  # 1.6 sends it as text
            assert answer.ok
            return
        answer = await asyncio.wait_for(asked, 8)
    assert (answer.status, where in answer.reason) == ("Invalid", True), answer


async def test_a_transaction_of_2x_is_not_stopped_in_the_words_of_16(csms: Start) -> None:
    site = await csms(registered=["CP1"])
    started = {"eventType": "Started", "timestamp": NOW, "triggerReason": "CablePluggedIn", "seqNo": 0}
    async with dial(site, "ocpp2.0.1") as socket:
        await Bare(socket).call(
            "TransactionEvent", started | {"transactionInfo": {"transactionId": "tx-a"}, "evse": {"id": 1}}
        )
    async with dial(site, "ocpp1.6"):
        answer = await site.command(Verb.STOP, evse=1)
    assert (answer.status, "tx-a" in answer.reason, "OCPP 1.6" in answer.reason) == ("Invalid", True, True)


async def test_values_that_name_no_transaction_count_for_the_session_of_their_connector(csms: Start) -> None:
    """Clock-aligned values need not name it (OCPP 1.6, 6.31), and some stations never do."""
    site = await csms(registered=["CP1"])
    async with dial(site, "ocpp1.6") as socket:
        station = Bare(socket)
        await station.call("StartTransaction", {"connectorId": 1, "idTag": "T1", "meterStart": 10, "timestamp": NOW})
        for connector in (1, 2):
            values = [{"timestamp": NOW, "sampledValue": [{"value": "510"}]}]
            await station.call("MeterValues", {"connectorId": connector, "meterValue": values})
        old = [{"timestamp": "2020-01-01T00:00:00Z", "sampledValue": [{"value": "9999"}]}]  # of a session before
        await station.call("MeterValues", {"connectorId": 1, "meterValue": old})
    [started] = site.events("session.started")
    register = "Energy.Active.Import.Register"
    assert site.hub.last(f"session/{started.session}").energy_wh == 500
    assert site.hub.last(f"sample/CP1/1/{register}").session is None  # the old one came last
    assert site.hub.last(f"sample/CP1/2/{register}").session is None
