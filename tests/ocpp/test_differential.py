"""The differential: jsonschema against `check`, `decode` and `encode_*`, on payloads from every schema there is.

`make test` asks for 10^5 verdicts, always the same ones; `make fuzz` for 10^6 of a new seed (EVCORE_VERDICTS,
EVCORE_SEED). Draft 4 judges 1.6 and draft 6 judges 2.x, as the schemas say; where there is a `multipleOf`, numbers
are judged by their digits. What is refused for a limit, or for an integer of more than 64 bits, is counted apart.
"""

import json
import marshal
import os
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, localcontext
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from ocpp_cases import Case, Cases, by_digits

from evcore.errors import FrameError, PayloadError
from evcore.ocpp import Codec, Limits
from evcore.ocpp.names import snake
from evcore.ocpp.schemas import VERSIONS, Schema, schemas_of
from evcore.ocpp.violations import CODES, spell

VERDICTS = int(os.environ.get("EVCORE_VERDICTS", "100000"))
SEED = os.environ.get("EVCORE_SEED", "0")
MEMBERS = 6427  # paths in all schemas, the roots included
PARTS = 20
APART = {"limit", "int64"}
TYPES = {"request": 2, "response": 3, "send": 6}


class Judge:
    """jsonschema's verdict on the payload of a case."""

    def __init__(self, schema: Schema) -> None:
        draft = jsonschema.validators.validator_for(schema.root)  # by its $schema: 4 or 6
        self.schema = schema
        self.validator = draft(_decimals(schema.root) if by_digits(schema) else schema.root)

    def read(self, text: bytes) -> Any:
        """The payload as it is judged, {} for null; raises JSONDecodeError where orjson does."""
        payload = orjson.loads(text)
        if by_digits(self.schema):
            payload = json.loads(text, parse_float=Decimal)
        return {} if payload is None else payload

    def is_valid(self, text: bytes) -> bool:
        with localcontext(prec=400):  # of which its own remainder of 1e300 by 0.1 needs 301
            return bool(self.validator.is_valid(self.read(text)))

    def violations(self, text: bytes) -> set[tuple[str, str]]:
        """(code, path) of every violation, a wrong one for each missing or surplus member."""
        found = set()
        with localcontext(prec=400):
            for error in self.validator.iter_errors(self.read(text)):
                path = "".join("/" + _escape(str(part)) for part in error.absolute_path)
                code = spell(self.schema.version, CODES[error.validator])
                names: list[str] = []
                if error.validator == "required":
                    names = [name for name in error.validator_value if name not in error.instance]
                elif error.validator == "additionalProperties":
                    names = [name for name in error.instance if name not in error.schema.get("properties", ())]
                found.update((code, f"{path}/{_escape(name)}") for name in names)
                if not names:
                    found.add((code, path))
        return found


def _decimals(schema: dict[str, Any]) -> Any:
    return json.loads(json.dumps(schema), parse_float=Decimal)


def _escape(name: str) -> str:
    name = name if len(name) <= 40 else name[:37] + "..."
    return name.replace("~", "~0").replace("/", "~1")


def snaked(node: dict[str, Any], value: Any) -> Any:
    """The payload under snake names where the schema names the members, customData and free data as they are."""
    if isinstance(value, list):
        return [snaked(node.get("items", {}), item) for item in value]
    if not isinstance(value, dict) or node.get("additionalProperties", True) is not False:
        return value
    known = node.get("properties", {})
    return {snake(name) if name in known else name: snaked(known.get(name, {}), item) for name, item in value.items()}


def same(left: Any, right: Any) -> bool:
    """Equal in type, digits, sign of zero and order of members too."""
    return marshal.dumps(left, 2) == marshal.dumps(right, 2)


