"""The messages of the OCPP benches: what stations send most, in the usual size (57, 603 and 938 bytes)."""

from __future__ import annotations

from typing import Any

TIME = "2026-11-23T18:00:00Z"
ID = "b9e0a2a4-7f1c-4bb7-8f0c-2f6a3f0c5a11"
_VALUES = [
    ("Energy.Active.Import.Register", "1234567", "Wh"),
    ("Power.Active.Import", "11040", "W"),
    ("Current.Import", "16.0", "A"),
    ("Voltage", "230.1", "V"),
]
_SAMPLES_16 = [
    {"value": value, "context": "Sample.Periodic", "measurand": name, "location": "Outlet", "unit": unit}
    for name, value, unit in _VALUES
]
_SAMPLES_2X = [
    {
        "value": float(value),
        "context": "Sample.Periodic",
        "measurand": name,
        "location": "Outlet",
        "unitOfMeasure": {"unit": unit, "multiplier": 0},
    }
    for name, value, unit in _VALUES
]
METER_VALUES = {
    "connectorId": 1,
    "transactionId": 4711,
    "meterValue": [{"timestamp": TIME, "sampledValue": _SAMPLES_16}],
}
TRANSACTION_EVENT = {
    "eventType": "Updated",
    "timestamp": TIME,
    "triggerReason": "MeterValuePeriodic",
    "seqNo": 12,
    "transactionInfo": {"transactionId": ID, "chargingState": "Charging"},
    "evse": {"id": 1, "connectorId": 1},
    "meterValue": [{"timestamp": TIME, "sampledValue": _SAMPLES_2X}],
}

# Work: version and message.
MESSAGES: dict[str, tuple[str, list[Any]]] = {
    "1.6 Heartbeat": ("1.6", [2, ID, "Heartbeat", {}]),
    "1.6 MeterValues, 4 values": ("1.6", [2, ID, "MeterValues", METER_VALUES]),
    "2.0.1 TransactionEvent, 4 values": ("2.0.1", [2, ID, "TransactionEvent", TRANSACTION_EVENT]),
}
