"""Tokens and vendors: the local list, reservations, the cache, DataTransfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evcore.ocpp.times import parse_time
from evcore.sim.answers.frame import Payload, Table, evse_of, fixed, status
from evcore.sim.station_memory import Reservation

if TYPE_CHECKING:
    from evcore.sim.station import SimStation


def _version_16(station: SimStation, asked: Payload) -> Payload:
    return {"listVersion": station.memory.list_version}


def _version_2(station: SimStation, asked: Payload) -> Payload:
    return {"versionNumber": station.memory.list_version}


def _send_list(station: SimStation, asked: Payload) -> Payload:
    """An entry without what it may do is taken out of the list (1.6, 6.43; 2.0.1 Part 2, D01)."""
    memory, version = station.memory, int(asked["listVersion" if station.version == "1.6" else "versionNumber"])
    full = asked["updateType"] == "Full"
    if not full and version <= memory.list_version:
        return {"status": "VersionMismatch"}
    tokens: dict[str, Payload] = {} if full else dict(memory.tokens)
    for entry in asked.get("localAuthorizationList", ()):
        token = _text(entry["idTag"] if "idTag" in entry else entry["idToken"])
        info = entry.get("idTagInfo", entry.get("idTokenInfo"))
        if info is None:
            tokens.pop(token, None)
        else:
            tokens[token] = info
    memory.tokens, memory.list_version = tokens, version
    return status(True)


def _text(token: Any) -> str:
    return str(token if isinstance(token, str) else token["idToken"])


def _reserve(station: SimStation, asked: Payload) -> Payload:
    """1.6, 5.13; 2.0.1 Part 2, H01: without a number, the first EVSE that is free."""
    id = asked["reservationId"] if station.version == "1.6" else asked["id"]
    token = _text(asked["idTag"] if station.version == "1.6" else asked["idToken"])
    expires = parse_time(asked["expiryDate" if station.version == "1.6" else "expiryDateTime"]) / 1e9
    station.release(id)  # the same id again replaces it
    number = evse_of(asked)
    chosen = [station.evses[number]] if number in station.evses else list(station.evses.values()) if not number else []
    if not chosen or expires <= station.seconds():
        return status(False)
    words = [_hindrance(station, evse.id) for evse in chosen]
    if "" not in words:
        return {"status": words[0]}
    evse = chosen[words.index("")]
    station.memory.reservations[id] = Reservation(id, evse.id, token, expires)
    evse.reserved = True
    return status(True)


def _hindrance(station: SimStation, number: int) -> str:
    evse = station.evses[number]
    if evse.fault:
        return "Faulted"
    if evse.reserved or evse.plugged or evse.transaction is not None:
        return "Occupied"
    return "" if evse.operative else "Unavailable"


def _cancel(station: SimStation, asked: Payload) -> Payload:
    return status(station.release(asked["reservationId"]))


def _data_transfer(station: SimStation, asked: Payload) -> Payload:
    if asked["vendorId"] != station.vendor:
        return {"status": "UnknownVendorId"}
    return status(True) | ({"data": asked["data"]} if "data" in asked else {})


def _customer(station: SimStation, asked: Payload) -> Payload:
    """CustomerInformation (2.0.1 Part 2, N09, N10): what is known of a token is what the local list says."""
    named = [name for name in ("idToken", "customerCertificate", "customerIdentifier") if name in asked]
    if len(named) != 1 or not (asked["report"] or asked["clear"]):
        return {"status": "Invalid"}
    token = _text(asked["idToken"]) if "idToken" in asked else str(asked.get("customerIdentifier", ""))
    info = station.memory.tokens.get(token)
    if asked["clear"]:
        station.memory.tokens.pop(token, None)
    told = {"requestId": asked["requestId"], "seqNo": 0, "generatedAt": station.client.now()}
    data = f"{token}: {info['status']}" if info and asked["report"] else ""
    station.tell("NotifyCustomerInformation", told | {"data": data[:512]})
    return status(True)


_SAME: Table = {
    "SendLocalList": _send_list,
    "ReserveNow": _reserve,
    "CancelReservation": _cancel,
    "ClearCache": fixed({"status": "Accepted"}),
    "DataTransfer": _data_transfer,
}
V16: Table = {**_SAME, "GetLocalListVersion": _version_16}
V201: Table = {**_SAME, "GetLocalListVersion": _version_2, "CustomerInformation": _customer}
V21: Table = {
    **V201,
    "RequestBatterySwap": fixed({"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedRequest"}}),
}
