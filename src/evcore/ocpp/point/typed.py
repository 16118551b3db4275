"""Payloads with snake names as the dataclasses of the `ocpp` package: `list[datatypes.MeterValue]` and its like.

Nothing here refuses: what does not fit its annotation (an enum of `ocpp` lacks a value, a payload that was not judged)
stays as it was received; a required field that did not come is None.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

Build = Callable[[Any], Any]


@lru_cache(maxsize=4096)
def builder(annotation: Any) -> Build | None:
    """What makes a value of this annotation from a payload's; None where the value stays as it is."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        builders = [builder(part) for part in typing.get_args(annotation)]
        return next((build for build in builders if build is not None), None)
    if origin is list:
        item = next((builder(part) for part in typing.get_args(annotation)), None)  # a bare List has none
        return None if item is None else lambda value: _items(item, value)
    if not isinstance(annotation, type):
        return None
    if dataclasses.is_dataclass(annotation):
        return lambda value: build_dataclass(annotation, value, nested=True)
    if issubclass(annotation, Enum):
        return lambda value: _lenient(annotation, value)
    return (lambda value: _lenient(datetime.fromisoformat, value)) if annotation is datetime else None


def build_dataclass(cls: type, value: Any, *, nested: bool) -> Any:
    """The dataclass from a mapping with snake names; members that it has no field for are left out. nested: its fields
    as they are annotated, too.
    """
    if not isinstance(value, Mapping):
        return value
    known, required, builders = _fields(cls)
    made: dict[str, Any] = {}
    for name, member in value.items():
        field = known.get(name) or known.get(_flat(name))
        if field is None:
            continue
        build = builders.get(field) if nested else None
        made[field] = member if build is None or member is None else build(member)
    for field in required:
        made.setdefault(field, None)
    return cls(**made)


@lru_cache(maxsize=2048)
def _fields(cls: type) -> tuple[dict[str, str], list[str], dict[str, Build]]:
    """Names of the fields by name and by `_flat` name (`ocpp` cuts a few words elsewhere), those without a default, and
    how each is built."""
    hints = hints_of(cls)
    fields = [field for field in dataclasses.fields(cls) if field.init]
    names = [field.name for field in fields]
    missing = dataclasses.MISSING
    required = [field.name for field in fields if field.default is missing and field.default_factory is missing]
    known = {_flat(name): name for name in names} | {name: name for name in names}
    builders = {name: build for name in names if (build := builder(hints.get(name))) is not None}
    return known, required, builders


def hints_of(annotated: Any) -> dict[str, Any]:
    """Its annotations with names resolved, as far as they can be."""
    try:
        return typing.get_type_hints(annotated)
    except Exception:  # noqa: BLE001 - whatever stands in someone's annotations, it is no reason to answer nothing
        return {}


def _flat(name: str) -> str:
    return name.replace("_", "").lower()


def _items(build: Build, value: Any) -> Any:
    return [build(item) for item in value] if isinstance(value, list) else value


def _lenient(make: Callable[[Any], Any], value: Any) -> Any:
    try:
        return make(value)
    except (TypeError, ValueError):
        return value
