"""The model's commands in the words of OCPP 2.0.1 and 2.1; the answer is the station's own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evcore.chargers.ocpp_station import (
    DEFAULT_PROFILE,
    TX_PROFILE,
    BadArgument,
    Call,
    ChargerState,
    argument,
    ask,
    not_supported,
    wanted_session,
)
from evcore.model import Answer, Command, Verb, rfc3339

Args = Mapping[str, Any]
_DAY_NS = 86_400_000_000_000


class Commands2:
    """Commands of one connected 2.x station."""

    __slots__ = ("_call", "_state")

    def __init__(self, state: ChargerState, call: Call) -> None:
        self._state, self._call = state, call

    async def command(self, command: Command) -> Answer:
        verb = _VERBS.get(command.verb)
        if verb is None:
            return not_supported(command, "not yet for OCPP 2.x stations")
        try:
            return await verb(self, command.args)
        except BadArgument as error:
            return Answer("Invalid", False, f"{command.verb}: {error}")

    async def _start(self, args: Args) -> Answer:
        token = {"idToken": argument(args, "token", str), "type": argument(args, "token_type", str, "Central")}
        payload: dict[str, Any] = {"idToken": token, "remoteStartId": secrets.randbelow(2**31)}
        if evse := argument(args, "evse", int, 0):
            payload["evseId"] = evse
        return await ask(self._call, "RequestStartTransaction", payload)

    async def _stop(self, args: Args) -> Answer:
        session = wanted_session(self._state, args)
        if session is None:
            return Answer("Rejected", False, "no such session is active at this station")
        return await ask(self._call, "RequestStopTransaction", {"transactionId": session.transaction_id})

    async def _reset(self, args: Args) -> Answer:
        payload: dict[str, Any] = {"type": argument(args, "type", str, "Immediate")}
        if evse := argument(args, "evse", int, 0):
            payload["evseId"] = evse
        return await ask(self._call, "Reset", payload, ok=("Accepted", "Scheduled"))

    async def _unlock(self, args: Args) -> Answer:
        payload = {"evseId": argument(args, "evse", int), "connectorId": argument(args, "connector", int, 1)}
        return await ask(self._call, "UnlockConnector", payload, ok=("Unlocked",))

    async def _change_availability(self, args: Args) -> Answer:
        operative = argument(args, "operative", bool)
        payload: dict[str, Any] = {"operationalStatus": "Operative" if operative else "Inoperative"}
        if evse := argument(args, "evse", int, 0):
            payload["evse"] = {"id": evse}
        return await ask(self._call, "ChangeAvailability", payload, ok=("Accepted", "Scheduled"))

    async def _trigger(self, args: Args) -> Answer:
        payload: dict[str, Any] = {"requestedMessage": argument(args, "message", str)}
        if evse := argument(args, "evse", int, 0):
            # StatusNotification is of one connector (2.0.1 Part 2, F06.FR.12)
            connector = {"connectorId": 1} if payload["requestedMessage"] == "StatusNotification" else {}
            payload["evse"] = {"id": evse} | connector
        return await ask(self._call, "TriggerMessage", payload)

    async def _clear_cache(self, args: Args) -> Answer:
        return await ask(self._call, "ClearCache", {})

    async def _data_transfer(self, args: Args) -> Answer:
        payload = {"vendorId": argument(args, "vendor_id", str)}
        if message := argument(args, "message_id", str, None):
            payload["messageId"] = message
        if "data" in args:
            payload["data"] = args["data"]
        return await ask(self._call, "DataTransfer", payload)

    # The device model. What 1.6 calls a key is "Component.Variable" here.

    async def _get_variables(self, args: Args) -> Answer:
        return await self._read([_variable(item) for item in argument(args, "variables", list)])

    async def _set_variables(self, args: Args) -> Answer:
        wanted = []
        for item in argument(args, "variables", list):
            value = item.get("value") if isinstance(item, Mapping) else None
            if value is None:
                raise BadArgument("variables: each needs component, variable and value")
            wanted.append(_variable(item) | {"attributeValue": str(value)})
        return await self._write(wanted)

    async def _get_config(self, args: Args) -> Answer:
        keys = argument(args, "keys", list, None)
        if not keys:
            return Answer("NotSupported", False, "get_config: OCPP 2.x has no list of all; name the keys")
        return await self._read([_variable_of(key) for key in keys])

    async def _set_config(self, args: Args) -> Answer:
        key, value = argument(args, "key", str), str(args.get("value", ""))
        return await self._write([_variable_of(key) | {"attributeValue": value}])

    async def _read(self, wanted: Sequence[Mapping[str, Any]]) -> Answer:
        answer = await ask(self._call, "GetVariables", {"getVariableData": wanted})
        return _judged(answer, "getVariableResult", ("Accepted",))

    async def _write(self, wanted: Sequence[Mapping[str, Any]]) -> Answer:
        answer = await ask(self._call, "SetVariables", {"setVariableData": wanted})
        return _judged(answer, "setVariableResult", ("Accepted", "RebootRequired"))

    # Limits

    async def _set_limit(self, args: Args) -> Answer:
        """SetChargingProfile (2.0.1 Part 2, K01): for the station as a whole, for the running transaction, or else as
        the default of the EVSE."""
        evse, unit = argument(args, "evse", int, 0), argument(args, "unit", str, "A")
        limit = argument(args, "limit", float)
        session = self._state.session_on(evse)
        period = {"startPeriod": 0, "limit": int(limit * 10 + 1e-6) / 10}  # one decimal, rounded down: it is a limit
        schedule: dict[str, Any] = {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
        profile: dict[str, Any] = {"stackLevel": 0, "chargingSchedule": [schedule]}
        if evse == 0:
            # Relative is not for a maximum (K01.FR.38); a start in the past holds whatever the station's clock says
            schedule["startSchedule"] = rfc3339(time.time_ns() - _DAY_NS)
            profile |= _profile(1, "ChargingStationMaxProfile", "Absolute")
        elif session is None:
            profile |= _profile(2 * evse, DEFAULT_PROFILE, "Relative")
        else:
            profile |= _profile(2 * evse + 1, TX_PROFILE, "Relative") | {"transactionId": session.transaction_id}
        answer = await ask(self._call, "SetChargingProfile", {"evseId": evse, "chargingProfile": profile})
        if answer.ok:
            self._state.limit(evse, profile["chargingProfilePurpose"], limit if unit == "A" else None)
        return answer

    async def _clear_limit(self, args: Args) -> Answer:
        evse = argument(args, "evse", int, 0)
        payload: dict[str, Any] = {"chargingProfileCriteria": {"evseId": evse}} if evse else {"chargingProfileId": 1}
        answer = await ask(self._call, "ClearChargingProfile", payload)
        if answer.ok:
            for purpose in (TX_PROFILE, DEFAULT_PROFILE):
                self._state.limit(evse, purpose, None)
        return answer


def _profile(id: int, purpose: str, kind: str) -> dict[str, Any]:
    return {"id": id, "chargingProfilePurpose": purpose, "chargingProfileKind": kind}


def _variable(item: Any) -> dict[str, Any]:
    """{component, variable} as names or as OCPP's objects."""
    if not isinstance(item, Mapping) or not item.get("component") or not item.get("variable"):
        raise BadArgument("variables: each needs component and variable")
    parts = {key: item[key] if isinstance(item[key], Mapping) else {"name": str(item[key])} for key in _PARTS}
    return parts | {"attributeType": item["attribute"]} if "attribute" in item else parts


