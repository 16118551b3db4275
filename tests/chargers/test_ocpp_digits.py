"""What a bill is made of keeps the digits that the station sent: registers and money."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bare_station import BareStation

from evcore.backends import HttpBackend
from evcore.backends.http.encode import encode
from evcore.backends.mqtt_payloads import event_payload
from evcore.chargers import StationRules
from evcore.chargers.ocpp_codecs import EXACT
from evcore.gateway.history import History
from evcore.gateway.hub import Hub, shown
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.site import GatewaySite
from evcore.gateway.store import Store
from evcore.gateway.tokens import Tokens
from evcore.local import LocalLedger
from evcore.model import Authorization, Event, Recorded, Sample, Session, SessionRecord, wire
from evcore.ocpp.policy import Policy
from evcore.ocpp.websocket import connect

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[None]]
FOLDERS = {"2.0.1": "v201", "2.1": "v21"}
MONEY = ("cost", "price", "fee", "tax", "amount")
NO_MONEY = {"energyAmount"}  # of energy
NO_AMOUNT = {"startValue"}  # kW at which a tier of consumptionCost starts

BOOT = '[2,"b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"V"}}]'
EVENT = """[2,"%s","TransactionEvent",{"eventType":"%s",
"timestamp":"2026-11-24T10:00:0%d.000Z","triggerReason":"%s","seqNo":%d,
"transactionInfo":{"transactionId":"tx-1"},"evse":{"id":1,"connectorId":1},"idToken":{"idToken":"A","type":"Central"},
"meterValue":[{"timestamp":"2026-11-24T10:00:0%d.000Z","sampledValue":[{"value":%s,"context":"Transaction.%s"}]}]}]"""

START, END = (
    ("1", "Started", 1, "Authorized", 0, 1, "%s", "Begin"),
    ("2", "Ended", 2, "StopAuthorized", 1, 2, "%s", "End"),
)
BOOT_16 = '[2,"b","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]'
START_16 = (
    """[2,"s","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":%d,"timestamp":"2026-11-24T10:00:00Z"}]"""
)
STOP_16 = """[2,"e","StopTransaction",{"transactionId":%d,"meterStop":%d,"timestamp":"2026-11-24T10:09:00Z",
"transactionData":[{"timestamp":"2026-11-24T10:08:00Z","sampledValue":[{"value":"%s"}]}]}]"""


def numbers(node: Mapping[str, Any], root: Any, path: tuple[str, ...] = (), seen: tuple[str, ...] = ()) -> set[str]:
    """The ways to all members that are numbers, not integers."""
    if "$ref" in node:
        name = node["$ref"]
        return set() if name in seen else numbers(root["definitions"][name.split("/")[-1]], root, path, (*seen, name))
    if "items" in node:
        return numbers(node["items"], root, path, seen)
    if node.get("type") == "number":
        return {"/".join(path)}
    found = [numbers(part, root, (*path, name), seen) for name, part in node.get("properties", {}).items()]
    return set().union(*found)


@pytest.mark.parametrize("version", FOLDERS)
def test_all_money_of_all_messages_is_read_exactly(version: str) -> None:
    money = set()
    for file in (files("ocpp") / FOLDERS[version] / "schemas").iterdir():
        if file.name.endswith(".json"):
            schema = json.loads(file.read_text("utf-8-sig"))
            money |= {way for way in numbers(schema, schema) if any(word in way.lower() for word in MONEY)}
    money = {way for way in money if way.split("/")[-1] not in NO_MONEY | NO_AMOUNT}
    named = set(EXACT[version])
    # what stands below prices and costs without being money: when they hold, energy that was used
    others = {way for way in money if way.split("/")[-1] not in named}
    assert {way.split("/")[-1] for way in others} <= {"energy", "volume", "powerRangeStart"} | {
        f"{end}{what}" for end in ("min", "max") for what in ("Energy", "Current", "Power")
    }
    assert named - {"value"} == {way.split("/")[-1] for way in money - others}


@pytest.mark.parametrize("version", FOLDERS)
async def test_a_register_reaches_samples_and_ledger_with_all_its_digits(
    csms: Start, wait_until: Until, version: str
) -> None:
    site, station = await csms(), BareStation()
    connection = await connect(f"{site.url}/CP1", station, subprotocols=[f"ocpp{version}"])
    started, ended = "123456789012345678.10", "123456789012345679.35"
    for message in (
        BOOT,
        EVENT % ("1", "Started", 1, "Authorized", 0, 1, started, "Begin"),
        EVENT % ("2", "Ended", 2, "StopAuthorized", 1, 2, ended, "End"),
    ):
        connection.send(message.encode())
    await wait_until(lambda: len(station.messages) == 3)
    assert [message[0] for message in station.messages] == [3, 3, 3]
    [session] = {item.key: item for item in site.items if isinstance(item, Session)}.values()
    assert (session.state, session.meter_start, session.meter_stop) == ("ended", started, ended)
    assert [item.digits for item in site.items if isinstance(item, Sample)] == [started, ended]


async def test_a_settlement_reaches_who_answers_it_with_all_its_digits(csms: Start, wait_until: Until) -> None:
    got: list[Any] = []

    def settled(station: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        got.append(payload["settlementAmount"])
        return {}

    site, station = await csms(answers={"NotifySettlement": settled}), BareStation()
    connection = await connect(f"{site.url}/CP1", station, subprotocols=["ocpp2.1"])
    connection.send(BOOT.encode())
    connection.send(
        b'[2,"1","NotifySettlement",{"pspRef":"p","status":"Settled","settlementAmount":12345678901234567.10,'
        b'"settlementTime":"2026-11-24T10:00:00Z"}]'
    )
    await wait_until(lambda: len(station.messages) == 2)
    assert got == [Decimal("12345678901234567.10")]
    assert str(got[0]) == "12345678901234567.10"
    [event] = site.events("payment.settlement")
    assert str(event.data["settlementAmount"]) == "12345678901234567.10"
    for text in (encode(wire(event)), event_payload(event)):  # feed and REST, MQTT
        assert b'"settlementAmount":12345678901234567.10,' in text


def test_a_decimal_that_is_no_number_is_null_in_json() -> None:
    event = Event("X", "x", 1, data={"a": Decimal("NaN"), "b": [Decimal("-Infinity")], "c": Decimal("0.10")})
    for text in (encode(wire(event)), event_payload(event)):
        assert b'"data":{"a":null,"b":[null],"c":0.10}' in text
    assert shown(event.data)["c"] == Decimal("0.10")


async def test_an_amount_that_a_float_holds_is_one_in_events(csms: Start, wait_until: Until) -> None:
    site, station = await csms(), BareStation()
    connection = await connect(f"{site.url}/CP1", station, subprotocols=["ocpp2.1"])
    connection.send(BOOT.encode())
    for number, amount in enumerate(("12.30", "100000000000.01", "0.1", "7")):
        connection.send(
            b'[2,"%d","NotifySettlement",{"pspRef":"p","status":"Settled","settlementAmount":%s,'
            b'"settlementTime":"2026-11-24T10:00:00Z"}]' % (number, amount.encode())
        )
    await wait_until(lambda: len(station.messages) == 5)
    told = [event.data["settlementAmount"] for event in site.events("payment.settlement")]
    assert (told, [type(amount) for amount in told]) == ([12.3, 100000000000.01, 0.1, 7], [float, float, float, int])


async def test_digits_survive_the_mending_of_their_message(csms: Start, wait_until: Until) -> None:
    site, station = await csms(policy=Policy("lenient")), BareStation()
    connection = await connect(f"{site.url}/CP1", station, subprotocols=["ocpp2.1"])
    connection.send(BOOT.encode())
    connection.send(
        b'[2,"1","NotifySettlement",{"pspRef":"p","status":"Settled","settlementAmount":12345678901234567.10,'
        b'"settlementTime":"2026-11-24T10:00:00Z","vatNumber":null}]'
    )
    await wait_until(lambda: len(station.messages) == 2)
    [event] = site.events("payment.settlement")
    assert str(event.data["settlementAmount"]) == "12345678901234567.10"
    assert site.events("protocol.mended")


class Raw(BareStation):
    """Keeps the text that came."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def received(self, data: bytes) -> None:
        self.texts.append(bytes(data).decode())
        super().received(data)


