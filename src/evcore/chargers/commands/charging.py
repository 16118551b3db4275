"""Starting, stopping and what else concerns charging itself: start stop reset unlock change_availability trigger
clear_cache data_transfer.
"""

from __future__ import annotations

import json
from typing import Any

from evcore.arguments import BadArgument
from evcore.chargers.commands.frame import (
    Args,
    Asker,
    Payload,
    Refused,
    Table,
    drawn_number,
    transaction_16,
    wanted_session,
)
from evcore.model import Answer, Verb

_SCHEDULED = ("Accepted", "Scheduled")
_NEW_TOKENS = ("DirectPayment", "EVCCID", "VIN")  # kinds that came with 2.1

# 1.6 names that differ; what only the security extension's ExtendedTriggerMessage asks for (white paper, 5.5, 6.11)
_NAME_16 = {"SignChargingStationCertificate": "SignChargePointCertificate"}
_EXTENDED_16 = ("LogStatusNotification", "SignChargePointCertificate")
_TRIGGERS_16 = (
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
)
_TRIGGERS_21 = ("SignV2G20Certificate", "CustomTrigger")


def token_2(at: Asker, args: Args) -> Payload:
    """IdTokenType. 2.0.1 has no words for what came with 2.1: Central is a token that the CSMS made."""
    token, kind = _checked_token(args)
    if at.version == "2.0.1" and kind in _NEW_TOKENS:
        kind = "Central"
    return {"idToken": token, "type": kind}


def tag_16(args: Args) -> str:
    """The idTag; 1.6 has one kind of token, and no empty one."""
    token, _ = _checked_token(args)
    if not token:
        raise Refused("NotSupported", "OCPP 1.6 starts nothing without a token")
    return token


def _checked_token(args: Args) -> tuple[str, str]:
    token, kind = args["token"], args["token_type"]
    if (kind == "NoAuthorization") != (token == ""):
        raise BadArgument("token: empty with token_type NoAuthorization, and only then")
    return token, kind


def _needs_acceptance(at: Asker) -> None:
    """Raises Refused: the station may not start or stop for us yet (1.6, 4.2; 2.0.1 Part 2, B02.FR.05)."""
    if not at.state.registered:
        raise Refused("Rejected", "the station's BootNotification is not accepted yet")


async def _start_16(at: Asker, args: Args) -> Answer:
    """RemoteStartTransaction"""
    _needs_acceptance(at)
    payload: Payload = {"idTag": tag_16(args)}
    if args["evse"]:
        payload["connectorId"] = args["evse"]
    return await at.ask("RemoteStartTransaction", payload)


async def _start_2(at: Asker, args: Args) -> Answer:
    """RequestStartTransaction"""
    _needs_acceptance(at)
    payload: Payload = {"idToken": token_2(at, args), "remoteStartId": drawn_number()}
    if args["evse"]:
        payload["evseId"] = args["evse"]
    if "group" in args:
        payload["groupIdToken"] = {"idToken": args["group"], "type": "Central"}
    return await at.ask("RequestStartTransaction", payload)


async def _stop_16(at: Asker, args: Args) -> Answer:
    """RemoteStopTransaction"""
    session = wanted_session(at, args)
    return await at.ask("RemoteStopTransaction", {"transactionId": transaction_16(session)})


async def _stop_2(at: Asker, args: Args) -> Answer:
    """RequestStopTransaction"""
    session = wanted_session(at, args)
    return await at.ask("RequestStopTransaction", {"transactionId": session.transaction_id})


async def _reset_16(at: Asker, args: Args) -> Answer:
    """Reset: Hard for Immediate, Soft for OnIdle"""
    if args["evse"]:
        raise Refused("NotSupported", "OCPP 1.6 resets the station as a whole")
    if args["type"] == "ImmediateAndResume":
        raise Refused("NotSupported", "ImmediateAndResume came with OCPP 2.1")
    return await at.ask("Reset", {"type": "Hard" if args["type"] == "Immediate" else "Soft"})


async def _reset_2(at: Asker, args: Args) -> Answer:
    """Reset"""
    if at.version == "2.0.1" and args["type"] == "ImmediateAndResume":
        raise Refused("NotSupported", "ImmediateAndResume came with OCPP 2.1")
    payload: Payload = {"type": args["type"]}
    if args["evse"]:
        payload["evseId"] = args["evse"]
    return await at.ask("Reset", payload, ok=_SCHEDULED)


async def _unlock_16(at: Asker, args: Args) -> Answer:
    """UnlockConnector"""
    if args["connector"] != 1:
        raise Refused("NotSupported", "OCPP 1.6 knows one connector an EVSE")
    return await at.ask("UnlockConnector", {"connectorId": args["evse"]}, ok=("Unlocked",))


