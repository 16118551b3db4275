"""Money towards the station: the running and the final cost of a session, and the most that it may cost.

2.x has it in the answers to TransactionEvent (2.0.1 Part 2, I02, I03; 2.1 Part 2, E16.FR.02) and in CostUpdated; 1.6 in
DataTransfers of OCA's "OCPP & California Pricing Requirements", where `StationRules.cost_messages` asks for them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from evcore.chargers.ocpp_services import Peer, StationRules
from evcore.errors import CallError, EvcoreError
from evcore.model import Recorded, Session, rfc3339

COST_VENDOR = "org.openchargealliance.costmsg"
_PAUSE_NS = 10_000_000_000  # between two running costs of one session
_MOST = 10**15  # minor units; a store has room for no more than 2^63
_UNABLE = ("UnknownVendorId", "UnknownMessageId")


def major(minor: int | None, digits: int) -> Decimal | None:
    """1234 of a currency with two digits is 12.34."""
    return None if minor is None else Decimal(minor).scaleb(-digits)


def costs_2(recorded: Recorded, told: Mapping[str, Any], version: str, rules: StationRules) -> dict[str, Any]:
    """What a TransactionEventResponse says of money: totalCost, which is the running one for Updated and the final one
    for Ended, and in 2.1 the limit that the CSMS sets, in the answer to the event that brings the token.
    """
    result: dict[str, Any] = {}
    total = major(recorded.session.cost, rules.minor_digits)
    if total is not None and told["eventType"] != "Started" and "costDetails" not in told:  # it has said it itself
        result["totalCost"] = total
    limit = major(recorded.authorization.max_cost, rules.minor_digits)
    if version == "2.1" and limit is not None and ("idToken" in told or told["eventType"] == "Started"):
        result["transactionLimit"] = {"maxCost": limit}
    return result


def own_cost(told: Mapping[str, Any], digits: int) -> tuple[int | None, str | None]:
    """What a station with a tariff of its own has calculated, taxes included where it knows them, in minor units, and
    the currency (2.1 Part 2, CostDetailsType). (None, None): it says nothing, or could not calculate it."""
    details = told.get("costDetails")
    if details is None or details.get("failureToCalculate"):
        return None, None
    total = details["totalCost"]["total"]
    amount = total.get("inclTax", total.get("exclTax"))
    if amount is None:
        return None, None
    minor = int(Decimal(str(amount)).scaleb(digits).to_integral_value())
    return (minor, details["totalCost"]["currency"]) if abs(minor) < _MOST else (None, None)


def running_cost_16(session: Session, cost: Decimal, charging: str | None) -> dict[str, Any]:
    """RunningCost of the application note. charging: ChargingStateEnumType, where it is known."""
    return {
        "transactionId": int(session.transaction_id),
        "timestamp": rfc3339(time.time_ns()),
        "meterValue": _meter_wh(session),
        "cost": cost,
        "state": "Charging" if charging in (None, "Charging") else "Idle",
    }


def final_cost_16(session: Session, cost: Decimal) -> dict[str, Any]:
    """FinalCost of the application note."""
    text = f"{cost} {session.currency or ''}".strip()
    return {"transactionId": int(session.transaction_id), "cost": cost, "priceText": text}


def transfer_16(message: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A DataTransfer of the application note."""
    text = orjson.dumps(data, default=_digits).decode()
    return {"vendorId": COST_VENDOR, "messageId": message, "data": text}


def _digits(cost: Decimal) -> orjson.Fragment:
    return orjson.Fragment(str(cost))


def _meter_wh(session: Session) -> int:
    try:
        first = Decimal(session.meter_start or 0)
    except InvalidOperation:
        first = Decimal(0)
    return int(first + Decimal(repr(session.energy_wh)))


class CostTeller:
    """Tells one connected station what a session costs, one message at a time, while the station understands it."""

    __slots__ = ("_busy", "_digits", "_last", "_peer", "_unable")

    def __init__(self, peer: Peer, digits: int) -> None:
        self._peer, self._digits = peer, digits
        self._busy = self._unable = False
        self._last: tuple[str, int] = ("", 0)  # session, ns

    def tell(self, session: Session, charging: str | None = None) -> None:
        """Send what it costs, unless that was said a moment ago. charging: ChargingStateEnumType."""
        cost, now = major(session.cost, self._digits), time.monotonic_ns()
        over = session.state == "ended"
        recently = self._last[0] == session.id and now - self._last[1] < _PAUSE_NS
        if cost is None or self._unable or (not over and (self._busy or recently)):
            return
        if self._peer.version == "1.6":
            if over:
                action, payload = "DataTransfer", transfer_16("FinalCost", final_cost_16(session, cost))
            else:
                data = running_cost_16(session, cost, charging)
                action, payload = "DataTransfer", transfer_16("RunningCost", data)
        else:
            action, payload = "CostUpdated", {"totalCost": cost, "transactionId": session.transaction_id}
        self._busy, self._last = True, (session.id, now)
        self._peer.spawn(self._send(action, payload))

    async def _send(self, action: str, payload: Mapping[str, Any]) -> None:
        try:
            answer = await self._peer.call(action, payload)
            self._unable = answer.get("status") in _UNABLE
        except CallError as error:
            self._unable = error.code in ("NotImplemented", "NotSupported")
        except EvcoreError:  # no answer, or gone: with the next value again
            pass
        finally:
            self._busy = False
