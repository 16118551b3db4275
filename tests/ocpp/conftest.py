"""Payloads made from the schemas: valid ones, and valid ones with one thing changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from evcore.ocpp.schemas import VERSIONS, Schema, schemas_of

TEXTS = ("", "a", "é€", "😀", "x" * 20, "2026-11-23T18:00:00Z", "y" * 300, '\\"/\b\n\x7f')


def make(schema: dict[str, Any], rng: random.Random, depth: int = 0) -> Any:
    """A random value that a resolved schema allows."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", [])
        names = [name for name in schema.get("properties", {}) if name in required or rng.random() < 0.6 / (depth + 1)]
        return {name: make(schema["properties"][name], rng, depth + 1) for name in names}
    if kind == "array":
        least = schema.get("minItems", 0)
        count = rng.randint(least, min(schema.get("maxItems", 4), least + 2))
        return [make(schema["items"], rng, depth + 1) for _ in range(count)]
    if kind == "string":
        return rng.choice(TEXTS)[: schema.get("maxLength", 500)]
    if kind in ("integer", "number"):
        low, high = int(schema.get("minimum", -1000)), int(schema.get("maximum", 1000))
        number = rng.randint(low, max(low, high))
        return (
            number
            if kind == "integer" or rng.random() < 0.3 or number in (low, high)
            else number + rng.randint(1, 9) / 10
        )
    if kind == "boolean":
        return rng.random() < 0.5
    return rng.choice([None, "free", {"anyName": [1, {"idTag": 2}]}])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member and item in a value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*path, key)
        yield from places(member, (*path, key))


def mutate(payload: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The payload with one member or item removed, renamed, retyped, emptied or grown. May still be valid."""
    changed = copy.deepcopy(payload)
    paths = list(places(changed))
    if not paths or rng.random() < 0.1:
        changed["surplusMember"] = 1
        return changed
    *where, last = rng.choice(paths)
    holder = changed
    for key in where:
        holder = holder[key]
    what = rng.randrange(4)
    if what == 0:
        del holder[last]
    elif what == 1 and isinstance(holder, dict):
        holder[f"{last}X"] = holder.pop(last)
    elif what == 2 and isinstance(holder[last], list):
        holder[last] = holder[last] * rng.choice([0, 2, 1500])
    else:
        holder[last] = rng.choice(
            [None, True, 7, -7, 1.0, 0.3, 0.35, 1e300, "", "word", "z" * 6000, [], {}, [1], {"a": 1}]
        )
    return changed


class Messages(list[tuple[str, str, Schema]]):
    def __repr__(self) -> str:
        return "every_schema"  # hypothesis prints the arguments of a failing test


@pytest.fixture(scope="session")
def every_schema() -> Messages:
    """(version, kind, schema) of every message of every version."""
    found = Messages()
    for version in VERSIONS:
        for kind, action in sorted(schemas_of(version).messages):
            schema = schemas_of(version).get(kind, action)
            assert schema is not None
            found.append((version, kind, schema))
    return found


@pytest.fixture(scope="session")
def make_payload() -> Callable[[Schema, int], dict[str, Any]]:
    """make_payload(schema, seed): a valid payload, always the same one."""
    return lambda schema, seed: make(schema.root, random.Random(f"{schema.version} {schema.action} {seed}"))


@pytest.fixture(scope="session")
def mutate_payload() -> Callable[[dict[str, Any], int], dict[str, Any]]:
    return lambda payload, seed: mutate(payload, random.Random(seed))
