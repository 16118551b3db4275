"""A payload to the bytes of a validated message (row 4 of the targets).

evcore: `encode_call` and `encode_result`, of payloads with snake names and of the dataclasses of `ocpp`. mobilityhouse
does with both what its ChargePoint does: the dataclass to a dict, Nones out, names to camel case, `_validate_payload`
(in this thread), `to_json`. orjson: `orjson.dumps` alone of the whole message with wire names, which judges nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from ocpp import messages
from ocpp.charge_point import camel_to_snake_case, remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import call as call201
from ocpp_messages import ID, METER_VALUES, TIME, TRANSACTION_EVENT

from evcore.ocpp import Codec

# Work: version, message type, action, wire payload, the dataclass of it.
WORK: dict[str, tuple[str, int, str, dict[str, Any], Callable[..., Any]]] = {
    "1.6 Heartbeat result": ("1.6", 3, "Heartbeat", {"currentTime": TIME}, result16.Heartbeat),
    "1.6 MeterValues call, 4 values": ("1.6", 2, "MeterValues", METER_VALUES, call16.MeterValues),
    "2.0.1 TransactionEvent call, 4 values": (
        "2.0.1",
        2,
        "TransactionEvent",
        TRANSACTION_EVENT,
        call201.TransactionEvent,
    ),
}


def by_evcore(version: str, type: int, action: str) -> Callable[[Any], bytes]:
    codec = Codec(version)
    encode = codec.encode_call if type == 2 else codec.encode_result
    return lambda payload: encode(ID, action, payload)


def by_mobilityhouse(version: str, type: int, action: str) -> Callable[[Any], str]:
    def encode(payload: Any) -> str:
        if not isinstance(payload, dict):
            payload = remove_nones(serialize_as_dict(payload))
        payload = snake_to_camel_case(payload)
        message = messages.Call(ID, action, payload) if type == 2 else messages.CallResult(ID, payload, action)
        messages._validate_payload(message, version)
        return message.to_json()

    return encode


def by_orjson(version: str, type: int, action: str) -> Callable[[Any], bytes]:
    head = [2, ID, action] if type == 2 else [3, ID]
    return lambda payload: orjson.dumps([*head, payload])


def interned(value: Any) -> Any:
    """The names as those of a dict literal are in a program: each one object."""
    if isinstance(value, dict):
        return {sys.intern(name): interned(member) for name, member in value.items()}
    return [interned(item) for item in value] if isinstance(value, list) else value


def _bench(benchmark: Any, make: Callable[..., Any], work: str, form: str) -> None:
    version, type, action, wire, dataclass = WORK[work]
    snake = interned(camel_to_snake_case(wire))
    payload = {"wire": wire, "snake": snake, "dataclass": dataclass(**snake)}[form]
    encode = make(version, type, action)
    assert orjson.loads(encode(payload)) == ([2, ID, action, wire] if type == 2 else [3, ID, wire])
    benchmark(encode, payload)


@pytest.mark.parametrize("contestant", ["evcore", "mobilityhouse", "orjson"])
@pytest.mark.parametrize("work", WORK)
def test_encode_a_mapping(benchmark: Any, work: str, contestant: str) -> None:
    benchmark.group = f"ocpp encode: {work}"
    make = {"evcore": by_evcore, "mobilityhouse": by_mobilityhouse, "orjson": by_orjson}[contestant]
    _bench(benchmark, make, work, "wire" if contestant == "orjson" else "snake")


@pytest.mark.parametrize("contestant", ["evcore", "mobilityhouse"])
@pytest.mark.parametrize("work", WORK)
def test_encode_a_dataclass(benchmark: Any, work: str, contestant: str) -> None:
    benchmark.group = f"ocpp encode: {work}, of a dataclass"
    _bench(benchmark, by_evcore if contestant == "evcore" else by_mobilityhouse, work, "dataclass")
