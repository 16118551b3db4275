"""mobilityhouse accelerated is mobilityhouse: the same answers, the same exceptions, sooner."""

from __future__ import annotations

import copy
import json
from decimal import localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp import charge_point, messages
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp_cases import is_read_alike

from evcore.ocpp import accelerate

ORIGINAL = (messages._validate_payload, charge_point.camel_to_snake_case, charge_point.snake_to_camel_case)


@pytest.fixture
def accelerated():
    restore = accelerate()
    yield
    restore()
    assert (messages._validate_payload, *ORIGINAL[1:]) == ORIGINAL
    assert messages.ASYNC_VALIDATION is True


def judged(judge, kind, action, payload, version):
    """What a judge says of a message, and what it has made of its payload."""
    message = messages.Call("1", action, payload) if kind == "request" else messages.CallResult("1", payload, action)
    try:
        with localcontext(prec=400):  # of which its own remainder of 1e300 by 0.1 needs 301
            judge(message, version)
    except Exception as error:
        return type(error), getattr(error, "description", None), message.payload
    return message.payload


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_it_judges_as_before(every_schema, make_payload, changed_payload, seed):
    restore = accelerate()
    try:
        ours = messages._validate_payload
        for version, kind, schema in every_schema[seed % 37 :: 37]:
            payload = make_payload(schema, seed)
            if seed % 2:
                payload = changed_payload(schema, seed)
            if kind == "send" or not is_read_alike(schema, payload):
                continue
            results = [
                judged(judge, kind, schema.action, copy.deepcopy(payload), version) for judge in (ours, ORIGINAL[0])
            ]
            assert results[0] == results[1], (schema, payload)
    finally:
        restore()


@pytest.mark.parametrize(
    "payload", [None, [], 7, {"a": float("nan")}, {"a": 1 << 70}, {"\ud800": 1}, {"a": object()}, {1: 2}]
)
def test_what_is_no_json_is_left_to_mobilityhouse(accelerated, payload):
    for judge in (messages._validate_payload, ORIGINAL[0]):
        result = judged(judge, "request", "Heartbeat", payload, "1.6")
        assert isinstance(result, tuple)


def test_what_mobilityhouse_does_not_judge_it_still_does_not(accelerated):
    with pytest.raises(messages.ValidationError):
        messages._validate_payload(messages.CallError("1", "GenericError", ""), "1.6")
    with pytest.raises(ValueError):
        messages._validate_payload(messages.Call("1", "Heartbeat", {}), "9.9")


KEYS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,12}", fullmatch=True)
VALUES = st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda x: st.lists(x) | st.dictionaries(KEYS, x))


@settings(max_examples=30, deadline=None)
@given(value=VALUES)
def test_names_are_converted_as_before(value):
    restore = accelerate()
    try:
        for _ in range(2):  # the second time from the table
            assert charge_point.camel_to_snake_case(value) == ORIGINAL[1](value)
            assert charge_point.snake_to_camel_case(value) == ORIGINAL[2](value)
    finally:
        restore()


def test_twice_is_once(accelerated):
    inside = messages._validate_payload
    accelerate()
    assert messages._validate_payload is inside


async def test_a_charge_point_answers_as_before(accelerated):
    sent = []

    class Connection:
        async def send(self, text):
            sent.append(json.loads(text))

    class Point(ChargePoint):
        @on("Heartbeat")
        def on_heartbeat_accelerated(self):
            return call_result.Heartbeat(current_time="2026-11-23T18:00:00Z")

    point = Point("CP", Connection())
    await point.route_message('[2,"1","Heartbeat",{}]')
    await point.route_message('[2,"2","Heartbeat",{"surplus":1}]')
    assert sent[0] == [3, "1", {"currentTime": "2026-11-23T18:00:00Z"}]
    assert sent[1][:3] == [4, "2", "FormatViolation"]