class Dear(LocalLedger):
    """12345678901234567.89 for each session, and as much held for it."""

    cost = 1234567890123456789

    async def authorize(self, station: str, token: str) -> Authorization:
        return replace(await super().authorize(station, token), max_cost=self.cost)

    async def record(self, record: SessionRecord) -> Recorded:
        recorded = await super().record(record)
        return replace(recorded, session=replace(recorded.session, cost=self.cost, currency="EUR"))


@pytest.mark.parametrize("version", FOLDERS)
async def test_costs_reach_the_station_with_all_their_digits(csms: Start, wait_until: Until, version: str) -> None:
    site, station = await csms(ledger=Dear()), Raw()
    connection = await connect(f"{site.url}/CP1", station, subprotocols=[f"ocpp{version}"])
    for message in (
        BOOT,
        EVENT % ("1", "Started", 1, "Authorized", 0, 1, "1", "Begin"),
        '[2,"2","MeterValues",{"evseId":1,"meterValue":[{"timestamp":"2026-11-24T10:00:01Z",'
        '"sampledValue":[{"value":2,"context":"Sample.Clock"}]}]}]',
    ):
        connection.send(message.encode())
    await wait_until(lambda: len(station.messages) == 4)
    [asked] = [text for text in station.texts if '"CostUpdated"' in text]
    connection.send(f'[3,"{json.loads(asked)[1]}",{{}}]'.encode())
    connection.send((EVENT % ("3", "Ended", 2, "StopAuthorized", 2, 2, "3", "End")).encode())
    await wait_until(lambda: len(station.messages) == 5)
    started, ended = (next(text for text in station.texts if f'[3,"{id}"' in text) for id in "13")
    assert ('"maxCost":12345678901234567.89' in started) == (version == "2.1")
    assert '"totalCost":12345678901234567.89' in asked
    assert '"totalCost":12345678901234567.89' in ended


