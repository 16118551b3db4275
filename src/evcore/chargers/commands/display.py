"""What the driver sees: cost_updated set_display_message set_tariff."""

from __future__ import annotations

import secrets
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from evcore.arguments import BadArgument
from evcore.chargers.commands.frame import (
    Args,
    Asker,
    Payload,
    Refused,
    Table,
    numbered,
    taken,
    transaction_16,
    wanted_session,
    with_data,
)
from evcore.chargers.ocpp_costs import major, running_cost_16, transfer_16
from evcore.model import Answer, Session, Verb

_SIX = Decimal("0.000001")  # 2.1 Part 2, 2.1.4: at most six decimals


async def _cost_16(at: Asker, args: Args) -> Answer:
    """DataTransfer RunningCost (OCA, OCPP & California Pricing Requirements)"""
    session = wanted_session(at, args)
    transaction_16(session)
    charging = at.state.evses.get(session.evse)
    data = running_cost_16(session, _cost(at, args, session), charging.charging if charging else None)
    return await at.ask("DataTransfer", transfer_16("RunningCost", data))


async def _cost_2(at: Asker, args: Args) -> Answer:
    """CostUpdated"""
    session = wanted_session(at, args)
    payload = {"totalCost": _cost(at, args, session), "transactionId": session.transaction_id}
    return await at.ask("CostUpdated", payload)


def _cost(at: Asker, args: Args, session: Session) -> Decimal:
    """Raises BadArgument: none is given, and no tariff says one."""
    if "cost" in args:
        return _decimal(args["cost"])
    cost = major(session.cost, at.rules.minor_digits)
    if cost is None:
        raise BadArgument("cost: missing, and no tariff applies to the session")
    return cost


def _decimal(number: float | Decimal) -> Decimal:
    """With at most six decimals, and none that is not needed."""
    exact = Decimal(repr(number) if isinstance(number, float) else number)
    return Decimal(f"{exact.quantize(_SIX, ROUND_HALF_UP).normalize():f}")


async def _message_2(at: Asker, args: Args) -> Answer:
    """SetDisplayMessage; without a message ClearDisplayMessage"""
    if "message" not in args:
        if "id" not in args:
            raise BadArgument("message, id: one of them is needed")
        return await at.ask("ClearDisplayMessage", {"id": args["id"]})
    if at.version == "2.0.1" and (args["format"] == "QRCODE" or args.get("state") in ("Suspended", "Discharging")):
        raise Refused("NotSupported", "QRCODE, Suspended and Discharging came with OCPP 2.1")
    id = numbered(args, "id")
    content = {"content": args["message"]} | taken(args, format="format", language="language")
    info: Payload = {"id": id, "message": content} | taken(
        args, priority="priority", state="state", startDateTime="from", endDateTime="to"
    )
    if "session" in args:
        info["transactionId"] = wanted_session(at, {"session": args["session"]}).transaction_id
    return with_data(await at.ask("SetDisplayMessage", {"message": info}), id=id)


async def _tariff_21(at: Asker, args: Args) -> Answer:
    """SetDefaultTariff"""
    prices = [name for name in _PRICES if name in args]
    if "tariff" in args:
        if prices or "currency" in args or "description" in args:
            raise BadArgument("tariff: whole, or in parts")
        tariff: Payload = dict(args["tariff"])
        tariff.setdefault("tariffId", _tariff_id(args))
    else:
        if not prices or "currency" not in args:
            raise BadArgument("tariff: missing, or currency and one of per_kwh, per_hour, per_session")
        tariff = {"tariffId": _tariff_id(args), "currency": args["currency"]}
        for name in prices:
            tariff |= _PRICES[name](args[name])
        if "description" in args:
            tariff["description"] = [{"format": "UTF8", "content": args["description"]}]
    answer = await at.ask("SetDefaultTariff", {"evseId": args["evse"], "tariff": tariff})
    return with_data(answer, tariffId=tariff["tariffId"])


def _tariff_id(args: Args) -> str:
    return str(args.get("id") or secrets.token_hex(8))


def _price(part: str, name: str, price: Decimal) -> Payload:
    return {part: {"prices": [{name: price}]}}


_PRICES: dict[str, Any] = {
    "per_kwh": lambda price: _price("energy", "priceKwh", _decimal(price)),
    "per_hour": lambda price: _price("chargingTime", "priceMinute", _decimal(Decimal(str(price)) / 60)),
    "per_session": lambda price: _price("fixedFee", "priceFixed", _decimal(price)),
}

V16: Table = {
    Verb.COST_UPDATED: _cost_16,
    Verb.SET_DISPLAY_MESSAGE: "OCPP 1.6 has no messages for its display",
    Verb.SET_TARIFF: "OCPP 1.6 calculates no costs",
}
V201: Table = {
    Verb.COST_UPDATED: _cost_2,
    Verb.SET_DISPLAY_MESSAGE: _message_2,
    Verb.SET_TARIFF: "tariffs in the station came with OCPP 2.1",
}
V21: Table = {**V201, Verb.SET_TARIFF: _tariff_21}
