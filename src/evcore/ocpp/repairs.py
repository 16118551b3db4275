"""The repairs of the lenient mode: their table (`repairs.toml`, with the chargers that need them), and their report."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from evcore.ocpp.violations import shorten

Level: TypeAlias = Literal["text", "frame", "value"]
_COMMON = {"mends", "level", "exact", "default", "seen", "on"}


class Repair(NamedTuple):
    """One thing that was mended. name: of the table. path: JSON pointer into the payload, or "@" and the byte offset
    where the text was no JSON. was, became: bounded text; of a text that may be a secret only its length."""

    name: str
    path: str
    was: str
    became: str

    def __str__(self) -> str:
        return f"{self.name}{self.path and f' at {self.path}'}: {self.was} became {self.became}"


class MendedMessage(bytes):
    """A message to a peer that only the lenient mode made valid: what `Codec.encode_*` returns then."""

    id: str
    action: str
    repairs: tuple[Repair, ...]

    def __new__(cls, message: bytes, id: str, action: str, repairs: tuple[Repair, ...]) -> MendedMessage:
        self = super().__new__(cls, message)
        self.id, self.action, self.repairs = id, action, repairs
        return self


@dataclass(frozen=True, slots=True)
class Row:
    """One repair of the table; see the head of `repairs.toml` for the keys. more: the keys of this repair alone."""

    name: str
    mends: str
    level: Level
    exact: bool
    default: bool
    seen: tuple[str, ...]
    on: frozenset[str]
    more: Mapping[str, Any]


@functools.cache
def table() -> Mapping[str, Row]:
    """Every repair by its name, in the order in which they are tried. Read when it is first asked for."""
    rows = {}
    for name, keys in _file().items():
        if isinstance(keys, dict):
            common = {key: keys[key] for key in ("mends", "level", "exact", "default")}
            more = {key: value for key, value in keys.items() if key not in _COMMON}
            rows[name] = Row(
                name, **common, seen=tuple(keys["seen"]), on=frozenset(keys.get("on", ())), more=MappingProxyType(more)
            )
    return MappingProxyType(rows)


@functools.cache
def members(which: Literal["billed", "telling"]) -> frozenset[str]:
    """The members that a repair must treat with care; see `repairs.toml`."""
    return frozenset(_file()[which])


@functools.cache
def _file() -> dict[str, Any]:
    import tomllib  # here, as difflib below: who is strict needs neither

    return tomllib.loads((resources.files("evcore.ocpp") / "repairs.toml").read_text("utf-8"))


@functools.cache
def default_names() -> frozenset[str]:
    """The repairs that mode "lenient" alone allows."""
    return frozenset(row.name for row in table().values() if row.default)


def check_names(names: Collection[str]) -> frozenset[str]:
    """The names as a set. Raises ValueError for one that is no repair."""
    if isinstance(names, str):
        raise ValueError(f"repairs: expected a list of names, got the text {names[:40]!r}")
    for name in names:
        if name not in table():
            import difflib

            close = difflib.get_close_matches(str(name), table(), n=1)
            meant = f"a known repair, perhaps {close[0]}" if close else f"one of {', '.join(table())}"
            raise ValueError(f"repairs: expected {meant}, got {str(name)[:40]!r}")
    return frozenset(names)


def quote(value: Any) -> str:
    """A value as a report shows it: numbers and words of JSON by themselves, of a text its length only."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shorten(str(value))