class Sides:
    """One schema, judged by both."""

    def __init__(self, schema: Schema, kind: str) -> None:
        self.schema, self.kind, self.judge = schema, kind, Judge(schema)
        self.codec = Codec(schema.version, limits=Limits(size=1 << 22))
        encode = {
            "request": self.codec.encode_call,
            "response": self.codec.encode_result,
            "send": self.codec.encode_send,
        }
        self.encode = encode[kind]
        head = [TYPES[kind], "1"] if kind == "response" else [TYPES[kind], "1", schema.action]
        self.head = orjson.dumps(head)[:-1] + b","
        self.action = schema.action if kind == "response" else None

    def verdict(self, case: Case, *, thorough: bool) -> str:
        """One word for what both say; AssertionError where they differ."""
        message = self.head + case.text + b"]"
        try:
            expected = self.judge.is_valid(case.text)
        except orjson.JSONDecodeError:
            expected = None
        checked = outcome(self.codec.check, message, action=self.action)
        decoded = outcome(self.codec.decode, message, action=self.action)
        if isinstance(checked, (FrameError, PayloadError)):
            assert (type(checked), str(checked)) == (type(decoded), str(decoded))
        if isinstance(checked, FrameError):
            if checked.reason in APART and case.beyond:
                return "apart"
            assert expected is None or (expected is False and checked.reason == "payload"), checked
            return "no frame"
        if isinstance(checked, PayloadError):
            assert expected is False, checked
            if thorough:
                assert (checked.code, checked.path) in self.judge.violations(case.text), checked
            if not case.beyond:
                self._is_never_written(self.judge.read(case.text), checked)
            return "refused"
        assert expected is True
        payload = orjson.loads(case.text) or {}
        assert same(self.codec.decode(message, names="wire", action=self.action).payload, payload)
        assert same(decoded.payload, snaked(self.schema.root, payload))
        self._comes_back(payload, decoded.payload)
        return "valid"

    def _comes_back(self, payload: Any, snake_payload: Any) -> None:
        """What was read, written under either names, is read again."""
        written = self.encode("1", self.schema.action, payload)
        assert self.encode("1", self.schema.action, snake_payload) == written
        assert same(self.codec.decode(written, names="wire", action=self.action).payload, payload)

    def _is_never_written(self, payload: Any, refusal: PayloadError) -> None:
        """And the refusal is that of the reader. A Decimal has no spelling: 12.5E1 is written as 125."""
        found = outcome(self.encode, "1", self.schema.action, payload)
        if isinstance(found, PayloadError):
            assert (found.code, found.path, found.expected) == (refusal.code, refusal.path, refusal.expected)
            assert (found.id, found.action, found.type) == (refusal.id, refusal.action, refusal.type)
        else:
            assert by_digits(self.schema)
            assert self.judge.is_valid(found[len(self.head) : -1])


def outcome(call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """What it returns or which of our errors it raises."""
    try:
        return call(*arguments, **more)
    except (FrameError, PayloadError) as error:
        return error


def every_side() -> list[Sides]:
    found = []
    for version in VERSIONS:
        for kind, action in sorted(schemas_of(version).messages):
            schema = schemas_of(version).get(kind, action)
            assert schema is not None
            found.append(Sides(schema, kind))
    return found


@pytest.fixture(scope="module")
def sides() -> list[Sides]:
    return every_side()


@pytest.mark.parametrize("part", range(PARTS))
def test_check_and_decode_judge_as_jsonschema_does(sides: list[Sides], part: int) -> None:
    seen: Counter[str] = Counter()
    for side in sides[part::PARTS]:
        cases = Cases(side.schema, SEED)
        share = -(-VERDICTS * len(cases.paths) // MEMBERS)
        for number, case in enumerate(islice(cases, share)):
            try:
                word = side.verdict(case, thorough=number % 8 == 0)
            except AssertionError as difference:
                text = case.text if len(case.text) < 2000 else case.text[:2000] + b"..."
                pytest.fail(f"{side.schema} {side.kind} (seed {SEED}, case {number}): {difference}\n{text!r}")
            seen[word] += 1
            seen["all"] += 1
    print(dict(seen))
    assert seen["valid"] > seen["all"] * 0.4
    assert seen["refused"] > seen["all"] * 0.25
    assert seen["apart"] < seen["all"] * 0.04


def test_check_and_decode_judge_as_other_implementations_do(shared_data: Path, sides: list[Sides]) -> None:
    by_name = {(side.schema.version, side.kind, side.schema.action): side for side in sides}
    lines = [orjson.loads(line) for line in (shared_data / "ocpp" / "payloads.jsonl").read_bytes().splitlines()]
    assert len(lines) == 525
    for line in lines:
        side = by_name[line["version"], line["kind"], line["action"]]
        word = side.verdict(Case(orjson.dumps(line["payload"]), beyond=False), thorough=True)
        assert word == ("valid" if line["valid"] else "refused"), line


def test_the_parts_make_up_the_verdicts_asked_for(sides: list[Sides]) -> None:
    assert sum(len(Cases(side.schema, 0).paths) for side in sides) == MEMBERS
    assert len(sides) == 387


def test_the_cases_of_a_seed_are_always_the_same(sides: list[Sides]) -> None:
    for side in sides[::60]:
        first, again, other = (list(islice(Cases(side.schema, seed), 30)) for seed in (1, 1, 2))
        assert first == again != other