async def _unlock_2(at: Asker, args: Args) -> Answer:
    """UnlockConnector"""
    payload = {"evseId": args["evse"], "connectorId": args["connector"]}
    return await at.ask("UnlockConnector", payload, ok=("Unlocked",))


async def _change_availability_16(at: Asker, args: Args) -> Answer:
    """ChangeAvailability"""
    payload = {"connectorId": _evse_16(args), "type": _operative(args)}
    return await at.ask("ChangeAvailability", payload, ok=_SCHEDULED)


async def _change_availability_2(at: Asker, args: Args) -> Answer:
    """ChangeAvailability"""
    payload: Payload = {"operationalStatus": _operative(args)}
    if evse := _evse(args):
        payload["evse"] = evse
    return await at.ask("ChangeAvailability", payload, ok=_SCHEDULED)


def _operative(args: Args) -> str:
    return "Operative" if args["operative"] else "Inoperative"


def _evse_16(args: Args) -> int:
    """connectorId; 0 for the whole station."""
    if _evse(args).get("connectorId", 1) != 1:
        raise Refused("NotSupported", "OCPP 1.6 knows one connector an EVSE")
    return int(args["evse"])


def _evse(args: Args) -> Payload:
    """EVSEType; empty for the whole station."""
    if "connector" in args:
        if not args["evse"]:
            raise BadArgument("connector: of which evse?")
        return {"id": args["evse"], "connectorId": args["connector"]}
    return {"id": args["evse"]} if args["evse"] else {}


def _checked_message(args: Args) -> str:
    message: str = args["message"]
    if (message == "CustomTrigger") != ("custom" in args):
        raise BadArgument("custom: the name of a CustomTrigger, and only for that")
    return message


async def _trigger_16(at: Asker, args: Args) -> Answer:
    """TriggerMessage, or ExtendedTriggerMessage where only that knows the message"""
    message = _checked_message(args)
    message = _NAME_16.get(message, message)
    if message not in _TRIGGERS_16 + _EXTENDED_16:
        raise Refused("NotSupported", f"OCPP 1.6 has no trigger for {message}")
    payload: Payload = {"requestedMessage": message}
    if connector := _evse_16(args):
        payload["connectorId"] = connector
    return await at.ask("ExtendedTriggerMessage" if message in _EXTENDED_16 else "TriggerMessage", payload)


async def _trigger_2(at: Asker, args: Args) -> Answer:
    """TriggerMessage"""
    message = _checked_message(args)
    if message == "DiagnosticsStatusNotification" or (at.version == "2.0.1" and message in _TRIGGERS_21):
        raise Refused("NotSupported", f"OCPP {at.version} has no trigger for {message}")
    payload: Payload = {"requestedMessage": message}
    if "custom" in args:
        payload["customTrigger"] = args["custom"]
    if evse := _evse(args):
        # StatusNotification is of one connector (2.0.1 Part 2, F06.FR.12)
        payload["evse"] = ({"connectorId": 1} if message == "StatusNotification" else {}) | evse
    return await at.ask("TriggerMessage", payload)


async def _clear_cache(at: Asker, args: Args) -> Answer:
    """ClearCache"""
    return await at.ask("ClearCache", {})


async def _data_transfer_16(at: Asker, args: Args) -> Answer:
    """DataTransfer; data that is no text goes as JSON text"""
    payload = _transfer(args)
    data = payload.get("data")
    if data is not None and not isinstance(data, str):
        payload["data"] = _json(data)
    return await at.ask("DataTransfer", payload)


async def _data_transfer_2(at: Asker, args: Args) -> Answer:
    """DataTransfer"""
    return await at.ask("DataTransfer", _transfer(args))


def _transfer(args: Args) -> Payload:
    names = {"vendorId": "vendor_id", "messageId": "message_id", "data": "data"}
    return {wire: args[name] for wire, name in names.items() if name in args}


def _json(data: Any) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise BadArgument("data: JSON has no form of it") from None


_SAME: Table = {Verb.CLEAR_CACHE: _clear_cache}
V16: Table = {
    **_SAME,
    Verb.START: _start_16,
    Verb.STOP: _stop_16,
    Verb.RESET: _reset_16,
    Verb.UNLOCK: _unlock_16,
    Verb.CHANGE_AVAILABILITY: _change_availability_16,
    Verb.TRIGGER: _trigger_16,
    Verb.DATA_TRANSFER: _data_transfer_16,
}
V201: Table = {
    **_SAME,
    Verb.START: _start_2,
    Verb.STOP: _stop_2,
    Verb.RESET: _reset_2,
    Verb.UNLOCK: _unlock_2,
    Verb.CHANGE_AVAILABILITY: _change_availability_2,
    Verb.TRIGGER: _trigger_2,
    Verb.DATA_TRANSFER: _data_transfer_2,
}
V21: Table = V201
