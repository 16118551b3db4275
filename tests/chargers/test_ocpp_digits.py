"""What a bill is made of keeps the digits that the station sent: registers and money."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from bare_station import BareStation

from evcore.chargers.ocpp_codecs import EXACT
from evcore.model import Sample, Session
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
    assert event.data["settlementAmount"] == 12345678901234567.10
