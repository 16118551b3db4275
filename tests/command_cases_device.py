"""What each command of the model becomes in the words of each version: those of the station as a device."""

from __future__ import annotations

from typing import Any

from command_cases import ANY, OK, TIME, Case

from evcore.model import Verb

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
HASHES = {"issuer_name_hash": "aa", "issuer_key_hash": "bb", "serial_number": "01"}
WIRE_HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "01"}
HEARTBEAT = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
WIRE_HEARTBEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
LOG = (
    "GetLog",
    {
        "logType": "SecurityLog",
        "requestId": 7,
        "log": {"remoteLocation": "sftp://box.example/in", "oldestTimestamp": TIME},
        "retries": 2,
    },
)
FIRMWARE = {
    "location": "https://box.example/fw",
    "retrieveDateTime": TIME,
    "installDateTime": TIME,
    "signingCertificate": PEM,
    "signature": "c2ln",
}


def result(status: str, **more: Any) -> dict[str, Any]:
    return {"attribute_status": status, "component": {"name": "C"}, "variable": {"name": "V"}} | more


DEVICE = [
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
        LOG,
        LOG,
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
                "firmware": FIRMWARE,
            },
        ),
        (
            "UpdateFirmware",
            {
                "requestId": 9,
                "firmware": FIRMWARE,
            },
        ),
        reply={"status": "InvalidCertificate"},
        status="InvalidCertificate",
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