_PARTS = ("component", "variable")


def _variable_of(key: Any) -> dict[str, Any]:
    component, dot, variable = str(key).partition(".")
    if not dot:
        raise BadArgument(f"{key}: expected Component.Variable")
    return {"component": {"name": component}, "variable": {"name": variable}}


def _judged(answer: Answer, list_name: str, good: tuple[str, ...]) -> Answer:
    """One status for a list of results: the first that is not good, else the last."""
    results = answer.data.get(list_name) if answer.ok else None
    if not results:
        return answer
    words = [result["attributeStatus"] for result in results]
    bad = [word for word in words if word not in good]
    return replace(answer, status=(bad or words)[0 if bad else -1], ok=not bad)


_VERBS: dict[Verb, Callable[[Commands2, Args], Awaitable[Answer]]] = {
    Verb.START: Commands2._start,
    Verb.STOP: Commands2._stop,
    Verb.RESET: Commands2._reset,
    Verb.UNLOCK: Commands2._unlock,
    Verb.SET_LIMIT: Commands2._set_limit,
    Verb.CLEAR_LIMIT: Commands2._clear_limit,
    Verb.CHANGE_AVAILABILITY: Commands2._change_availability,
    Verb.TRIGGER: Commands2._trigger,
    Verb.GET_CONFIG: Commands2._get_config,
    Verb.SET_CONFIG: Commands2._set_config,
    Verb.GET_VARIABLES: Commands2._get_variables,
    Verb.SET_VARIABLES: Commands2._set_variables,
    Verb.CLEAR_CACHE: Commands2._clear_cache,
    Verb.DATA_TRANSFER: Commands2._data_transfer,
}
