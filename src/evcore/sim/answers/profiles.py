"""Charging profiles: kept, cleared, told, and what comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.sim.answers.frame import Payload, Table, places, status
from evcore.sim.charging_profiles import KeptProfile, limits
from evcore.sim.station_evse import SimEvse

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

_OF_STATION = ("ChargePointMaxProfile", "ChargingStationMaxProfile")


def apply(station: SimStation) -> None:
    """Every EVSE keeps what its profiles say at this moment."""
    now, kept = station.seconds(), station.memory.profiles.values()
    for evse in station.evses.values() if kept else ():
        found = limits(kept, evse.id, now, _began(evse))
        evse.limits_w = {purpose: evse.watts(limit, unit) for purpose, (limit, unit) in found.items()}


def forget_transaction(station: SimStation, evse: SimEvse) -> None:
    """Its profiles end with it (OCPP 1.6, 3.13.1)."""
    kept = station.memory.profiles
    for profile in [one for one in kept.values() if one.purpose == "TxProfile" and one.evse == evse.id]:
        del kept[profile.id]
    evse.limits_w.pop("TxProfile", None)


def accept_with_start(station: SimStation, evse: SimEvse, asked: Payload) -> bool:
    """The profile that a remote start brings along is its transaction's."""
    if "chargingProfile" in asked:
        _keep(station, evse.id, asked["chargingProfile"])
    return True


def _keep(station: SimStation, evse: int, profile: Payload) -> None:
    id = profile["chargingProfileId"] if station.version == "1.6" else profile["id"]
    kept = station.memory.profiles
    same = [
        one.id
        for one in kept.values()
        if (one.evse, one.purpose, one.stack_level) == (evse, profile["chargingProfilePurpose"], profile["stackLevel"])
    ]
    for other in same:  # it replaces the one of its purpose and level (1.6, 3.13.2; K01.FR.05)
        del kept[other]
    kept[id] = KeptProfile(id, evse, profile, station.seconds())


def _set(station: SimStation, asked: Payload) -> Payload:
    evse = asked["connectorId"] if station.version == "1.6" else asked["evseId"]
    profile = asked.get("csChargingProfiles") or asked["chargingProfile"]
    chosen, purpose = places(station, evse), profile["chargingProfilePurpose"]
    if not chosen or (purpose in _OF_STATION and evse != 0):
        return status(False)
    if purpose == "TxProfile":
        named = profile.get("transactionId")
        running = [one.transaction for one in chosen if one.transaction is not None]
        if evse == 0 or not running or (named is not None and running[0].id != str(named)):
            return status(False)
    _keep(station, evse, profile)
    apply(station)
    return status(True)


def _clear(station: SimStation, asked: Payload) -> Payload:
    """Of 1.6 the criteria are in the CALL itself."""
    criteria = asked if station.version == "1.6" else asked.get("chargingProfileCriteria") or {}
    id, evse = asked.get("id", asked.get("chargingProfileId")), criteria.get("connectorId", criteria.get("evseId"))
    purpose, level = criteria.get("chargingProfilePurpose"), criteria.get("stackLevel")
    kept = station.memory.profiles
    found = [
        one
        for one in kept.values()
        if (id is not None and one.id == id)
        or (
            id is None
            and evse in (None, one.evse)
            and purpose in (None, one.purpose)
            and level in (None, one.stack_level)
        )
    ]
    for one in found:
        del kept[one.id]
    for place in station.evses.values() if found else ():
        place.limits_w.clear()
    apply(station)
    return status(bool(found), "Unknown")


def _composite(station: SimStation, asked: Payload) -> Payload:
    """What all profiles together allow from now on (1.6, 5.7; 2.0.1 Part 2, K08)."""
    number = asked["connectorId"] if station.version == "1.6" else asked["evseId"]
    chosen = places(station, number)
    if not chosen:
        return status(False)
    unit, duration, start = asked.get("chargingRateUnit") or "W", asked["duration"], station.seconds()
    kept = [one for one in station.memory.profiles.values() if number in (0, one.evse) or one.evse == 0]
    moments = {start}
    for one in kept:
        for place in chosen:
            moments.update(moment for moment in one.changes(start, _began(place)) if start < moment < start + duration)
    periods: list[Payload] = []
    for moment in sorted(moments):
        allowed = round(sum(_allowed(station, place, moment, unit) for place in chosen), 1)
        if not periods or periods[-1]["limit"] != allowed:
            periods.append({"startPeriod": int(moment - start), "limit": allowed})
    schedule: Payload = {"duration": duration, "chargingRateUnit": unit, "chargingSchedulePeriod": periods}
    if station.version == "1.6":
        return status(True) | {
            "connectorId": number,
            "scheduleStart": station.client.now(),
            "chargingSchedule": schedule,
        }
    return status(True) | {"schedule": schedule | {"evseId": number, "scheduleStart": station.client.now()}}


def _allowed(station: SimStation, evse: SimEvse, at: float, unit: str) -> float:
    found = limits(station.memory.profiles.values(), evse.id, at, _began(evse))
    watts = evse.least({purpose: evse.watts(limit, of) for purpose, (limit, of) in found.items()})
    return watts if unit == "W" else watts / evse.watts(1.0, "A")


def _began(evse: SimEvse) -> float | None:
    return None if evse.transaction is None else evse.transaction.began_s


def _report(station: SimStation, asked: Payload) -> Payload:
    """GetChargingProfiles: one ReportChargingProfiles an EVSE (2.0.1 Part 2, K09)."""
    wanted = asked["chargingProfile"]
    ids, sources = wanted.get("chargingProfileId"), wanted.get("chargingLimitSource")
    found = [
        one
        for one in station.memory.profiles.values()
        if asked.get("evseId") in (None, one.evse)
        and (ids is None or one.id in ids)
        and (sources is None or "CSO" in sources)
        and wanted.get("chargingProfilePurpose") in (None, one.purpose)
        and wanted.get("stackLevel") in (None, one.stack_level)
    ]
    evses = sorted({one.evse for one in found})
    for evse in evses:
        station.tell(
            "ReportChargingProfiles",
            {
                "requestId": asked["requestId"],
                "chargingLimitSource": "CSO",
                "evseId": evse,
                "chargingProfile": [one.payload for one in found if one.evse == evse],
                "tbc": evse != evses[-1],
            },
        )
    return status(bool(found), "NoProfiles")


def _update(station: SimStation, asked: Payload) -> Payload:
    """UpdateDynamicSchedule (2.1 Part 2, K28)."""
    kept = station.memory.profiles.get(asked["chargingProfileId"])
    if kept is None or kept.payload["chargingProfileKind"] != "Dynamic":
        return status(False)
    kept.schedule["chargingSchedulePeriod"][0].update(asked["scheduleUpdate"])
    apply(station)
    return status(True)


def _priority(station: SimStation, asked: Payload) -> Payload:
    """UsePriorityCharging (2.1 Part 2, K21)."""
    if station.transaction(asked["transactionId"]) is None:
        return status(False)
    known = any(one.purpose == "PriorityCharging" for one in station.memory.profiles.values())
    if known:
        told = {"transactionId": asked["transactionId"], "activated": asked["activate"]}
        station.tell("NotifyPriorityCharging", told)
    return status(known, "NoProfile")


V16: Table = {
    "SetChargingProfile": _set,
    "ClearChargingProfile": _clear,
    "GetCompositeSchedule": _composite,
}
V201: Table = {**V16, "GetChargingProfiles": _report}
V21: Table = {**V201, "UpdateDynamicSchedule": _update, "UsePriorityCharging": _priority}
