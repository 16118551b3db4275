"""The judge of explanations and repairs finds what jsonschema finds, all of it, and never says more."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from itertools import islice

import jsonschema
import orjson
import pytest
from ocpp_cases import Cases, by_digits

from evcore.core.ocpp import is_date_time
from evcore.ocpp.judge import Judge
from evcore.ocpp.repairs_values import parse
from evcore.ocpp.schemas import VERSIONS, Schema, schemas_of
from evcore.ocpp.violations import CODES, path_text, spell

CASES = 20  # of each of the 387 schemas


def found_by_jsonschema(schema: Schema, text: bytes) -> set[tuple[str, str]]:
    """(code, path) of every violation; the place of a missing or surplus member is its own."""
    payload = parse(text) if by_digits(schema) else orjson.loads(text)
    payload = {} if payload is None else payload
    draft = jsonschema.validators.validator_for(schema.root)  # by its $schema: 4 or 6
    root = json.loads(json.dumps(schema.root), parse_float=Decimal)
    found = set()
    with localcontext(prec=400):
        for error in draft(root).iter_errors(payload):
            here, rule = tuple(error.absolute_path), str(error.validator)
            places = [here]
            if rule == "required":
                places = [(*here, name) for name in error.validator_value if name not in error.instance]
            elif rule == "additionalProperties":
                places = [(*here, name) for name in error.instance if name not in error.schema.get("properties", {})]
            found |= {(spell(schema.version, CODES[rule]), path_text(place)) for place in places}
    return found


def is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize("version", VERSIONS)
def test_every_violation_is_found_and_nothing_else(version: str) -> None:
    seen = 0
    for kind, action in sorted(schemas_of(version).messages):
        schema = schemas_of(version).get(kind, action)
        assert schema is not None
        for case in islice(Cases(schema, 7), CASES):
            if case.beyond or not is_json(
                case.text
            ):  # the codec refuses these as limit or int64 before they are judged
                continue
            payload = parse(case.text)
            payload = {} if payload is None else payload
            expected = found_by_jsonschema(schema, case.text)
            judge = Judge(version, limit=10_000)
            assert repr(judge.judge(schema.root, payload)) == repr(payload), "who mends nothing changes nothing"
            ours = {(violation.code, violation.path) for violation in judge.violations}
            assert ours <= expected, (action, case.text[:200])
            untold = {path for _, path in expected} - {path for _, path in ours}
            # a value of the wrong type has one violation, whatever else its schema says of the right type
            wrong = tuple(f"{path}/" for code, path in ours if code == "TypeConstraintViolation")
            assert all(path.startswith(wrong) for path in untold), (action, case.text[:200])
            seen += bool(ours)
    assert seen > CASES * 10


def test_a_thousand_violations_are_counted_and_a_hundred_told() -> None:
    schema = schemas_of("1.6").get("request", "Heartbeat")
    assert schema is not None
    judge = Judge("1.6")
    judge.judge(schema.root, {f"m{n}": 1 for n in range(1000)})
    assert judge.found == 1000
    assert len(judge.violations) == 100


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T18:30:37Z",
        "2026-11-23T18:30:37.1240977+02:00",
        "2024-02-29T00:00:00-12:30",
        "2016-12-31T23:59:60Z",
        "1985-04-12T23:20:50.52z",
        "2026-11-23t18:30:37Z",
    ],
)
def test_these_are_times(text: str) -> None:
    assert is_date_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "2026-11-23T18:30Z",
        "2026-11-23T18:30:37",
        "2026-11-23T18:30:37+02",
        "2026-11-23T18:30:37+0200",
        "2022-02-29T07:02:33Z",
        "2026-13-01T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T18:60:00Z",
        "2026-11-23T18:30:61Z",
        "2026-11-23T18:30:37.Z",
        "2026-11-23T18:30:37Z\n",
        "２026-11-23T18:30:37Z",
        "222222017-10-27T00:00:00Z",
        "AnyStringHere100",
    ],
)
def test_these_are_none(text: str) -> None:
    assert not is_date_time(text)
