"""OCPP frames: finding the parts of a message and checking that it is JSON, against parsing it.

evcore: `scan`, nothing built but the frame. orjson: `orjson.loads` of the whole message. mobilityhouse:
`ocpp.messages.unpack`, which parses with the standard library and makes its message object; it does not validate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from ocpp import messages

from evcore.core.ocpp import scan

_TIME = "2026-11-23T18:00:00Z"
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
_ID = "b9e0a2a4-7f1c-4bb7-8f0c-2f6a3f0c5a11"

MESSAGES = {
    "Heartbeat": [2, _ID, "Heartbeat", {}],
    "MeterValues, 4 values": [
        2,
        _ID,
        "MeterValues",
        {"connectorId": 1, "transactionId": 4711, "meterValue": [{"timestamp": _TIME, "sampledValue": _SAMPLES_16}]},
    ],
    "TransactionEvent, 4 values": [
        2,
        _ID,
        "TransactionEvent",
        {
            "eventType": "Updated",
            "timestamp": _TIME,
            "triggerReason": "MeterValuePeriodic",
            "seqNo": 12,
            "transactionInfo": {"transactionId": _ID, "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": _TIME, "sampledValue": _SAMPLES_2X}],
        },
    ],
}


def parts_evcore(text: bytes) -> list[Any]:
    frame = scan(text)
    start, end = frame.payload_span or (0, 0)
    return [frame.type, frame.id, frame.action, orjson.loads(text[start:end])]


def parts_mobilityhouse(text: str) -> list[Any]:
    call = messages.unpack(text)
    return [call.message_type_id, call.unique_id, call.action, call.payload]


# Contestant: the call that is timed, the form its transport hands it the message in, the parts it found.
CONTESTANTS: dict[str, tuple[Callable[[Any], Any], Callable[[bytes], Any], Callable[[Any], list[Any]]]] = {
    "evcore": (scan, bytes, parts_evcore),
    "orjson": (orjson.loads, bytes, orjson.loads),
    "mobilityhouse": (messages.unpack, bytes.decode, parts_mobilityhouse),
}


def _bench(benchmark: Any, message: str, contestant: str) -> None:
    call, form, parts = CONTESTANTS[contestant]
    data = form(orjson.dumps(MESSAGES[message]))
    assert parts(data) == MESSAGES[message]
    benchmark(call, data)


@pytest.mark.benchmark(group="ocpp scan: Heartbeat")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_heartbeat(benchmark: Any, contestant: str) -> None:
    _bench(benchmark, "Heartbeat", contestant)


@pytest.mark.benchmark(group="ocpp scan: MeterValues, 4 values")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_meter_values(benchmark: Any, contestant: str) -> None:
    _bench(benchmark, "MeterValues, 4 values", contestant)


@pytest.mark.benchmark(group="ocpp scan: TransactionEvent, 4 values")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_transaction_event(benchmark: Any, contestant: str) -> None:
    _bench(benchmark, "TransactionEvent, 4 values", contestant)