async def test_costs_reach_a_16_station_with_all_their_digits(csms: Start, wait_until: Until) -> None:
    site, station = await csms(ledger=Dear(), rules=StationRules(cost_messages=True)), Raw()
    connection = await connect(f"{site.url}/CP1", station, subprotocols=["ocpp1.6"])
    for message in (BOOT_16, START_16 % 5, STOP_16 % (1, 7, "7")):
        connection.send(message.encode())
    await wait_until(lambda: len(station.messages) == 4)
    [data] = [json.loads(message[3]["data"], parse_float=str) for message in station.messages if message[0] == 2]
    assert data == {"transactionId": 1, "cost": "12345678901234567.89", "priceText": "12345678901234567.89 EUR"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "site.db")
    await store.open()
    yield store
    await store.close()


@pytest.mark.parametrize("version", ["1.6", *FOLDERS])
async def test_a_register_goes_from_the_wire_into_the_file_and_out_over_rest(
    csms: Start, wait_until: Until, store: Store, version: str
) -> None:
    """1.6 has whole Wh at start and end of a transaction, and text between."""
    whole, parts = version == "1.6", "123456789012345.67890"
    started, ended = ("123456789012345", "123456789012347") if whole else (parts, "123456789012346.92890")
    site, station, hub = await csms(ledger=StoreLedger(store)), BareStation(), Hub()
    connection = await connect(f"{site.url}/CP1", station, subprotocols=[f"ocpp{version}"])
    connection.send((BOOT_16 if whole else BOOT).encode())
    connection.send((START_16 % 123456789012345 if whole else EVENT % START % started).encode())
    await wait_until(lambda: len(station.messages) == 2)
    id = station.messages[1][2].get("transactionId")
    connection.send((STOP_16 % (id, 123456789012347, parts) if whole else EVENT % END % ended).encode())
    await wait_until(lambda: len(station.messages) == 3)
    backend = HttpBackend(GatewaySite(hub, store, History(store), Tokens(store)), port=0)
    running = asyncio.create_task(backend.run(hub))
    try:
        await asyncio.wait_for(backend.started.wait(), 8)
        async with aiohttp.ClientSession(backend.url) as http, http.get("/v1/sessions") as answer:
            [session] = (await answer.json())["items"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (session["state"], session["meter_start"], session["meter_stop"]) == ("ended", started, ended)
    assert session["energy_wh"] == (2 if whole else 1.25)
    digits = [item.digits for item in site.items if isinstance(item, Sample)]
    assert digits == ([parts] if whole else [started, ended])
