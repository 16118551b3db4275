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
from ocpp_messages import MESSAGES

from evcore.core.ocpp import scan


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


@pytest.mark.parametrize("contestant", CONTESTANTS)
@pytest.mark.parametrize("work", MESSAGES)
def test_scan(benchmark: Any, work: str, contestant: str) -> None:
    benchmark.group = f"ocpp scan: {work}"
    call, form, parts = CONTESTANTS[contestant]
    _, message = MESSAGES[work]
    data = form(orjson.dumps(message))
    assert parts(data) == message
    benchmark(call, data)
