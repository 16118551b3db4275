"""Money between CSMS and station: what a session costs, what it may cost, and who pays at the station itself."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from evcore.chargers import StationRules
from evcore.chargers.ocpp_costs import CostTeller, major
from evcore.local import LocalLedger
from evcore.model import Authorization, Payment, Recorded, Session, SessionRecord, Verb

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
NOW = "2026-11-23T18:30:00Z"
LATER = "2026-11-23T18:40:00Z"


class Priced(LocalLedger):
    """0.50 a kWh, 30.00 held for the token PAID."""

    async def authorize(self, station: str, token: str) -> Authorization:
        verdict = await super().authorize(station, token)
        return replace(verdict, max_cost=3000) if token == "PAID" else verdict

    async def record(self, record: SessionRecord) -> Recorded:
        recorded = await super().record(record)
        session = replace(recorded.session, cost=round(recorded.session.energy_wh / 20), currency="EUR")
        self.sessions[session.station, session.transaction_id] = session
        return replace(recorded, session=session)


async def event(station: Any, kind: str, seq_no: int, wh: float, **more: Any) -> Any:
    values = [{"timestamp": NOW, "sampled_value": [{"value": wh}]}]
    return await station.tell(
        "TransactionEvent",
        event_type=kind,
        timestamp=NOW,
        trigger_reason="MeterValuePeriodic",
        seq_no=seq_no,
        transaction_info={"transaction_id": "tx-1"},
        evse={"id": 1, "connector_id": 1},
        meter_value=values,
        **more,
    )


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_the_cost_is_in_the_answers_to_the_events_of_2x(csms: Start, peer: Start, version: str) -> None:
    site = await csms(ledger=Priced())
    station = await peer(site, version)
    kind = "DirectPayment" if version == "2.1" else "Central"
    started = await event(station, "Started", 0, 100, id_token={"id_token": "PAID", "type": kind})
    assert started["idTokenInfo"]["status"] == "Accepted"
    assert started.get("transactionLimit") == ({"maxCost": 30} if version == "2.1" else None)
    assert "totalCost" not in started
    running = await event(station, "Updated", 1, 1100.4)
    assert running == {"totalCost": 0.5}, "the limit is said once (E16.FR.02)"
    assert (await event(station, "Ended", 2, 24780))["totalCost"] == 12.34


@pytest.mark.parametrize(
    ("total", "cost"), [({"excl_tax": 1.1, "incl_tax": 1.305}, 130), ({"excl_tax": 1.1}, 110), ({}, None)]
)
async def test_what_a_station_of_21_calculates_is_what_its_session_costs(
    csms: Start, peer: Start, total: dict[str, float], cost: int | None
) -> None:
    site = await csms()
    station = await peer(site, "2.1")
    await event(station, "Started", 0, 100)
    price = {"currency": "EUR", "type_of_cost": "NormalCost", "total": total}
    usage = {"energy": 1.0, "charging_time": 60, "idle_time": 0}
    details = {"total_cost": price, "total_usage": usage}
    assert await event(station, "Ended", 1, 1100, cost_details=details) == {}, "what it costs it knows itself"
    (session,) = site.ledger.sessions.values()
    assert (session.cost, session.currency) == (cost, None if cost is None else "EUR")


async def test_a_cost_that_could_not_be_calculated_is_none(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "2.1")
    price = {"currency": "EUR", "type_of_cost": "NormalCost", "total": {"incl_tax": 0}}
    usage = {"energy": 1.0, "charging_time": 60, "idle_time": 0}
    details = {"total_cost": price, "total_usage": usage, "failure_to_calculate": True, "failure_reason": "no tariff"}
    await event(station, "Started", 0, 100)
    await event(station, "Ended", 1, 1100, cost_details=details)
    (session,) = site.ledger.sessions.values()
    assert session.cost is None


async def test_a_free_session_costs_nothing_and_one_without_a_tariff_says_nothing(csms: Start, peer: Start) -> None:
    """2.0.1 Part 2, TransactionEventResponse: a free transaction is 0.00, left out is not free."""
    site = await csms(ledger=Priced())
    station = await peer(site, "2.0.1")
    await event(station, "Started", 0, 100)
    assert (await event(station, "Ended", 1, 100))["totalCost"] == 0
    other = await csms()
    station = await peer(other, "2.0.1")
    await event(station, "Started", 0, 100)
    assert "totalCost" not in await event(station, "Ended", 1, 100)


async def test_money_has_the_digits_of_its_currency(csms: Start, peer: Start) -> None:
    assert [major(1234, digits) for digits in (0, 2, 3)] == [Decimal(1234), Decimal("12.34"), Decimal("1.234")]
    site = await csms(ledger=Priced(), rules=StationRules(minor_digits=0))
    station = await peer(site, "2.1")
    await event(station, "Started", 0, 0)
    assert (await event(station, "Ended", 1, 24780))["totalCost"] == 1239


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_values_beside_transactions_belong_to_the_session_and_bring_its_cost(
    csms: Start, peer: Start, wait_until: Until, version: str
) -> None:
    site = await csms(ledger=Priced())
    station = await peer(site, version)
    station.replies["CostUpdated"] = {}
    await event(station, "Started", 0, 100)
    clock = {"timestamp": LATER, "sampled_value": [{"value": 2100, "context": "Sample.Clock"}]}
    await station.tell("MeterValues", evse_id=1, meter_value=[clock])
    [started] = site.events("session.started")
    assert site.hub.last(f"session/{started.session}").energy_wh == 2000
    assert site.hub.last("sample/CP1/1/Energy.Active.Import.Register").session == started.session
    await wait_until(lambda: station.asked)
    assert station.asked == [("CostUpdated", {"totalCost": 1, "transactionId": "tx-1"})]
    await station.tell("MeterValues", evse_id=1, meter_value=[clock | {"timestamp": "2026-11-23T18:41:00Z"}])
    await station.tell("MeterValues", evse_id=0, meter_value=[clock])
    await station.tell("MeterValues", evse_id=1, meter_value=[clock | {"timestamp": "2020-01-01T00:00:00Z"}])
    await station.tell("Heartbeat")
    assert len(station.asked) == 1, "a moment ago it was told already"
    old = site.hub.last("sample/CP1/1/Energy.Active.Import.Register")
    assert old.session is None, "a value from before the session"


async def test_a_16_station_is_told_by_the_data_transfers_of_oca(csms: Start, peer: Start, wait_until: Until) -> None:
    site = await csms(ledger=Priced(), rules=StationRules(cost_messages=True))
    station = await peer(site, "1.6")
    station.replies["DataTransfer"] = {"status": "Accepted"}
    await station.tell("StatusNotification", connector_id=1, error_code="NoError", status="SuspendedEV")
    started = await station.tell("StartTransaction", connector_id=1, id_tag="T1", meter_start=100, timestamp=NOW)
    id = started["transactionId"]
    values = [{"timestamp": LATER, "sampled_value": [{"value": "1100"}]}]
    await station.tell("MeterValues", connector_id=1, transaction_id=id, meter_value=values)
    await wait_until(lambda: len(station.asked) == 1)
    await station.tell("StopTransaction", transaction_id=id, meter_stop=24780, timestamp=LATER)
    await wait_until(lambda: len(station.asked) == 2)
    (_, running), (_, final) = station.asked
    assert (running["vendorId"], running["messageId"]) == ("org.openchargealliance.costmsg", "RunningCost")
    told = json.loads(running["data"])
    assert (told["transactionId"], told["cost"], told["meterValue"], told["state"]) == (id, 0.5, 1100, "Idle")
    assert final["messageId"] == "FinalCost"
    assert json.loads(final["data"]) == {"transactionId": id, "cost": 12.34, "priceText": "12.34 EUR"}


async def test_a_16_station_is_told_nothing_unless_it_is_wanted(csms: Start, peer: Start) -> None:
    site = await csms(ledger=Priced())
    station = await peer(site, "1.6")
    started = await station.tell("StartTransaction", connector_id=1, id_tag="T1", meter_start=0, timestamp=NOW)
    await station.tell("StopTransaction", transaction_id=started["transactionId"], meter_stop=9, timestamp=LATER)
    await station.tell("Heartbeat")
    assert station.asked == []
    answer = await site.command(Verb.COST_UPDATED, session="nobody")
    assert (answer.status, answer.ok) == ("Rejected", False)


class Deaf:
    """A station that has no idea of costs."""

    version, secure = "1.6", False

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, 0
        self.work: list[Any] = []

    async def call(self, action: str, payload: Any) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def spawn(self, work: Any) -> None:
        self.work.append(work)


async def test_a_station_that_knows_no_costs_is_asked_once() -> None:
    from evcore.errors import CallError, CallTimeout

    for answer, times in (
        ({"status": "UnknownVendorId"}, 1),
        (CallError("NotSupported"), 1),
        (CallError("NotImplemented"), 1),
        (CallTimeout("away"), 3),
        ({"status": "Rejected"}, 3),
    ):
        station = Deaf(answer)
        teller = CostTeller(station, 2)
        for n in range(3):
            teller.tell(Session(f"s{n}", "CP1", 1, str(n), "active", 0, cost=5))
            teller.tell(Session(f"x{n}", "CP1", 1, str(n), "active", 0, cost=5))  # one at a time
            while station.work:
                await station.work.pop()
        assert station.asked == times, answer
    teller.tell(Session("free", "CP1", 1, "9", "ended", 0))
    assert not station.work, "no tariff, no cost"


@pytest.mark.parametrize(("free", "status"), [(True, "Accepted"), (False, "Invalid")])
async def test_a_session_without_any_token_is_a_setting(csms: Start, peer: Start, free: bool, status: str) -> None:
    """2.0.1 Part 2, C02.FR.02."""
    site = await csms(ledger=LocalLedger({"GOOD"}), rules=StationRules(free_vend=free))
    station = await peer(site, "2.0.1")
    nobody = {"id_token": "", "type": "NoAuthorization"}
    assert (await station.tell("Authorize", id_token=nobody))["idTokenInfo"]["status"] == status
    assert (await event(station, "Started", 0, 0, id_token=nobody))["idTokenInfo"]["status"] == status
    [session] = site.ledger.sessions.values()
    assert session.token is None


@pytest.mark.parametrize(("allowed", "status"), [(True, "Accepted"), (False, "Invalid")])
async def test_a_token_of_the_stations_own_terminal_is_a_setting(
    csms: Start, peer: Start, allowed: bool, status: str
) -> None:
    """2.1 Part 2, C18."""
    site = await csms(ledger=LocalLedger({"GOOD"}), rules=StationRules(direct_payment=allowed))
    station = await peer(site, "2.1")
    paid = {"id_token": "psp-reference", "type": "DirectPayment"}
    assert (await station.tell("Authorize", id_token=paid))["idTokenInfo"]["status"] == status
    assert (await event(station, "Started", 0, 0, id_token=paid))["idTokenInfo"]["status"] == status
    card = {"id_token": "BAD", "type": "ISO14443"}
    assert (await station.tell("Authorize", id_token=card))["idTokenInfo"]["status"] == "Invalid"
    told = {"psp_ref": "psp-reference", "status": "Settled", "settlement_amount": 12.34, "settlement_time": NOW}
    assert await station.tell("NotifySettlement", transaction_id="tx-1", **told) == {}
    [settled] = site.events("payment.settlement")
    [started] = site.events("session.started")
    assert (settled.text, settled.session, settled.evse) == ("Settled", started.session, 1)
    assert settled.data["settlementAmount"] == 12.34


def ordered(id: str, state: Any = "created", age_s: int = 0, station: str = "CP1") -> Payment:
    begun = time.time_ns() - age_s * 10**9
    return Payment(id, "psp", state, station, 2, 3000, "EUR", begun, begun)


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_21_station_is_told_that_somebody_pays_on_the_web(
    csms: Start, peer: Start, wait_until: Until, version: str
) -> None:
    """2.1 Part 2, C25.FR.21."""
    site = await csms(rules=StationRules(web_payment_s=120))
    station = await peer(site, version)
    station.replies["NotifyWebPaymentStarted"] = {}
    for payment in (
        ordered("a"),
        ordered("a"),
        ordered("b", "authorised"),
        ordered("c", age_s=500),
        ordered("d", station="CP9"),
        ordered("e", age_s=60),
    ):
        site.hub.publish(payment)
    if version == "2.1":
        await wait_until(lambda: len(station.asked) == 2)
    await station.tell("Heartbeat")
    told = [payload for action, payload in station.asked if action == "NotifyWebPaymentStarted"]
    assert [payload["evseId"] for payload in told] == ([2, 2] if version == "2.1" else [])
    assert all(0 < payload["timeout"] <= 120 for payload in told)
    if told:
        assert told[1]["timeout"] <= 60


async def test_nothing_starts_on_connector_0_of_a_16_station(csms: Start, peer: Start) -> None:
    """OCPP 1.6, 6.45: connectorId > 0."""
    from ocpp.exceptions import PropertyConstraintViolationError

    site = await csms()
    station = await peer(site, "1.6")
    with pytest.raises(PropertyConstraintViolationError):
        await station.tell("StartTransaction", connector_id=0, id_tag="T1", meter_start=0, timestamp=NOW)
    assert site.ledger.sessions == {}


@pytest.mark.parametrize("price", ["per_kwh", "per_hour", "per_session"])
async def test_a_price_beyond_all_money_is_a_wrong_argument(csms: Start, peer: Start, price: str) -> None:
    site = await csms()
    station = await peer(site, "2.1")
    answer = await site.command(Verb.SET_TARIFF, currency="EUR", **{price: 1e30})
    assert (answer.status, price in answer.reason, station.asked) == ("Invalid", True, [])
