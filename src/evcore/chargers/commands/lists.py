"""The station's own list of tokens, and reservations: send_local_list reserve cancel_reservation."""

from __future__ import annotations

from evcore.arguments import BadArgument
from evcore.chargers.commands.charging import tag_16, token_2
from evcore.chargers.commands.frame import Args, Asker, Payload, Refused, Table, numbered, with_data
from evcore.model import Answer, Verb


async def _send_list_16(at: Asker, args: Args) -> Answer:
    """SendLocalList; GetLocalListVersion before it where no version is given"""
    version = await _version(at, args, "listVersion")
    entries = [_entry_16(args, item) for item in args.get("tokens", ())]
    payload: Payload = {"listVersion": version, "updateType": args["type"]}
    answer = await at.ask("SendLocalList", payload | ({"localAuthorizationList": entries} if entries else {}))
    return with_data(answer, version=version)


async def _send_list_2(at: Asker, args: Args) -> Answer:
    """SendLocalList; GetLocalListVersion before it where no version is given"""
    version = await _version(at, args, "versionNumber")
    entries = [_entry_2(at, args, item) for item in args.get("tokens", ())]
    payload: Payload = {"versionNumber": version, "updateType": args["type"]}
    answer = await at.ask("SendLocalList", payload | ({"localAuthorizationList": entries} if entries else {}))
    return with_data(answer, version=version)


async def _version(at: Asker, args: Args, member: str) -> int:
    """One more than the station has. Raises Refused: it did not tell, or has no list (-1; OCPP 1.6, 5.10)."""
    if "version" in args:
        given: int = args["version"]
        return given
    answer = await at.ask("GetLocalListVersion", {})
    if not answer.ok:
        raise Refused(answer.status, answer.reason)
    version = int(answer.data[member])
    if version < 0:
        raise Refused("NotSupported", "the station says that it keeps no list of tokens")
    return version + 1


def _entry_16(args: Args, item: Payload) -> Payload:
    entry: Payload = {"idTag": item["token"]}
    if status := _status(args, item):
        info = {"status": status}
        if "expires" in item:
            info["expiryDate"] = item["expires"]
        if "group" in item:
            info["parentIdTag"] = item["group"]
        entry["idTagInfo"] = info
    return entry


def _entry_2(at: Asker, args: Args, item: Payload) -> Payload:
    entry: Payload = {"idToken": token_2(at, item)}
    if status := _status(args, item):
        info: Payload = {"status": status}
        if "expires" in item:
            info["cacheExpiryDateTime"] = item["expires"]
        if "group" in item:
            info["groupIdToken"] = {"idToken": item["group"], "type": "Central"}
        entry["idTokenInfo"] = info
    return entry


def _status(args: Args, item: Payload) -> str | None:
    """None: of a Differential list, the token is removed."""
    if "status" in item:
        status: str = item["status"]
        return status
    if args["type"] == "Full" or "expires" in item or "group" in item:
        return "Accepted"
    return None


async def _reserve_16(at: Asker, args: Args) -> Answer:
    """ReserveNow"""
    if "connector_type" in args:
        raise Refused("NotSupported", "OCPP 1.6 reserves no types of connectors")
    id = numbered(args, "id")
    payload: Payload = {
        "connectorId": args["evse"],
        "expiryDate": args["expires"],
        "idTag": tag_16(args),
        "reservationId": id,
    }
    if "group" in args:
        payload["parentIdTag"] = args["group"]
    return with_data(await at.ask("ReserveNow", payload), reservationId=id)


async def _reserve_2(at: Asker, args: Args) -> Answer:
    """ReserveNow"""
    if args["evse"] and "connector_type" in args:
        raise BadArgument("connector_type: only without evse")
    id = numbered(args, "id")
    payload: Payload = {"id": id, "expiryDateTime": args["expires"], "idToken": token_2(at, args)}
    if args["evse"]:
        payload["evseId"] = args["evse"]
    if "connector_type" in args:
        payload["connectorType"] = args["connector_type"]
    if "group" in args:
        payload["groupIdToken"] = {"idToken": args["group"], "type": "Central"}
    return with_data(await at.ask("ReserveNow", payload), reservationId=id)


async def _cancel(at: Asker, args: Args) -> Answer:
    """CancelReservation"""
    return await at.ask("CancelReservation", {"reservationId": args["id"]})


V16: Table = {
    Verb.SEND_LOCAL_LIST: _send_list_16,
    Verb.RESERVE: _reserve_16,
    Verb.CANCEL_RESERVATION: _cancel,
}
V201: Table = {
    Verb.SEND_LOCAL_LIST: _send_list_2,
    Verb.RESERVE: _reserve_2,
    Verb.CANCEL_RESERVATION: _cancel,
}
V21: Table = V201
