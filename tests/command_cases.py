"""What each command of the model becomes in the words of each version: those of charging and of the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evcore.model import Verb

ANY: Any = type("Any", (), {"__eq__": lambda self, other: True, "__hash__": None, "__repr__": lambda self: "ANY"})()
TIME = "2026-11-23T18:30:37.500Z"
OK: dict[str, Any] = {"status": "Accepted"}


@dataclass
class Case:
    """sent: (action, payload), or several; None: NotSupported without asking. reply: of the last action."""

    verb: Verb
    args: Mapping[str, Any]
    v16: Any
    v2: Any
    v21: Any = ...
    reply: Any = field(default_factory=lambda: OK)
    replies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by version
    status: str = "Accepted"
    ok: bool = True

    def sent(self, version: str) -> Any:
        if version == "1.6":
            return self.v16
        return self.v2 if version == "2.0.1" or self.v21 is ... else self.v21


def period(limit: float) -> dict[str, Any]:
    return {"startPeriod": 0, "limit": limit}


CHARGING = [
    Case(
        Verb.START,
        {"token": "T1", "evse": 2, "token_type": "DirectPayment"},
        ("RemoteStartTransaction", {"idTag": "T1", "connectorId": 2}),
        (
            "RequestStartTransaction",
            {"idToken": {"idToken": "T1", "type": "Central"}, "remoteStartId": ANY, "evseId": 2},
        ),
        (
            "RequestStartTransaction",
            {"idToken": {"idToken": "T1", "type": "DirectPayment"}, "remoteStartId": ANY, "evseId": 2},
        ),
    ),
    Case(
        Verb.START,
        {"token": "", "token_type": "NoAuthorization"},
        None,
        ("RequestStartTransaction", {"idToken": {"idToken": "", "type": "NoAuthorization"}, "remoteStartId": ANY}),
    ),
    Case(
        Verb.STOP,
        {"evse": 1},
        ("RemoteStopTransaction", {"transactionId": 1}),
        ("RequestStopTransaction", {"transactionId": "tx-1"}),
    ),
    Case(Verb.RESET, {}, ("Reset", {"type": "Hard"}), ("Reset", {"type": "Immediate"})),
    Case(Verb.RESET, {"type": "OnIdle"}, ("Reset", {"type": "Soft"}), ("Reset", {"type": "OnIdle"})),
    Case(Verb.RESET, {"evse": 1}, None, ("Reset", {"type": "Immediate", "evseId": 1})),
    Case(Verb.RESET, {"type": "ImmediateAndResume"}, None, None, ("Reset", {"type": "ImmediateAndResume"})),
    Case(
        Verb.UNLOCK,
        {"evse": 2},
        ("UnlockConnector", {"connectorId": 2}),
        ("UnlockConnector", {"evseId": 2, "connectorId": 1}),
        reply={"status": "Unlocked"},
        status="Unlocked",
    ),
    Case(
        Verb.SET_LIMIT,
        {"evse": 0, "limit": 11000.08, "unit": "W"},
        (
            "SetChargingProfile",
            {
                "connectorId": 0,
                "csChargingProfiles": {
                    "chargingProfileId": 1,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "ChargePointMaxProfile",
                    "chargingProfileKind": "Absolute",
                    "chargingSchedule": {
                        "chargingRateUnit": "W",
                        "chargingSchedulePeriod": [period(11000.0)],
                        "startSchedule": ANY,
                    },
                },
            },
        ),
        (
            "SetChargingProfile",
            {
                "evseId": 0,
                "chargingProfile": {
                    "id": 1,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "ChargingStationMaxProfile",
                    "chargingProfileKind": "Absolute",
                    "chargingSchedule": [
                        {
                            "id": 1,
                            "chargingRateUnit": "W",
                            "chargingSchedulePeriod": [period(11000.0)],
                            "startSchedule": ANY,
                        }
                    ],
                },
            },
        ),
    ),
    Case(
        Verb.CLEAR_LIMIT,
        {"evse": 1},
        ("ClearChargingProfile", {"connectorId": 1}),
        ("ClearChargingProfile", {"chargingProfileCriteria": {"evseId": 1}}),
    ),
    Case(
        Verb.CHANGE_AVAILABILITY,
        {"evse": 1, "operative": False},
        ("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}),
        ("ChangeAvailability", {"evse": {"id": 1}, "operationalStatus": "Inoperative"}),
        reply={"status": "Scheduled"},
        status="Scheduled",
    ),
    Case(
        Verb.CHANGE_AVAILABILITY,
        {"evse": 1, "connector": 2, "operative": True},
        None,
        ("ChangeAvailability", {"evse": {"id": 1, "connectorId": 2}, "operationalStatus": "Operative"}),
    ),
    Case(
        Verb.TRIGGER,
        {"message": "StatusNotification", "evse": 1},
        ("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}),
        ("TriggerMessage", {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}),
    ),
    Case(
        Verb.TRIGGER,
        {"message": "SignChargingStationCertificate"},
        ("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}),
        ("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}),
    ),
    Case(
        Verb.TRIGGER,
        {"message": "TransactionEvent"},
        None,
        ("TriggerMessage", {"requestedMessage": "TransactionEvent"}),
    ),
    Case(
        Verb.TRIGGER,
        {"message": "CustomTrigger", "custom": "Poem"},
        None,
        None,
        ("TriggerMessage", {"requestedMessage": "CustomTrigger", "customTrigger": "Poem"}),
    ),
    Case(
        Verb.GET_COMPOSITE_SCHEDULE,
        {"evse": 1, "duration_s": 600, "unit": "A"},
        ("GetCompositeSchedule", {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}),
        ("GetCompositeSchedule", {"evseId": 1, "duration": 600, "chargingRateUnit": "A"}),
        reply={"status": "Rejected"},
        status="Rejected",
        ok=False,
    ),
    Case(
        Verb.SEND_LOCAL_LIST,
        {
            "version": 5,
            "type": "Differential",
            "tokens": [{"token": "A", "status": "Blocked", "expires": TIME, "group": "G"}, {"token": "B"}],
        },
        (
            "SendLocalList",
            {
                "listVersion": 5,
                "updateType": "Differential",
                "localAuthorizationList": [
                    {"idTag": "A", "idTagInfo": {"status": "Blocked", "expiryDate": TIME, "parentIdTag": "G"}},
                    {"idTag": "B"},
                ],
            },
        ),
        (
            "SendLocalList",
            {
                "versionNumber": 5,
                "updateType": "Differential",
                "localAuthorizationList": [
                    {
                        "idToken": {"idToken": "A", "type": "Central"},
                        "idTokenInfo": {
                            "status": "Blocked",
                            "cacheExpiryDateTime": TIME,
                            "groupIdToken": {"idToken": "G", "type": "Central"},
                        },
                    },
                    {"idToken": {"idToken": "B", "type": "Central"}},
                ],
            },
        ),
        reply={"status": "VersionMismatch"},
        status="VersionMismatch",
        ok=False,
    ),
    Case(
        Verb.RESERVE,
        {"token": "T1", "evse": 1, "expires": "2026-11-23T19:30:37.5+01:00", "id": 3, "group": "G"},
        (
            "ReserveNow",
            {"connectorId": 1, "expiryDate": TIME, "idTag": "T1", "reservationId": 3, "parentIdTag": "G"},
        ),
        (
            "ReserveNow",
            {
                "id": 3,
                "evseId": 1,
                "expiryDateTime": TIME,
                "idToken": {"idToken": "T1", "type": "Central"},
                "groupIdToken": {"idToken": "G", "type": "Central"},
            },
        ),
        reply={"status": "Occupied"},
        status="Occupied",
        ok=False,
    ),
    Case(
        Verb.CANCEL_RESERVATION,
        {"id": 3},
        ("CancelReservation", {"reservationId": 3}),
        ("CancelReservation", {"reservationId": 3}),
    ),
    Case(Verb.CLEAR_CACHE, {}, ("ClearCache", {}), ("ClearCache", {})),
    Case(
        Verb.DATA_TRANSFER,
        {"vendor_id": "v", "message_id": "m", "data": {"a": [1, 2.5]}},
        ("DataTransfer", {"vendorId": "v", "messageId": "m", "data": '{"a":[1,2.5]}'}),
        ("DataTransfer", {"vendorId": "v", "messageId": "m", "data": {"a": [1, 2.5]}}),
        reply={"status": "UnknownMessageId"},
        status="UnknownMessageId",
        ok=False,
    ),
    Case(
        Verb.COST_UPDATED,
        {"evse": 1, "cost": 12.34},
        ("DataTransfer", {"vendorId": "org.openchargealliance.costmsg", "messageId": "RunningCost", "data": ANY}),
        ("CostUpdated", {"totalCost": 12.34, "transactionId": "tx-1"}),
        reply={},
        replies={"1.6": OK},
    ),
    Case(
        Verb.SET_DISPLAY_MESSAGE,
        {"id": 1, "message": "Hallo", "language": "nl", "priority": "InFront", "from": TIME, "session": "tx-1"},
        None,
        (
            "SetDisplayMessage",
            {
                "message": {
                    "id": 1,
                    "priority": "InFront",
                    "startDateTime": TIME,
                    "transactionId": "tx-1",
                    "message": {"content": "Hallo", "format": "UTF8", "language": "nl"},
                }
            },
        ),
    ),
    Case(
        Verb.SET_DISPLAY_MESSAGE,
        {"id": 1},
        None,
        ("ClearDisplayMessage", {"id": 1}),
        reply={"status": "Unknown"},
        status="Unknown",
        ok=False,
    ),
    Case(
        Verb.SET_TARIFF,
        {"evse": 1, "id": "t", "currency": "EUR", "per_kwh": 0.42, "per_hour": 1, "per_session": 2},
        None,
        None,
        (
            "SetDefaultTariff",
            {
                "evseId": 1,
                "tariff": {
                    "tariffId": "t",
                    "currency": "EUR",
                    "energy": {"prices": [{"priceKwh": 0.42}]},
                    "chargingTime": {"prices": [{"priceMinute": 0.016667}]},
                    "fixedFee": {"prices": [{"priceFixed": 2}]},
                },
            },
        ),
        reply={"status": "TooManyElements"},
        status="TooManyElements",
        ok=False,
    ),
]
