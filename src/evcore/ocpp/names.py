"""Wire names (`idTag`) and the snake names of Python (`id_tag`), object by object, from the schema.

A `Shape` knows the members of one object of a schema; only what a schema names is renamed. The content of customData,
the free `data` of a 2.x DataTransfer and members that no schema knows pass untouched. Names that would be one in snake
case (`soC`, `soc`) never meet in one object, so every name comes back as it was.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

# A word begins at a capital after a small letter or digit (not at the last character: soC is one word), and at the last
# capital of a run that small letters follow (certificateSNList: certificate, sn, list).
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z].)|(?<=[A-Za-z0-9])(?=[A-Z][a-z])")

# Where the rule would cut a word that is one.
_IRREGULAR = {
    "evMaxV2XEnergyRequest": "ev_max_v2x_energy_request",
    "evMinV2XEnergyRequest": "ev_min_v2x_energy_request",
    "prioritizedEMAIDs": "prioritized_emaids",
}


@functools.cache
def snake(wire: str) -> str:
    """The snake name of a wire name: `evseId` -> `evse_id`."""
    if wire.islower():
        return wire
    return _IRREGULAR.get(wire) or _BOUNDARY.sub("_", wire).lower()


class Shape:
    """The members of one object of a schema, under both names. The shape of an array is that of its items."""

    __slots__ = ("_loose", "by_snake", "by_wire")

    def __init__(self, members: Mapping[str, Shape | None]) -> None:
        self.by_wire = {wire: (snake(wire), shape) for wire, shape in members.items()}
        self.by_snake = {name: (wire, shape) for wire, (name, shape) in self.by_wire.items()}
        self._loose: dict[str, tuple[str, Shape | None]] | None = None

    def find(self, name: str, *, loose: bool = False) -> tuple[str, Shape | None]:
        """Wire name and shape of a member by either name; an unknown name is kept. loose: underscores and case do not
        count either, for the fields of dataclasses whose authors cut words elsewhere (`iso_15118_schema_version`)."""
        found = self.by_snake.get(name) or self._wire(name)
        if found is not None:
            return found
        if loose:
            if self._loose is None:
                self._loose = {_flat(wire): (wire, shape) for wire, (_, shape) in self.by_wire.items()}
            return self._loose.get(_flat(name), (name, None))
        return name, None

    def _wire(self, name: str) -> tuple[str, Shape | None] | None:
        known = self.by_wire.get(name)
        return None if known is None else (name, known[1])


def _flat(name: str) -> str:
    return name.replace("_", "").lower()


def shape_of(schema: Mapping[str, Any]) -> Shape | None:
    """The shape of a schema whose references are resolved; None where nothing is renamed."""
    if schema.get("type") == "array":
        return shape_of(schema.get("items", {}))
    if "properties" not in schema or schema.get("additionalProperties", True) is not False:
        return None
    return Shape({name: shape_of(member) for name, member in schema["properties"].items()})


def to_snake(shape: Shape | None, value: Any) -> Any:
    """A payload with snake names. Lists and objects are new where they hold a renamed member, else the same."""
    if shape is None:
        return value
    if isinstance(value, dict):
        known = shape.by_wire
        renamed = {}
        for wire, member in value.items():
            name, inner = known.get(wire, (wire, None))
            renamed[name] = member if inner is None else to_snake(inner, member)
        return renamed
    if isinstance(value, list):
        return [to_snake(shape, item) for item in value]
    return value


def to_wire(shape: Shape | None, value: Any, *, loose: bool = False) -> Any:
    """A payload with wire names, from a mapping with either names or a dataclass (of `ocpp`, say).

    In and below a dataclass, members that are None are left out: its optional fields.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        loose = True
    if shape is None:
        return value
    if isinstance(value, Mapping):
        renamed = {}
        for name, member in value.items():
            if loose and member is None:
                continue
            wire, inner = shape.find(name, loose=loose) if isinstance(name, str) else (name, None)
            renamed[wire] = to_wire(inner, member, loose=loose)
        return renamed
    if isinstance(value, (list, tuple)):
        return [to_wire(shape, item, loose=loose) for item in value]
    return value
