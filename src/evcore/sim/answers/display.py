"""What the driver reads: messages on the display, and what it costs so far (2.0.1 Part 2, O and I)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.sim.answers.frame import Payload, Table, fixed, status

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

_FORMATS = ("ASCII", "UTF8")
_PART = 8  # messages in one NotifyDisplayMessages


def _set(station: SimStation, asked: Payload) -> Payload:
    message = asked["message"]
    if message["message"]["format"] not in _FORMATS:
        return {"status": "NotSupportedMessageFormat"}
    if "transactionId" in message and station.transaction(message["transactionId"]) is None:
        return {"status": "UnknownTransaction"}
    if message["priority"] == "AlwaysFront":  # there can be one only (O01.FR.10 and FR.11)
        for id in [id for id, one in station.memory.messages.items() if one["priority"] == "AlwaysFront"]:
            del station.memory.messages[id]
    station.memory.messages[message["id"]] = message
    return status(True)


def _get(station: SimStation, asked: Payload) -> Payload:
    found = [
        one
        for id, one in station.memory.messages.items()
        if id in asked.get("id", (id,))
        and asked.get("priority") in (None, one["priority"])
        and asked.get("state") in (None, one.get("state"))
    ]
    for at in range(0, len(found), _PART):
        told = {"requestId": asked["requestId"], "messageInfo": found[at : at + _PART]}
        station.tell("NotifyDisplayMessages", told | {"tbc": at + _PART < len(found)})
    return status(bool(found), "Unknown")


def _clear(station: SimStation, asked: Payload) -> Payload:
    return status(station.memory.messages.pop(asked["id"], None) is not None, "Unknown")


def _cost(station: SimStation, asked: Payload) -> Payload:
    if station.transaction(asked["transactionId"]) is not None:
        station.memory.costs[asked["transactionId"]] = asked["totalCost"]
    return {}


V16: Table = {}
V201: Table = {
    "SetDisplayMessage": _set,
    "GetDisplayMessages": _get,
    "ClearDisplayMessage": _clear,
    "CostUpdated": _cost,
}
V21: Table = {**V201, "NotifyWebPaymentStarted": fixed({})}
