"""OCPP bytes to a validated payload, and the check alone (rows 1, 2 and 3 of the targets).

decode: evcore gives the parts of the message, the payload judged by its schema, under snake names. mobilityhouse does
the same: `unpack`, `_validate_payload` (in this thread, its fastest way), `camel_to_snake_case`.
orjson_jsonschema_rs is the best pair of libraries: `orjson.loads` and `is_valid`, which says yes or no, gives no reason
and renames nothing. orjson is `orjson.loads` alone, which judges nothing.

check: evcore judges the bytes and builds no payload, for messages that are passed on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any

import jsonschema_rs
import orjson
import pytest
from ocpp import messages
from ocpp.charge_point import camel_to_snake_case
from ocpp_messages import MESSAGES

from evcore.errors import PayloadError
from evcore.ocpp import Codec


def payload_of_mobilityhouse(version: str, text: str) -> Any:
    call = messages.unpack(text)
    messages._validate_payload(call, version)
    return camel_to_snake_case(call.payload)


def payload_of_evcore(codec: Codec, data: bytes) -> Any:
    return codec.decode(data).payload


def payload_of_the_pair(is_valid: Callable[[Any], bool], data: bytes) -> Any:
    message = orjson.loads(data)
    if not is_valid(message[3]):
        raise ValueError(message)
    return message[3]


def is_valid(version: str, action: str) -> Callable[[Any], bool]:
    folder, name = ("v16", action) if version == "1.6" else ("v201", f"{action}Request")
    text = (resources.files("ocpp") / folder / "schemas" / f"{name}.json").read_text("utf-8-sig")
    return jsonschema_rs.validator_for(orjson.loads(text)).is_valid


# Contestant: for a version and an action, the call that is timed and what gives the payload.
def by_evcore(version: str, action: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    codec = Codec(version)
    return codec.decode, functools.partial(payload_of_evcore, codec)


def by_mobilityhouse(version: str, action: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    call = functools.partial(payload_of_mobilityhouse, version)
    return call, call


def by_the_pair(version: str, action: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    call = functools.partial(payload_of_the_pair, is_valid(version, action))
    return call, lambda data: camel_to_snake_case(call(data))


def by_orjson(version: str, action: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    return orjson.loads, lambda data: camel_to_snake_case(orjson.loads(data)[3])


DECODERS = {
    "evcore": by_evcore,
    "mobilityhouse": by_mobilityhouse,
    "orjson_jsonschema_rs": by_the_pair,
    "orjson": by_orjson,
}


@pytest.mark.parametrize("contestant", DECODERS)
@pytest.mark.parametrize("work", MESSAGES)
def test_decode(benchmark: Any, work: str, contestant: str) -> None:
    benchmark.group = f"ocpp decode: {work}"
    version, message = MESSAGES[work]
    call, payload = DECODERS[contestant](version, message[2])
    data = orjson.dumps(message)
    form = data.decode() if contestant == "mobilityhouse" else data
    assert payload(form) == camel_to_snake_case(message[3])
    benchmark(call, form)


@pytest.mark.parametrize("contestant", ["evcore", "orjson"])
@pytest.mark.parametrize("work", MESSAGES)
def test_check(benchmark: Any, work: str, contestant: str) -> None:
    benchmark.group = f"ocpp check: {work}"
    version, message = MESSAGES[work]
    data = orjson.dumps(message)
    codec = Codec(version)
    assert codec.check(data).action == message[2]
    with pytest.raises(PayloadError):
        codec.check(orjson.dumps([*message[:3], {**message[3], "surplus": 1}]))
    benchmark(codec.check if contestant == "evcore" else orjson.loads, data)
