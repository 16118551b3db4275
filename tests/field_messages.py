"""What chargers in the field really send, in the form of their issues: messages to mend, and messages never to mend."""

from __future__ import annotations

import json
from typing import Any

SAMPLE = {"timestamp": "2026-08-04T13:35:45Z", "sampledValue": [{"value": "1750"}]}


def call(action: str, payload: Any) -> bytes:
    return json.dumps([2, "1", action, payload]).encode()


def meter(**sample: Any) -> bytes:
    """A MeterValues of 1.6 with one sample."""
    return call(
        "MeterValues",
        {"connectorId": 1, "meterValue": [{"timestamp": "2026-08-04T13:35:45Z", "sampledValue": [sample]}]},
    )


def at(payload: Any, path: str) -> Any:
    for step in path.strip("/").split("/") if path else ():
        payload = payload[int(step)] if isinstance(payload, list) else payload[step]
    return payload


GONE = object()
FIRST = "/meterValue/0/sampledValue/0"

# repair, version, message, path into the mended payload, what is there then (GONE: no such member), whose message it is
CASES = [
    (
        "empty_value", "1.6",
        b'[2,"1","MeterValues",{\n "connectorId":1,\n "transactionId":,\n "meterValue":[{"timestamp":'
        b'"2026-08-04T13:35:45Z","sampledValue":[{"value":"1750","measurand":"Energy.Active.Import.Register","unit":"Wh"}]}]}]',
        "/transactionId", GONE, "lbbrhzn/ocpp#2032",
    ),
    (
        "stray_comma", "1.6",
        b'[2,"9lmha8x27fuad8cemfzn5bxr","MeterValues",{"connectorId":1,"transactionId":1707206943,"meterValue":[{"timestamp":'
        b'"2024-02-06T08:09:37Z","sampledValue":[,{"value":"139955","measurand":"Energy.Active.Import.Register"}]}]}]',
        FIRST + "/value", "139955", "lbbrhzn/ocpp#1078",
    ),
    (
        "raw_control", "1.6",
        b'[3,"1986641971",{"configurationKey":[{"key":"SupportedFeatureProfiles","readonly":true,"value":"Core\x00\x07"}]}]',
        "/configurationKey/0/value", "Core\x00\x07", "evcc-io/evcc#3685",
    ),
    ("unclosed", "1.6", b'[3,"64b4a0fc",{"configurationKey":[]', "/configurationKey", [], "lbbrhzn/ocpp#176"),
    (
        "null_left_out", "1.6",
        call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "info": None, "status": "Unavailable",
                                    "timestamp": "2022-01-27T14:42:15.1240977Z"}),
        "/info", GONE, "mobilityhouse/ocpp#296",
    ),
    (
        "empty_left_out", "1.6",
        meter(value="226", measurand="Voltage", unit=""), FIRST + "/unit", GONE, "EVerest/libocpp#808",
    ),
    (
        "number_text", "1.6", meter(value=604.213, measurand="Energy.Active.Import.Register", unit="Wh"),
        FIRST + "/value", "604.213", "lbbrhzn/ocpp#210",
    ),
    (
        "number_text", "1.6",
        b'[3,"1",{"configurationKey":[{"key":"NumberOfConnectors","readonly":true,"value":1}]}]',
        "/configurationKey/0/value", "1", "mobilityhouse/ocpp#707",
    ),
    (
        "number_text", "1.6",
        b'[3,"1",{"configurationKey":[{"key":"LocalAuthListEnabled","readonly":true,"value":false}]}]',
        "/configurationKey/0/value", "false", "mobilityhouse/ocpp#582",
    ),
    (
        "object_text", "1.6",
        call("DataTransfer", {"vendorId": "btc", "messageId": "stationMode", "data": {"StationMode": "paymentMode"}}),
        "/data", '{"StationMode":"paymentMode"}', "mobilityhouse/ocpp#462",
    ),
    (
        "text_number", "1.6",
        call("StatusNotification", {"connectorId": "1", "errorCode": "NoError", "status": "Available"}),
        "/connectorId", 1, "voltbras/go-ocpp#16",
    ),
    (
        "text_boolean", "1.6",
        b'[3,"4010434209",{"configurationKey":[{"key":"AuthorizeRemoteTxRequests","readonly":"true","value":"false"}]}]',
        "/configurationKey/0/readonly", True, "evcc-io/evcc#10339",
    ),
    (
        "number_boolean", "1.6",
        b'[3,"1",{"configurationKey":[{"key":"HeartbeatInterval","readonly":0,"value":"60"}]}]',
        "/configurationKey/0/readonly", False, "evcc-io/evcc#26253",
    ),
    (
        "whole_number", "1.6",
        b'[2,"1","StopTransaction",{"meterStop":26008.0,"timestamp":"2026-06-23T10:00:00Z","transactionId":7}]',
        "/meterStop", 26008, "shiv3/ocpp-cp-simulator#83",
    ),
    (
        "item_list", "1.6",
        call("MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": {
            "timestamp": "2024-04-16T17:28:55.000Z",
            "sampledValue": [{"value": "0.00", "context": "Transaction.Begin", "unit": "kWh"}]}}),
        FIRST + "/unit", "kWh", "lbbrhzn/ocpp#1144",
    ),
    ("enum_spelling", "1.6", meter(value="49.97", measurand="Frequency", unit="Hz"), FIRST + "/unit", "Hertz",
     "lbbrhzn/ocpp#1576"),
    ("enum_spelling", "1.6", meter(value="31", measurand="Temperature", unit="C"), FIRST + "/unit", "Celsius",
     "OpenEVSE/openevse_esp32_firmware#726"),
    (
        "enum_spelling", "1.6",
        call("StatusNotification", {"connectorId": 0, "errorCode": "Error", "status": "Faulted",
                                    "timestamp": "2024-08-03T16:16:55Z"}),
        "/errorCode", "OtherError", "lbbrhzn/ocpp#1248",
    ),
    (
        "enum_other", "1.6",
        call("MeterValues", {"connectorId": 1, "transactionId": 9223372036854775807, "meterValue": [{
            "timestamp": "2020-09-19T15:14:23Z",
            "sampledValue": [{"value": "15.630", "context": "Sample.Periodic", "unit": "A"},
                             {"value": "16.000", "context": "CurrentMax", "unit": "A"}]}]}),
        "/meterValue/0/sampledValue/1/context", "Other", "lbbrhzn/ocpp#361",
    ),
    (
        "cut", "1.6",
        call("BootNotification", {"chargeBoxSerialNumber": "EVB1A22P2KI3N12345678901234567890",
                                  "chargePointModel": "EVlink Smart Wallbox", "chargePointVendor": "Schneider Electric",
                                  "chargePointSerialNumber": "3N123456789F2S1B1234567890"}),
        "/chargePointSerialNumber", "3N123456789F2S1B123456789", "lbbrhzn/ocpp#1622",
    ),
    (
        "unknown_left_out", "1.6", call("Authorize", {"connectorId": 2, "idTag": "043768e29a7"}), "/connectorId", GONE,
        "evcc-io/evcc#14579",
    ),
]  # fmt: skip


