"""The arguments of commands: one table checks them, completes them, documents them and makes their JSON schema."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evcore.arguments import BadArgument, read, schema
from evcore.verbs import ABOUT, Verb
from evcore.vocabulary import ARGUMENTS, Arg, Args

ROOT = Path(__file__).resolve().parents[1]
TIME = "2026-11-23T18:30:37.500Z"


def test_every_verb_has_arguments_and_a_sentence() -> None:
    assert set(ARGUMENTS) == set(ABOUT) == set(Verb)
    assert all(about.endswith(".") for about in ABOUT.values())


def test_defaults_are_filled_in_and_what_is_left_out_is_not_there() -> None:
    assert read(Verb.SET_LIMIT, {"limit": 6}) == {"limit": 6, "evse": 0, "unit": "A"}
    assert read(Verb.RESET, {"type": None}) == {"type": "Immediate", "evse": 0}, "null is left out"
    assert read(Verb.CLEAR_CACHE, {}) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (5, "5"), (2.5, "2.5"), ("True", "True"), (Decimal("1.50"), "1.50"), ("", "")],
)
def test_a_setting_is_written_as_ocpp_writes_it(value: Any, text: str) -> None:
    assert read(Verb.SET_CONFIG, {"key": "k", "value": value})["value"] == text


@pytest.mark.parametrize(
    "time",
    [
        TIME,
        "2026-11-23T19:30:37.5+01:00",
        "2026-11-23 18:30:37.5Z",
        datetime(2026, 11, 23, 18, 30, 37, 500_000, UTC),
        datetime(2026, 11, 24, 3, 30, 37, 500_000, timezone(timedelta(hours=9))),
    ],
)
def test_times_become_utc(time: Any) -> None:
    assert read(Verb.RESERVE, {"token": "T", "expires": time})["expires"] == TIME


@pytest.mark.parametrize(
    "time", ["", "soon", "2026-11-23T18:30:00", "0001-01-01T00:00:00+14:00", 5, datetime(2026, 1, 1)]
)
def test_a_time_without_a_zone_or_none_at_all_is_refused(time: Any) -> None:
    with pytest.raises(BadArgument, match="expires: expected a time with a zone"):
        read(Verb.RESERVE, {"token": "T", "expires": time})


def test_an_error_names_the_place_and_never_shows_the_value() -> None:
    wanted = [{"component": "SecurityCtrlr", "variable": "BasicAuthPassword", "value": ["s3cr3t"]}]
    with pytest.raises(BadArgument, match=r"variables\[0\]\.value: expected text, a number, true or false, got list"):
        read(Verb.SET_VARIABLES, {"variables": wanted})
    with pytest.raises(BadArgument) as refused:
        read(Verb.SET_CONFIG, {"key": "AuthorizationKey", "value": "s3cr3t" * 1000})
    assert "s3cr3t" not in str(refused.value)
    with pytest.raises(BadArgument, match="finite"):
        read(Verb.SET_LIMIT, {"limit": float("nan")})


# The schema says the same as `read`


def value_of(arg: Arg, rng: random.Random) -> Any:
    """A right value."""
    least, most = arg.least or 0, arg.most if arg.most is not None else 50
    match arg.kind:
        case "text":
            return rng.choice(arg.one_of) if arg.one_of else "x" * rng.randint(int(least), int(min(most, 60)))
        case "integer":
            return rng.randint(int(least), int(most))
        case "number":
            return rng.choice([least, most, least + (most - least) * rng.random()])
        case "boolean":
            return rng.random() < 0.5
        case "time":
            return TIME
        case "scalar":
            return rng.choice(["x", 1, 2.5, True])
        case "object":
            return values_of(arg.members, rng) if arg.members else {"a": 1}
        case "list":
            assert arg.item is not None
            return [value_of(arg.item, rng) for _ in range(rng.randint(max(1, int(least)), 3))]
    return rng.choice([None, {"a": [1]}, "x", 5])


def values_of(args: Args, rng: random.Random) -> dict[str, Any]:
    return {name: value_of(arg, rng) for name, arg in args.items() if arg.required or rng.random() < 0.5}


WRONG: list[Any] = [[], {}, "", "x" * 20_000, -1, 2**40, 1.5, 1.0, True, ["x"], {"x": 1}, "Nonsense"]


def spoiled(args: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """With one defect, somewhere."""
    result = copy.deepcopy(args)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((value, key))
            if isinstance(part, dict | list):
                walk(part)

    walk(result)
    if not places or rng.random() < 0.1:
        return result | {"no such": 1}
    place, key = rng.choice(places)
    if rng.random() < 0.3 and isinstance(place, dict):
        del place[key]
    else:
        place[key] = rng.choice(WRONG)
    return result


@pytest.mark.parametrize("verb", Verb)
def test_the_schema_and_the_check_agree(verb: Verb) -> None:
    rng = random.Random(verb.value)
    validator = jsonschema.Draft202012Validator(schema(verb))
    jsonschema.Draft202012Validator.check_schema(schema(verb))
    seen = set()
    for n in range(150):
        args = values_of(ARGUMENTS[verb], rng)
        if n % 2:
            args = spoiled(args, rng)
        try:
            read(verb, args)
        except BadArgument as error:
            right, why = False, str(error)
        else:
            right, why = True, ""
        seen.add(right)
        if "expected a time" in why or _has_none(args):  # formats and null are not the schema's
            continue
        if right is False and "value" in why and "characters" in why:  # the length of a scalar is not either
            continue
        assert validator.is_valid(args) == right, (args, why)
    assert True in seen
    assert False in seen


def _has_none(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_none(part) for part in (value.values() if isinstance(value, dict) else value))
    return value is None


def test_the_docs_show_every_verb_with_its_arguments_and_versions() -> None:
    """That they are up to date is in test_docs.py."""
    page = (ROOT / "docs" / "commands.md").read_text()
    for verb in Verb:
        section = page.split(f"### {verb}\n")[1].split("\n###")[0].split("\n## ")[0]
        for name in ARGUMENTS[verb]:
            assert f"| `{name}`" in section
        for version in ("1.6", "2.0.1", "2.1"):
            assert version in section
