"""Payloads made from the schemas, as Python has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from ocpp_cases import Case, Cases

from evcore.ocpp.schemas import VERSIONS, Schema, schemas_of


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
    return lambda schema, seed: _first(Cases(schema, seed).valid)


@pytest.fixture(scope="session")
def changed_payload() -> Callable[[Schema, int], dict[str, Any]]:
    """changed_payload(schema, seed): one with a defect, or with something that only looks like one."""
    return lambda schema, seed: _first(Cases(schema, seed).changed)


def _first(make: Callable[[], Case]) -> dict[str, Any]:
    """Of those that are an object and within every limit."""
    while True:
        case = make()
        payload = None if case.beyond else orjson.loads(case.text)
        if isinstance(payload, dict):
            return payload