NEVER = [
    ("1.6", meter(value="1", measurand="Request.Energy"), "a measurand that nobody knows: mobilityhouse/ocpp#54"),
    ("1.6", meter(value="1", measurand=""), "its default is an energy"),
    ("1.6", meter(value="1", measurand=None), "its default is an energy"),
    ("1.6", meter(value="1", measurand="Energy.Active.Import.Register", unit=""), "Wh or kWh?"),
    ("1.6", meter(value="1", unit=None), "Wh or kWh?"),
    ("1.6", meter(value=None), "a reading of nothing"),
    (
        "1.6",
        call("StopTransaction", {"meterStop": 26008.333, "timestamp": "2026-06-23T10:00:00Z", "transactionId": 7}),
        "rounding is the meter's matter: shiv3/ocpp-cp-simulator#83",
    ),
    (
        "1.6",
        call("StopTransaction", {"meterStop": None, "timestamp": "2026-06-23T10:00:00Z", "transactionId": 7}),
        "a reading of nothing",
    ),
    (
        "1.6",
        call("StopTransaction", {"meterStop": 1, "timestamp": "2026-06-23T10:00:00Z", "transactionId": ""}),
        "which transaction?",
    ),
    ("1.6", call("Authorize", {"idTag": "X16WG99J2QIEGCC0MCJ5-"}), "cut it is another token: lbbrhzn/ocpp#1803"),
    (
        "1.6",
        b'[2,"1","StopTransaction",{"meterStop":1388,"idTag":"BA86I250X5G6MOD5DLKD\x10\x0e","transactionId":1,'
        b'"timestamp":"2026-08-14T11:42:28Z"}]',
        "cut it is another token: lbbrhzn/ocpp#2030",
    ),
    (
        "1.6",
        b'[2,"213","StartTransaction",{"connectorId":2,"idTag":"336699\\","meterStart":33259490,'
        b'"timestamp":"2022-07-28T09:41:15Z"}]',
        "where does the token end? mobilityhouse/ocpp#415",
    ),
    ("1.6", b'[2,"1","MeterValues",{"connectorId":1,"meterValue":[]', "what is lost behind is not known"),
    ("1.6", b'[2,"1","Authorize",{"idTag":12e3}]', "which of its notations is the token?"),
    ("1.6", call("Authorize", {"idtag": "043768E29A7"}), "a misspelled member is no unknown one"),
    (
        "1.6",
        call(
            "StopTransaction",
            {"meterStop": 1, "timestamp": "2026-06-23T10:00:00Z", "transactionId": 1, "IdTag": "043768E29A7"},
        ),
        "a misspelled token would be lost",
    ),
    (
        "2.0.1",
        call("Authorize", {"idToken": {"idToken": "A" * 37, "type": "ISO14443"}}),
        "cut it is another token",
    ),
]
