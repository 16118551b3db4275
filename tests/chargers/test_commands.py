"""Every command of the model, in the words of every version, asked of a mobilityhouse station over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from ocpp.exceptions import InternalError, NotSupportedError

from evcore.chargers import StationRules
from evcore.chargers.commands import TABLES
from evcore.model import Verb

Start = Callable[..., Awaitable[Any]]
OPEN = StationRules(certificates_over_plain=True)
ANY: Any = type("Any", (), {"__eq__": lambda self, other: True, "__hash__": None, "__repr__": lambda self: "ANY"})()
TIME = "2026-11-23T18:30:37.500Z"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
HASHES = {"issuer_name_hash": "aa", "issuer_key_hash": "bb", "serial_number": "01"}
WIRE_HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "01"}
HEARTBEAT = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
WIRE_HEARTBEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
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


def result(status: str, **more: Any) -> dict[str, Any]:
    return {"attribute_status": status, "component": {"name": "C"}, "variable": {"name": "V"}} | more


CASES = [
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
        Verb.GET_CONFIG,
        {"keys": ["HeartbeatInterval", "TransactionMessageAttempts"]},
        ("GetConfiguration", {"key": ["HeartbeatInterval", "TransactionMessageAttempts"]}),
        (
            "GetVariables",
            {
                "getVariableData": [
                    WIRE_HEARTBEAT,
                    {
                        "component": {"name": "OCPPCommCtrlr"},
                        "variable": {"name": "MessageAttempts", "instance": "TransactionEvent"},
                    },
                ]
            },
        ),
        reply={"get_variable_result": [result("Accepted", attribute_value="300")] * 2},
        replies={"1.6": {"configuration_key": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]}},
    ),
    Case(
        Verb.SET_CONFIG,
        {"key": "OCPPCommCtrlr.HeartbeatInterval", "value": 60},
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
        ("SetVariables", {"setVariableData": [WIRE_HEARTBEAT | {"attributeValue": "60"}]}),
        reply={"set_variable_result": [result("RebootRequired")]},
        replies={"1.6": {"status": "RebootRequired"}},
        status="RebootRequired",
    ),
    Case(
        Verb.SET_CONFIG,
        {"key": "AuthCacheCtrlr.Enabled", "value": True},
        ("ChangeConfiguration", {"key": "AuthorizationCacheEnabled", "value": "true"}),
        (
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "component": {"name": "AuthCacheCtrlr"},
                        "variable": {"name": "Enabled"},
                        "attributeValue": "true",
                    }
                ]
            },
        ),
        reply={"set_variable_result": [result("Rejected")]},
        replies={"1.6": {"status": "Rejected"}},
        status="Rejected",
        ok=False,
    ),
    Case(
        Verb.GET_VARIABLES,
        {"variables": [HEARTBEAT | {"attribute": "Actual"}]},
        ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
        ("GetVariables", {"getVariableData": [WIRE_HEARTBEAT | {"attributeType": "Actual"}]}),
        reply={"get_variable_result": [result("UnknownComponent")]},
        replies={"1.6": {"unknown_key": ["HeartbeatInterval"]}},
        status="Unknown",
        ok=False,
    ),
    Case(
        Verb.GET_VARIABLES,
        {
            "variables": [
                {"component": "Connector", "evse": 1, "connector": 2, "variable": "V", "variable_instance": "i"}
            ]
        },
        None,
        (
            "GetVariables",
            {
                "getVariableData": [
                    {
                        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 2}},
                        "variable": {"name": "V", "instance": "i"},
                    }
                ]
            },
        ),
        reply={"get_variable_result": [result("Accepted")]},
    ),
    Case(
        Verb.SET_VARIABLES,
        {
            "variables": [
                HEARTBEAT | {"value": 60},
                {"component": "TxCtrlr", "variable": "StopTxOnInvalidId", "value": False},
            ]
        },
        [
            ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
            ("ChangeConfiguration", {"key": "StopTransactionOnInvalidId", "value": "false"}),
        ],
        (
            "SetVariables",
            {
                "setVariableData": [
                    WIRE_HEARTBEAT | {"attributeValue": "60"},
                    {
                        "component": {"name": "TxCtrlr"},
                        "variable": {"name": "StopTxOnInvalidId"},
                        "attributeValue": "false",
                    },
                ]
            },
        ),
        reply={"set_variable_result": [result("Accepted"), result("Accepted")]},
        replies={"1.6": OK},
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
        Verb.GET_REPORT,
        {"wait_s": 0, "report": "SummaryInventory"},
        None,
        ("GetBaseReport", {"requestId": ANY, "reportBase": "SummaryInventory"}),
    ),
    Case(
        Verb.GET_REPORT,
        {
            "wait_s": 0,
            "report": "Variables",
            "criteria": ["Problem"],
            "variables": [{"component": "Connector", "evse": 1}],
        },
        None,
        (
            "GetReport",
            {
                "requestId": ANY,
                "componentCriteria": ["Problem"],
                "componentVariable": [{"component": {"name": "Connector", "evse": {"id": 1}}}],
            },
        ),
        reply={"status": "EmptyResultSet"},
        status="EmptyResultSet",
        ok=False,
    ),
    Case(
        Verb.GET_REPORT,
        {"wait_s": 0, "report": "Monitors", "criteria": ["DeltaMonitoring"]},
        None,
        ("GetMonitoringReport", {"requestId": ANY, "monitoringCriteria": ["DeltaMonitoring"]}),
    ),
    Case(
        Verb.SET_MONITORING,
        {"monitors": [HEARTBEAT | {"type": "UpperThreshold", "value": 7, "severity": 3}]},
        None,
        (
            "SetVariableMonitoring",
            {"setMonitoringData": [WIRE_HEARTBEAT | {"type": "UpperThreshold", "value": 7, "severity": 3}]},
        ),
        reply={
            "set_monitoring_result": [
                {
                    "status": "Duplicate",
                    "type": "UpperThreshold",
                    "component": {"name": "C"},
                    "variable": {"name": "V"},
                    "severity": 3,
                }
            ]
        },
        status="Duplicate",
        ok=False,
    ),
    Case(
        Verb.SET_MONITORING,
        {"clear": [1, 2]},
        None,
        ("ClearVariableMonitoring", {"id": [1, 2]}),
        reply={"clear_monitoring_result": [{"status": "Accepted", "id": 1}, {"status": "NotFound", "id": 2}]},
        status="NotFound",
        ok=False,
    ),
    Case(
        Verb.SET_MONITORING,
        {"base": "FactoryDefault"},
        None,
        ("SetMonitoringBase", {"monitoringBase": "FactoryDefault"}),
    ),
    Case(Verb.SET_MONITORING, {"level": 4}, None, ("SetMonitoringLevel", {"severity": 4})),
    Case(
        Verb.GET_LOG,
        {"url": "sftp://box.example/in", "type": "SecurityLog", "request_id": 7, "from": TIME, "retries": 2},
        (
            "GetLog",
            {
                "logType": "SecurityLog",
                "requestId": 7,
                "log": {"remoteLocation": "sftp://box.example/in", "oldestTimestamp": TIME},
                "retries": 2,
            },
        ),
        (
            "GetLog",
            {
                "logType": "SecurityLog",
                "requestId": 7,
                "log": {"remoteLocation": "sftp://box.example/in", "oldestTimestamp": TIME},
                "retries": 2,
            },
        ),
        reply={"status": "AcceptedCanceled", "filename": "log.txt"},
        status="AcceptedCanceled",
    ),
    Case(
        Verb.UPDATE_FIRMWARE,
        {"url": "https://box.example/fw", "retrieve_at": TIME, "retry_interval_s": 60},
        ("UpdateFirmware", {"location": "https://box.example/fw", "retrieveDate": TIME, "retryInterval": 60}),
        (
            "UpdateFirmware",
            {
                "requestId": ANY,
                "firmware": {"location": "https://box.example/fw", "retrieveDateTime": TIME},
                "retryInterval": 60,
            },
        ),
        replies={"1.6": {}},
    ),
    Case(
        Verb.UPDATE_FIRMWARE,
        {
            "url": "https://box.example/fw",
            "retrieve_at": TIME,
            "install_at": TIME,
            "signing_certificate": PEM,
            "signature": "c2ln",
            "request_id": 9,
        },
        (
            "SignedUpdateFirmware",
            {
                "requestId": 9,
                "firmware": {
                    "location": "https://box.example/fw",
                    "retrieveDateTime": TIME,
                    "installDateTime": TIME,
                    "signingCertificate": PEM,
                    "signature": "c2ln",
                },
            },
        ),
        (
            "UpdateFirmware",
            {
                "requestId": 9,
                "firmware": {
                    "location": "https://box.example/fw",
                    "retrieveDateTime": TIME,
                    "installDateTime": TIME,
                    "signingCertificate": PEM,
                    "signature": "c2ln",
                },
            },
        ),
        reply={"status": "InvalidCertificate"},
        status="InvalidCertificate",
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
    Case(
        Verb.INSTALL_CERTIFICATE,
        {"type": "CSMSRootCertificate", "certificate": PEM},
        ("InstallCertificate", {"certificateType": "CentralSystemRootCertificate", "certificate": PEM}),
        ("InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": PEM}),
    ),
    Case(
        Verb.INSTALL_CERTIFICATE,
        {"type": "OEMRootCertificate", "certificate": PEM},
        None,
        None,
        ("InstallCertificate", {"certificateType": "OEMRootCertificate", "certificate": PEM}),
    ),
    Case(
        Verb.DELETE_CERTIFICATE,
        HASHES,
        ("DeleteCertificate", {"certificateHashData": WIRE_HASHES}),
        ("DeleteCertificate", {"certificateHashData": WIRE_HASHES}),
        reply={"status": "NotFound"},
        status="NotFound",
        ok=False,
    ),
    Case(
        Verb.GET_INSTALLED_CERTIFICATES,
        {"types": ["CSMSRootCertificate"]},
        ("GetInstalledCertificateIds", {"certificateType": "CentralSystemRootCertificate"}),
        ("GetInstalledCertificateIds", {"certificateType": ["CSMSRootCertificate"]}),
        reply={"status": "NotFound"},
        status="NotFound",
        ok=False,
    ),
    Case(
        Verb.CERTIFICATE_SIGNED,
        {"chain": PEM, "type": "ChargingStationCertificate"},
        ("CertificateSigned", {"certificateChain": PEM}),
        ("CertificateSigned", {"certificateChain": PEM, "certificateType": "ChargingStationCertificate"}),
    ),
]


async def charge(station: Any) -> None:
    """A session on EVSE 1: transaction 1 of 1.6, tx-1 of 2.x."""
    if station.version == "1.6":
        await station.tell("StartTransaction", connector_id=1, id_tag="T1", meter_start=100, timestamp=TIME)
        return
    await station.tell(
        "TransactionEvent",
        event_type="Started",
        timestamp=TIME,
        trigger_reason="CablePluggedIn",
        seq_no=0,
        transaction_info={"transaction_id": "tx-1"},
        evse={"id": 1, "connector_id": 1},
    )


@pytest.mark.parametrize("version", TABLES)
async def test_each_command_is_sent_in_the_stations_words_and_brings_its_own_answer(
    csms: Start, peer: Start, version: str
) -> None:
    site = await csms(rules=OPEN)
    station = await peer(site, version)
    await charge(station)
    for case in CASES:
        sent = case.sent(version)
        sent = sent if isinstance(sent, list | None) else [sent]
        for action, _ in sent or ():
            station.replies[action] = case.replies.get(version, case.reply)
        station.asked.clear()
        answer = await site.command(case.verb, **case.args)
        assert station.asked == (sent or []), case
        if sent is None:
            assert (answer.status, answer.ok) == ("NotSupported", False), (case, answer)
            assert "OCPP" in answer.reason, answer
            continue
        assert (answer.status.startswith(case.status), answer.ok) == (True, case.ok), (case, answer)
        json.dumps(answer.data)


def test_every_verb_has_a_case_for_every_version_and_is_in_every_table() -> None:
    assert {case.verb for case in CASES} == set(Verb)
    for table in TABLES.values():
        assert set(table) == set(Verb)
    unable = {
        version: {verb for verb, run in table.items() if isinstance(run, str)} for version, table in TABLES.items()
    }
    assert unable["2.1"] == set()
    assert unable["2.0.1"] == {Verb.SET_TARIFF}
    assert unable["1.6"] == {Verb.GET_REPORT, Verb.SET_MONITORING, Verb.SET_DISPLAY_MESSAGE, Verb.SET_TARIFF}


@pytest.mark.parametrize("version", TABLES)
async def test_whatever_the_station_does_is_told_of_each_command(csms: Start, peer: Start, version: str) -> None:
    site = await csms(rules=OPEN, call_timeout_s=0.2)
    station = await peer(site, version)
    await charge(station)
    seen = set()
    for case in CASES:
        sent = case.sent(version)
        if sent is None or case.verb in seen:
            continue
        seen.add(case.verb)
        [(action, _), *_] = sent if isinstance(sent, list) else [sent]
        station.replies[action] = NotSupportedError("no")
        answer = await site.command(case.verb, **case.args)
        assert (answer.status, answer.ok) == ("NotSupported", False), (case.verb, answer)
        assert action in answer.reason
        station.replies[action] = InternalError("it burns")
        answer = await site.command(case.verb, **case.args)
        assert (answer.status, answer.ok) == ("Error", False), (case.verb, answer)
        assert "it burns" in answer.reason or "InternalError" in answer.reason
    station.replies["ClearCache"] = lambda payload: asyncio.sleep(0.4, OK)
    answer = await site.command(Verb.CLEAR_CACHE)
    assert (answer.status, answer.reason) == ("Timeout", "the station did not answer ClearCache in time")


@pytest.mark.parametrize("version", TABLES)
async def test_a_broken_answer_is_the_stations_fault_and_not_an_arguments(
    csms: Start, peer: Start, version: str
) -> None:
    site = await csms()
    station = await peer(site, version)

    async def broken(payload: Any) -> Any:
        frame = [3, station.last_id, {"status": "Perhaps"}]
        await station.socket.send(json.dumps(frame))
        await asyncio.sleep(0.05)
        return OK

    station.replies["ClearCache"] = broken
    answer = await site.command(Verb.CLEAR_CACHE)
    assert (answer.status, "broken" in answer.reason) == ("Error", True), answer


WRONG: list[tuple[Verb, dict[str, Any], str]] = [
    (Verb.START, {}, "token: missing"),
    (Verb.START, {"token": ""}, "token"),
    (Verb.START, {"token": "T", "token_type": "NoAuthorization"}, "token"),
    (Verb.START, {"token": "T", "evseId": 1}, "evseId: no such argument"),
    (Verb.START, {"token": 5}, "token: expected text, got int"),
    (Verb.STOP, {}, "session or evse"),
    (Verb.UNLOCK, {"evse": True}, "evse: expected an integer"),
    (Verb.UNLOCK, {"evse": 0}, "evse: expected 1 to 999"),
    (Verb.SET_LIMIT, {"limit": "6"}, "limit: expected a number"),
    (Verb.SET_LIMIT, {"limit": -1}, "limit: expected 0"),
    (Verb.CHANGE_AVAILABILITY, {"operative": "yes"}, "operative: expected true or false"),
    (Verb.CHANGE_AVAILABILITY, {"operative": True, "connector": 1}, "connector"),
    (Verb.TRIGGER, {"message": "Heartbeat", "custom": "x"}, "custom"),
    (Verb.GET_CONFIG, {"keys": "HeartbeatInterval"}, "keys: expected a list"),
    (Verb.SET_CONFIG, {"key": "K", "value": ["x"]}, "value: expected text"),
    (Verb.SET_CONFIG, {"key": "K" * 51, "value": "v"}, ""),
    (Verb.GET_VARIABLES, {"variables": []}, "variables: expected 1"),
    (Verb.SET_VARIABLES, {"variables": [{"component": "C", "variable": "V"}]}, "variables[0].value: missing"),
    (Verb.GET_REPORT, {"criteria": ["Problem"]}, "criteria"),
    (Verb.GET_REPORT, {"report": "Variables", "criteria": ["DeltaMonitoring"]}, "criteria"),
    (Verb.SET_MONITORING, {"level": 3, "base": "All"}, "exactly one"),
    (Verb.GET_LOG, {"url": "file:///etc/passwd"}, "url: expected a URL of https"),
    (Verb.UPDATE_FIRMWARE, {"url": "http://127.1/fw"}, "loopback"),
    (Verb.UPDATE_FIRMWARE, {"url": "https://x.example/fw", "signature": "c2ln"}, "both or neither"),
    (Verb.UPDATE_FIRMWARE, {"url": "https://x.example/fw", "retrieve_at": "tomorrow"}, "retrieve_at: expected a time"),
    (Verb.RESERVE, {"token": "T", "evse": 1, "expires": "2026-11-23T18:30:00"}, "expires: expected a time with a zone"),
    (Verb.COST_UPDATED, {"evse": 1}, "cost: missing"),
    (Verb.SET_DISPLAY_MESSAGE, {}, "message, id"),
    (Verb.SET_TARIFF, {"currency": "EUR"}, "per_kwh"),
    (Verb.SET_TARIFF, {"tariff": {"currency": "EUR", "energy": {}}}, "/tariff/energy"),
    (Verb.DELETE_CERTIFICATE, HASHES | {"hash_algorithm": "MD5"}, "hash_algorithm: expected SHA256"),
]


@pytest.mark.parametrize("version", TABLES)
async def test_a_wrong_argument_is_invalid_and_the_station_is_not_asked(csms: Start, peer: Start, version: str) -> None:
    site = await csms(rules=OPEN)
    station = await peer(site, version)
    await charge(station)
    for verb, args, why in WRONG:
        answer = await site.command(verb, **args)
        if isinstance(TABLES[version][verb], str):
            assert answer.status == "NotSupported"
            continue
        assert (answer.status, answer.ok, why in answer.reason) == ("Invalid", False, True), (verb, args, answer)
    assert station.asked == []
