"""The model's commands in the words of OCPP 1.6; the answer is the station's own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
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
from evcore.model import Answer, Command, Session, Verb, rfc3339

Args = Mapping[str, Any]
_DAY_NS = 86_400_000_000_000

# Messages that only the security extension's ExtendedTriggerMessage asks for (1.6 security whitepaper, edition 3, 5.5)
_EXTENDED = {"LogStatusNotification", "SignChargePointCertificate"}

_NEVER = "not for OCPP 1.6 stations"
# What 1.6 and its security white paper could do, and nothing here does yet.
_LATER = {
    Verb.GET_COMPOSITE_SCHEDULE,
    Verb.GET_LOG,
    Verb.UPDATE_FIRMWARE,
    Verb.SEND_LOCAL_LIST,
    Verb.RESERVE,
    Verb.CANCEL_RESERVATION,
    Verb.INSTALL_CERTIFICATE,
    Verb.DELETE_CERTIFICATE,
    Verb.GET_INSTALLED_CERTIFICATES,
    Verb.CERTIFICATE_SIGNED,
}


class Commands16:
    """Commands of one connected 1.6 station."""

    __slots__ = ("_call", "_state")

    def __init__(self, state: ChargerState, call: Call) -> None:
        self._state, self._call = state, call

    async def command(self, command: Command) -> Answer:
        verb = _VERBS.get(command.verb)
        if verb is None:
            return not_supported(command, "not yet for OCPP 1.6 stations" if command.verb in _LATER else _NEVER)
        try:
            return await verb(self, command.args)
        except BadArgument as error:
            return Answer("Invalid", False, f"{command.verb}: {error}")

    async def _start(self, args: Args) -> Answer:
        payload = {"idTag": argument(args, "token", str)}
        if evse := argument(args, "evse", int, 0):
            payload["connectorId"] = evse
        return await ask(self._call, "RemoteStartTransaction", payload)

    async def _stop(self, args: Args) -> Answer:
        session = wanted_session(self._state, args)
        if session is None:
            return Answer("Rejected", False, "no such session is active at this station")
        return await ask(self._call, "RemoteStopTransaction", {"transactionId": _transaction(session)})

    async def _reset(self, args: Args) -> Answer:
        hard = argument(args, "type", str, "Immediate") == "Immediate"
        return await ask(self._call, "Reset", {"type": "Hard" if hard else "Soft"})

    async def _unlock(self, args: Args) -> Answer:
        payload = {"connectorId": argument(args, "evse", int)}
        return await ask(self._call, "UnlockConnector", payload, ok=("Unlocked",))

    async def _change_availability(self, args: Args) -> Answer:
        payload = {
            "connectorId": argument(args, "evse", int, 0),
            "type": "Operative" if argument(args, "operative", bool) else "Inoperative",
        }
        return await ask(self._call, "ChangeAvailability", payload, ok=("Accepted", "Scheduled"))

    async def _trigger(self, args: Args) -> Answer:
        message = argument(args, "message", str)
        payload = {"requestedMessage": message}
        if evse := argument(args, "evse", int, 0):
            payload["connectorId"] = evse
        action = "ExtendedTriggerMessage" if message in _EXTENDED else "TriggerMessage"
        return await ask(self._call, action, payload)

    async def _get_config(self, args: Args) -> Answer:
        keys = argument(args, "keys", list, None)
        return await ask(self._call, "GetConfiguration", {} if keys is None else {"key": keys})

    async def _set_config(self, args: Args) -> Answer:
        payload = {"key": argument(args, "key", str), "value": str(args.get("value", ""))}
        return await ask(self._call, "ChangeConfiguration", payload, ok=("Accepted", "RebootRequired"))

    async def _clear_cache(self, args: Args) -> Answer:
        return await ask(self._call, "ClearCache", {})

    async def _data_transfer(self, args: Args) -> Answer:
        payload = {"vendorId": argument(args, "vendor_id", str)}
        if message := argument(args, "message_id", str, None):
            payload["messageId"] = message
        if data := argument(args, "data", str, None):
            payload["data"] = data
        return await ask(self._call, "DataTransfer", payload)

    async def _set_limit(self, args: Args) -> Answer:
        """SetChargingProfile (OCPP 1.6, 5.16): for the station as a whole, for the running transaction, or else as the
        default of the connector."""
        evse, unit = argument(args, "evse", int, 0), argument(args, "unit", str, "A")
        limit = argument(args, "limit", float)
        session = self._state.session_on(evse)
        schedule: dict[str, Any] = {
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": one_decimal(limit)}],
        }
        profile: dict[str, Any] = {"stackLevel": 0, "chargingSchedule": schedule}
        if evse == 0:
            # Relative is not for a maximum; a start well in the past holds whatever the station's clock says
            schedule["startSchedule"] = rfc3339(time.time_ns() - _DAY_NS)
            profile |= _profile(1, "ChargePointMaxProfile", "Absolute")
        elif session is None:
            profile |= _profile(2 * evse, DEFAULT_PROFILE, "Relative")
        else:
            profile |= _profile(2 * evse + 1, TX_PROFILE, "Relative")
            profile["transactionId"] = _transaction(session)
        answer = await ask(self._call, "SetChargingProfile", {"connectorId": evse, "csChargingProfiles": profile})
        if answer.ok:
            self._state.limit(evse, profile["chargingProfilePurpose"], limit if unit == "A" else None)
        return answer

    async def _clear_limit(self, args: Args) -> Answer:
        evse = argument(args, "evse", int, 0)
        payload = {"connectorId": evse} if evse else {"id": 1}
        answer = await ask(self._call, "ClearChargingProfile", payload)
        if answer.ok:
            for purpose in (TX_PROFILE, DEFAULT_PROFILE):
                self._state.limit(evse, purpose, None)
        return answer


def _transaction(session: Session) -> int:
    """Raises BadArgument: it began when the station spoke OCPP 2.x, whose ids are text."""
    try:
        return int(session.transaction_id)
    except ValueError:
        raise BadArgument(f"transaction {session.transaction_id!r} is none of OCPP 1.6") from None


def one_decimal(limit: float) -> float:
    """A limit may have one decimal (OCPP 1.6, 7.14); rounded down, since it is a limit."""
    return int(limit * 10 + 1e-6) / 10


def _profile(id: int, purpose: str, kind: str) -> dict[str, Any]:
    return {"chargingProfileId": id, "chargingProfilePurpose": purpose, "chargingProfileKind": kind}


_VERBS: dict[Verb, Callable[[Commands16, Args], Awaitable[Answer]]] = {
    Verb.START: Commands16._start,
    Verb.STOP: Commands16._stop,
    Verb.RESET: Commands16._reset,
    Verb.UNLOCK: Commands16._unlock,
    Verb.SET_LIMIT: Commands16._set_limit,
    Verb.CLEAR_LIMIT: Commands16._clear_limit,
    Verb.CHANGE_AVAILABILITY: Commands16._change_availability,
    Verb.TRIGGER: Commands16._trigger,
    Verb.GET_CONFIG: Commands16._get_config,
    Verb.SET_CONFIG: Commands16._set_config,
    Verb.CLEAR_CACHE: Commands16._clear_cache,
    Verb.DATA_TRANSFER: Commands16._data_transfer,
}
