"""The table from rules to error codes, row by row, in the spelling of both generations."""

import json
from typing import Any

import pytest

from evcore.core.ocpp_schema import Tables
from evcore.errors import PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.violations import CODES

SCHEMA = {
    "$schema": "http://json-schema.org/draft-06/schema#",
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 2, "maxLength": 4},
        "kind": {"type": "string", "enum": ["A", "B"]},
        "n": {"type": "number", "minimum": -1, "maximum": 2.5, "multipleOf": 0.1},
        "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        "time": {"type": "string", "format": "date-time"},
    },
    "required": ["id"],
    "additionalProperties": False,
}

# rule -> what breaks it in {"id": "ok"}, the place, what was expected and what was there.
ROWS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "required": ({"id": ...}, "/id", "a value", "nothing"),
    "minItems": ({"list": []}, "/list", "1 or more items", "0"),
    "maxItems": ({"list": [1, 2, 3]}, "/list", "at most 2 items", "3"),
    "type": ({"list": [1, "two"]}, "/list/1", "integer", "a string of 3 characters"),
    "enum": ({"kind": "C"}, "/kind", "one of A, B", "'C'"),
    "minLength": ({"id": "é"}, "/id", "2 or more characters", "1"),
    "maxLength": ({"id": "ééééé"}, "/id", "at most 4 characters", "5"),
    "format": ({"time": "now"}, "/time", "a date-time", "a string of 3 characters"),
    "minimum": ({"n": -2}, "/n", "-1 or more", "-2"),
    "maximum": ({"n": 2.6}, "/n", "at most 2.5", "2.6"),
    "multipleOf": ({"n": 0.25}, "/n", "a multiple of 0.1", "0.25"),
    "additionalProperties": ({"more": {}}, "/more", "no such member", "an object"),
}  # fmt: skip


@pytest.fixture(params=["1.6", "2.0.1"])
def codec(request: pytest.FixtureRequest) -> Codec:
    """A codec whose one action has the schema above."""
    codec = Codec(request.param)
    tables = Tables(request.param, [("request", "Test")], lambda kind, action: SCHEMA, str)
    super(Codec, codec).__init__(tables, 0b11100, codec.limits, formats=True)
    return codec


def test_the_table_has_no_other_rows() -> None:
    assert set(ROWS) == set(CODES)


@pytest.mark.parametrize("rule", ROWS)
def test_each_rule_has_its_code_its_place_and_its_words(codec: Codec, rule: str) -> None:
    change, path, expected, got = ROWS[rule]
    payload = {name: value for name, value in {"id": "ok", **change}.items() if value is not ...}
    assert codec.check(b'[2,"1","Test",{"id":"ok"}]').type == 2
    with pytest.raises(PayloadError) as caught:
        codec.check(json.dumps([2, "1", "Test", payload]))
    error = caught.value
    code = CODES[rule]
    if codec.version == "1.6":
        code = {
            "FormatViolation": "FormationViolation",
            "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
        }.get(code, code)
    assert (error.code, error.path, error.expected, error.got) == (code, path, expected, got)
    assert (error.id, error.action, error.type) == ("1", "Test", 2)


def test_a_callerror_has_room_for_the_word_that_was_wrong() -> None:
    value = '{"connectorId":1,"meterValue":[{"timestamp":"x","sampledValue":[{"value":"1","measurand":"XYZ"}]}]}'
    with pytest.raises(PayloadError) as caught:
        Codec("1.6").check(f'[2,"a","MeterValues",{value}]')
    assert str(caught.value).endswith("(22 in all), got 'XYZ'")
    assert len(str(caught.value)) <= 255


def test_the_payload_itself_has_no_place() -> None:
    with pytest.raises(PayloadError, match=r"^NotImplemented: expected a known action, got .Nope.$"):
        Codec("1.6").check('[2,"1","Nope",{}]')
