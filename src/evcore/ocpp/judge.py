"""Every violation of a payload, in Python: for explanations and for the lenient mode, where time is no matter.

The verdict of the codec is the one that counts; a test compares the two. Linear in the size of the payload.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from evcore.core.ocpp import is_date_time, is_uri
from evcore.ocpp.violations import explain

Path = tuple[str | int, ...]


class _Left:
    """What a member becomes that is left out."""

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = _Left()
HOLLOW: Final = "hollow"  # no violation by itself: an object with nothing in a member that must be there
_TRIES = 4  # of mending one value: a number becomes a text, which is then too long ...


@dataclass(frozen=True, slots=True)
class Violation:
    """code: in the spelling of the version. path: JSON pointer. expected, got: bounded text. Of what is no frame: the
    reason of its FrameError, the place, "", what is wrong."""

    code: str
    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        said = f"expected {self.expected}, got {self.got}" if self.expected else self.got
        return f"{self.code}{self.path and f' at {self.path}'}: {said}"


@dataclass(slots=True)
class Spot:
    """One violation where it stands. rule: the keyword of the schema, or HOLLOW. node: the schema that is broken.
    value: what breaks it. path: where; holder: the object or list that it is in (None: it is the payload). optional:
    it may be left out."""

    rule: str
    node: dict[str, Any]
    value: Any
    path: Path
    holder: Any
    optional: bool

    @property
    def name(self) -> str:
        """The member's name; of an item that of its list."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), "")


Mend = Callable[[Spot], Any]  # -> the mended value, LEFT_OUT, or None where nothing fits


class Judge:
    """Walks one payload. violations: what was found and not mended, at most `limit`; found: how many there were.

    mend: asked for every violation; what it returns is judged again. formats: judge date-time and uri too.
    """

    def __init__(self, version: str, *, formats: bool = False, mend: Mend | None = None, limit: int = 100) -> None:
        self.version, self.formats, self.limit = version, formats, limit
        self.violations: list[Violation] = []
        self.found = 0
        self._mend = mend
        self._integral = True  # is 1.0 an integer? Not in draft 4, which most schemas of 1.6 follow

    def judge(self, root: dict[str, Any], payload: Any) -> Any:
        """The payload, with what was mended; objects and lists are changed in place. root: a schema without
        references. Numbers with a fraction are judged best as Decimal."""
        self._integral = "draft-04" not in root.get("$schema", "")
        return self._walk(root, payload, (), None, False)

    def _walk(self, node: dict[str, Any], value: Any, path: Path, holder: Any, optional: bool) -> Any:
        for _ in range(_TRIES):
            rule = self._broken(node, value)
            if rule is None:
                break
            spot = Spot(rule, node, value, path, holder, optional)
            changed = None if self._mend is None else self._mend(spot)
            if changed is None:
                self._report(spot)
                if rule == "type":
                    return value
                break
            if changed is LEFT_OUT:
                return LEFT_OUT
            value = changed
        if isinstance(value, dict):
            if self._mend is not None and self._is_hollow(node, value):
                spot = Spot(HOLLOW, node, value, path, holder, optional)
                if self._mend(spot) is LEFT_OUT:
                    return LEFT_OUT
            return self._members(node, value, path)
        if isinstance(value, list):
            return self._items(node, value, path, holder, optional)
        return value

    def _is_hollow(self, node: dict[str, Any], value: dict[str, Any]) -> bool:
        known = node.get("properties", {})
        empty = (name for name in node.get("required", ()) if value.get(name) in ("", []))
        return any(self._broken(known[name], value[name]) for name in empty)

    def _members(self, node: dict[str, Any], value: dict[str, Any], path: Path) -> Any:
        known, required = node.get("properties", {}), node.get("required", ())
        closed = node.get("additionalProperties", True) is False
        for name in list(value):
            here = (*path, name)
            if name in known:
                kept = self._walk(known[name], value[name], here, value, name not in required)
                if kept is not LEFT_OUT:
                    value[name] = kept
                    continue
            elif not closed:
                continue
            else:
                spot = Spot("additionalProperties", node, value[name], here, value, True)
                if self._mend is None or self._mend(spot) is not LEFT_OUT:
                    self._report(spot)
                    continue
            del value[name]
        for name in required:
            if name not in value:
                self._report(Spot("required", node, None, (*path, name), value, False))
        return value

    def _items(self, node: dict[str, Any], value: list[Any], path: Path, holder: Any, optional: bool) -> Any:
        if "items" not in node:
            return value
        kept = []
        for n, item in enumerate(value):
            walked = self._walk(node["items"], item, (*path, n), value, True)
            if walked is not LEFT_OUT:
                kept.append(walked)
        if len(kept) == len(value):
            return kept
        return self._walk({**node, "items": {}}, kept, path, holder, optional)  # shorter: is that still enough?

    def _broken(self, node: dict[str, Any], value: Any) -> str | None:
        """The first rule that a value breaks by itself; the members of objects and lists have their own turn."""
        kind = node.get("type")
        if kind is not None and not _is(kind, value, self._integral):
            return "type"
        if isinstance(value, str):
            return self._broken_by_text(node, value)
        if isinstance(value, list):
            if len(value) < node.get("minItems", 0):
                return "minItems"
            return "maxItems" if len(value) > node.get("maxItems", len(value)) else None
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            return None
        if value < node.get("minimum", value):
            return "minimum"
        if value > node.get("maximum", value):
            return "maximum"
        return "multipleOf" if "multipleOf" in node and not _is_multiple(value, node["multipleOf"]) else None

    def _broken_by_text(self, node: dict[str, Any], value: str) -> str | None:
        if "enum" in node and value not in node["enum"]:
            return "enum"
        if len(value) > node.get("maxLength", len(value)):
            return "maxLength"
        if self.formats and "format" in node and not _FORMATS.get(node["format"], _anything)(value):
            return "format"
        return None

    def _report(self, spot: Spot) -> None:
        self.found += 1
        if self.found > self.limit:
            return
        limit = spot.node.get(spot.rule)
        text = None if spot.rule == "required" else _begin(spot.value)
        count = len(spot.value) if isinstance(spot.value, list) else 0
        error = explain(self.version, spot.rule, [limit] if spot.rule == "type" else limit, spot.path, text, count)
        self.violations.append(Violation(error.code, error.path, error.expected, error.got))


def _begin(value: Any) -> bytes:
    """The JSON of a value, of an object or list only its bracket."""
    if isinstance(value, (dict, list)):
        return b"{" if isinstance(value, dict) else b"["
    return str(value).encode() if isinstance(value, Decimal) else json.dumps(value).encode()


def _is(kind: str, value: Any, integral: bool) -> bool:
    if kind == "integer" and not isinstance(value, (bool, int)):
        return integral and isinstance(value, (float, Decimal)) and float(value).is_integer()  # as a double
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS.get(kind, object))


_KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float, Decimal),
    "null": type(None),
}


def _is_multiple(value: int | float | Decimal, step: float) -> bool:
    """By decimal digits: 0.3 is a multiple of 0.1, which no arithmetic on doubles says. Steps 10^-n only."""
    places = -int(Decimal(repr(step)).as_tuple().exponent)
    _, digits, exponent = (value if isinstance(value, Decimal) else Decimal(repr(value))).as_tuple()
    surplus = -int(exponent) - places
    return surplus <= 0 or not any(digits[-surplus:])


def _anything(text: str) -> bool:
    return True


_FORMATS: dict[str, Callable[[str], bool]] = {"date-time": is_date_time, "uri": is_uri}
