"""Limits and schedules of charging: set_limit clear_limit get_composite_schedule."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from evcore.chargers.commands.frame import Args, Asker, Payload, Table, transaction_16
from evcore.chargers.ocpp_station import DEFAULT_PROFILE, TX_PROFILE
from evcore.model import Answer, Session, Verb, rfc3339

_DAY_NS = 86_400_000_000_000
_STATION_PROFILE = 1  # its id; of EVSE n: 2 * n for the default, 2 * n + 1 for the transaction


async def _set_limit_16(at: Asker, args: Args) -> Answer:
    """SetChargingProfile (5.16): for the station, for the running transaction, or else as the connector's default"""
    limit = _limit(at, args, "ChargePointMaxProfile")
    profile: Payload = {"chargingProfileId": limit.id} | limit.profile
    if limit.session is not None:
        profile["transactionId"] = transaction_16(limit.session)
    profile["chargingSchedule"] = limit.schedule
    answer = await at.ask("SetChargingProfile", {"connectorId": args["evse"], "csChargingProfiles": profile})
    return _noted(at, args, profile, answer)


async def _set_limit_2(at: Asker, args: Args) -> Answer:
    """SetChargingProfile (2.0.1 Part 2, K01): for the station, the running transaction, or else the EVSE's default"""
    limit = _limit(at, args, "ChargingStationMaxProfile")
    profile: Payload = {"id": limit.id} | limit.profile
    if limit.session is not None:
        profile["transactionId"] = limit.session.transaction_id
    profile["chargingSchedule"] = [{"id": 1} | limit.schedule]
    answer = await at.ask("SetChargingProfile", {"evseId": args["evse"], "chargingProfile": profile})
    return _noted(at, args, profile, answer)


@dataclass(frozen=True, slots=True)
class _Limit:
    """What a charging profile has in every version. session: that it ends with, None for none."""

    id: int
    profile: Payload
    schedule: Payload
    session: Session | None = None


def _limit(at: Asker, args: Args, of_the_station: str) -> _Limit:
    """For the station (of_the_station: the purpose), for the running transaction, or else the EVSE's default."""
    evse, session = args["evse"], at.state.session_on(args["evse"])
    schedule: Payload = {"chargingRateUnit": args["unit"], "chargingSchedulePeriod": [_period(args)]}
    if evse == 0:
        schedule["startSchedule"] = _long_ago()
        return _Limit(_STATION_PROFILE, _profile(of_the_station, "Absolute"), schedule)
    if session is None:
        return _Limit(2 * evse, _profile(DEFAULT_PROFILE, "Relative"), schedule)
    return _Limit(2 * evse + 1, _profile(TX_PROFILE, "Relative"), schedule, session)


def _profile(purpose: str, kind: str) -> Payload:
    return {"stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": kind}


def _period(args: Args) -> Payload:
    phases = {"numberPhases": args["phases"]} if "phases" in args else {}
    return {"startPeriod": 0, "limit": one_decimal(args["limit"])} | phases


def one_decimal(limit: float | Decimal) -> float:
    """A limit has one decimal (OCPP 1.6, 7.14; 2.0.1 Part 2, 2.1.4); rounded down, since it is a limit."""
    return float(Decimal(repr(limit) if isinstance(limit, float) else limit).quantize(Decimal("0.1"), ROUND_FLOOR))


def _long_ago() -> str:
    """Relative is not for a maximum (K01.FR.38); a start well in the past holds whatever the station's clock says."""
    return rfc3339(time.time_ns() - _DAY_NS)


def _noted(at: Asker, args: Args, profile: Payload, answer: Answer) -> Answer:
    if answer.ok:
        amperes = float(args["limit"]) if args["unit"] == "A" else None
        at.state.limit(args["evse"], profile["chargingProfilePurpose"], amperes)
    return answer


async def _clear_limit_16(at: Asker, args: Args) -> Answer:
    """ClearChargingProfile: all of the connector; for 0 the one that set_limit set for the station"""
    evse = args["evse"]
    return await _clear(at, args, {"connectorId": evse} if evse else {"id": _STATION_PROFILE})


async def _clear_limit_2(at: Asker, args: Args) -> Answer:
    """ClearChargingProfile: all of the EVSE; for 0 the one that set_limit set for the station"""
    evse = args["evse"]
    criteria = {"chargingProfileCriteria": {"evseId": evse}}
    return await _clear(at, args, criteria if evse else {"chargingProfileId": _STATION_PROFILE})


async def _clear(at: Asker, args: Args, payload: Payload) -> Answer:
    answer = await at.ask("ClearChargingProfile", payload)
    if answer.ok:
        for purpose in (TX_PROFILE, DEFAULT_PROFILE):
            at.state.limit(args["evse"], purpose, None)
    return answer


async def _schedule_16(at: Asker, args: Args) -> Answer:
    """GetCompositeSchedule"""
    return await at.ask("GetCompositeSchedule", {"connectorId": args["evse"]} | _span(args))


async def _schedule_2(at: Asker, args: Args) -> Answer:
    """GetCompositeSchedule"""
    return await at.ask("GetCompositeSchedule", {"evseId": args["evse"]} | _span(args))


def _span(args: Args) -> dict[str, Any]:
    unit = {"chargingRateUnit": args["unit"]} if "unit" in args else {}
    return {"duration": args["duration_s"]} | unit


V16: Table = {
    Verb.SET_LIMIT: _set_limit_16,
    Verb.CLEAR_LIMIT: _clear_limit_16,
    Verb.GET_COMPOSITE_SCHEDULE: _schedule_16,
}
V201: Table = {
    Verb.SET_LIMIT: _set_limit_2,
    Verb.CLEAR_LIMIT: _clear_limit_2,
    Verb.GET_COMPOSITE_SCHEDULE: _schedule_2,
}
V21: Table = V201
