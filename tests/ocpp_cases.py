"""Payloads of OCPP as JSON text, made from the schemas: valid ones up to every edge, and ones with a defect.

`Cases(schema, seed)` is an endless stream, always the same for one seed. Each case aims at one member of the schema
(all are equally likely), with as few others beside it as are required, or some, or all.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from evcore.ocpp.schemas import Schema

ITEM = 0  # the step into a list
GONE = object()

Node = dict[str, Any]
Path = tuple[str | int, ...]


@functools.cache
def by_digits(schema: Schema) -> bool:
    """Must some number be judged by its digits, not as a double?"""
    return b'"multipleOf"' in orjson.dumps(schema.root)


def raw(text: str) -> orjson.Fragment:
    """A value in exactly this spelling."""
    return orjson.Fragment(text)


@dataclass(frozen=True, slots=True)
class Case:
    """text: the payload. beyond: it may be refused for its size or depth, or for an integer of more than 64 bits."""

    text: bytes
    beyond: bool


@dataclass(frozen=True, slots=True)
class Twice:
    """A member that is there twice; the later one counts."""

    first: Any
    second: Any
    escaped: bool


# ---- texts ----

LETTERS = ("a", "é", "€", "😀", "\x7f", "\u2028")
ESCAPED = ("\\u0041", "\\n", '\\"', "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\\u0000", "\\uFFFF")


@functools.cache
def text_of(length: int, style: int) -> Any:
    """A string of so many code points: of one letter, of escapes, or of both."""
    if style < len(LETTERS):
        return LETTERS[style] * length
    if style < len(LETTERS) + len(ESCAPED):
        return raw('"' + ESCAPED[style - len(LETTERS)] * length + '"')
    return raw('"' + ("x" * (length - 1) + ESCAPED[style % len(ESCAPED)] if length else "") + '"')


STYLES = len(LETTERS) + 2 * len(ESCAPED)


def some_text(rng: random.Random, length: int) -> Any:
    style = rng.randrange(STYLES) if rng.random() < 0.3 else 0
    return text_of(length, style)


# ---- numbers ----

WHOLE = ("0", "1", "-0", "7", "2147483647", "-2147483648", "9007199254740993", "9223372036854775807")
WHOLE_FLOATS = ("1.0", "1e2", "1E+2", "-0.0", "0e5", "2.50e1", "1e22", "1e300", "0.0", "12300e-2")
FRACTIONS = ("0.1", "0.3", "16.1", "230.7", "1e-1", "-0.7", "0.30", "12.5E1", "1234567.8", "0.1000")
UNEVEN = ("0.30000000000000004", "0.35", "1e-300", "1e-400", "5e-324", "0.1000000000000000055", "-2.25", "1.5e-7")
UNEVEN += ("1.7976931348623157e308", "0.099999999999999999999999", "123456789.123456789", "2.2250738585072011e-308")
BEYOND = ("9223372036854775808", "-9223372036854775809", "18446744073709551616", "1" + "0" * 40, "-1" + "0" * 400)
ENDLESS = ("1e400", "-1e999")


def some_integer(rng: random.Random, node: Node, draft: int) -> Any:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and rng.random() < 0.5:
        return int(low)
    if high is not None and rng.random() < 0.6:
        return int(high)
    if low is None and high is None and rng.random() < 0.4:
        return raw(rng.choice(WHOLE if draft == 4 or rng.random() < 0.5 else WHOLE_FLOATS))
    low = -(1 << 31) if low is None and rng.random() < 0.2 else int(low or 0)
    return rng.randint(low, int(high) if high is not None else low + (1 << rng.randrange(32)))


def some_number(rng: random.Random, node: Node) -> Any:
    low, high = node.get("minimum"), node.get("maximum")
    if (low is not None or high is not None) and rng.random() < 0.7:
        edge = low if high is None or (low is not None and rng.random() < 0.5) else high
        inward = 1 if edge is low else -1
        return edge if rng.random() < 0.5 else edge + inward * (0.5 if float(edge).is_integer() else 0)
    if low is not None or high is not None:
        base = int(low if low is not None else high - 50)
        return base + rng.randrange(500) / 10 if high is None or base + 50 <= high else base
    if rng.random() < 0.5:
        return rng.randrange(-5000, 500000) / 10
    evens = WHOLE + WHOLE_FLOATS + FRACTIONS
    return raw(rng.choice(evens if "multipleOf" in node or rng.random() < 0.7 else UNEVEN))


# ---- valid values ----


class Cases:
    def __init__(self, schema: Schema, seed: int | str) -> None:
        self.schema = schema
        self.draft = 4 if schema.version == "1.6" else 6
        self.rng = random.Random(f"{schema.version} {schema.action} {seed}")
        self.paths: list[Path] = [(), *_paths(schema.root)]
        self._beyond = False
        self._share = 0.0

    def __iter__(self) -> Iterator[Case]:
        while True:
            yield self.valid()
            yield self.changed()
            yield self.changed()

    def valid(self) -> Case:
        return self._case(None)

    def changed(self) -> Case:
        """With one defect, or with something that only looks like one."""
        return self._case(self._defect)

    def _case(self, defect: Any) -> Case:
        rng = self.rng
        self._beyond = False
        self._share = rng.choice(SHARES)
        if rng.random() < 0.001:
            self._share = 4.0
        value = self._build(self.schema.root, rng.choice(self.paths), defect)
        try:
            text = orjson.dumps({} if value is GONE else value, option=_OPTIONS[rng.random() < 0.05])
        except TypeError:  # orjson writes fewer levels than it reads
            text = b'{"x":' + b"[" * 300 + b"]" * 300 + b"}"
        return Case(text, self._beyond or len(text) > 60_000)

    def _build(self, node: Node, path: Path, defect: Any) -> Any:
        rng = self.rng
        kind = node.get("type")
        if kind == "object":
            value = self._members(node, path, defect)
        elif kind == "array":
            value = self._items(node, path, defect)
        elif "enum" in node:
            value = rng.choice(node["enum"])
        elif kind == "string":
            value = self._string(node)
        elif kind == "integer":
            value = some_integer(rng, node, self.draft)
        elif kind == "number":
            value = some_number(rng, node)
        elif kind == "boolean":
            value = rng.random() < 0.5
        else:
            value = rng.choice(FREE)
        return defect(node, value) if defect is not None and not path else value

    def _members(self, node: Node, path: Path, defect: Any) -> Any:
        """The members that are required, the one aimed at, and a share of the others, less of them further down."""
        rng, share = self.rng, self._share
        self._share = share / 2
        required, aim = node.get("required", ()), path[0] if path else None
        members: dict[str, Any] = {}
        twice: dict[str, Twice] = {}
        for name, inner in node.get("properties", {}).items():
            if name == aim:
                value = self._build(inner, path[1:], defect)
                if isinstance(value, Twice):
                    twice[name] = value
                elif value is not GONE:
                    members[name] = value
            elif name in required or (share and rng.random() < share):
                members[name] = self._build(inner, (), None)
        self._share = share
        if node.get("additionalProperties", True) is not False:
            if rng.random() < 0.3:
                members[rng.choice(("idTag", "x_y", "SoC", "é"))] = rng.choice(FREE)
        elif len(members) > 1 and rng.random() < 0.2:
            names = list(members)
            rng.shuffle(names)
            members = {name: members[name] for name in names}
        return spelled(members, twice, rng) if twice or rng.random() < 0.01 else members

    def _items(self, node: Node, path: Path, defect: Any) -> list[Any]:
        rng = self.rng
        least, most = node.get("minItems", 0), node.get("maxItems", 4)
        count = min(most, least + (rng.random() < 0.15))
        if rng.random() < (0.03 if most <= 32 else 0.001) and "maxItems" in node:
            count = most
        inner = node.get("items", {})
        if not path:
            return [self._build(inner, (), None) for _ in range(count)]
        at = rng.randrange(max(count, 1))
        items = [
            self._build(inner, path[1:] if i == at else (), defect if i == at else None) for i in range(max(count, 1))
        ]
        return [item for item in items if item is not GONE]

    def _string(self, node: Node) -> Any:
        rng = self.rng
        most = node.get("maxLength")
        if node.get("format") == "date-time" and rng.random() < 0.8:
            return "2026-11-23T18:00:00.120Z"
        if most is None:
            return some_text(rng, rng.choice((0, 1, 12, 200)))
        return some_text(rng, rng.choice((0, 1, most, most, max(0, most - 1), min(most, 12))))

    # ---- defects ----

    def _defect(self, node: Node, value: Any) -> Any:
        rng = self.rng
        what = rng.random()
        if what < 0.12:
            return GONE
        if what < 0.18:
            return None
        if what < 0.33:
            return rng.choice(OTHERS)
        if what < 0.40:
            return self._twice(node, value)
        if what < 0.42:
            return self._deep()
        if isinstance(value, dict):
            return self._surplus(node, value)
        if isinstance(value, list):
            return self._count(node, value)
        if "enum" in node:
            return self._misspelled(value)
        if node.get("type") == "string":
            return self._long(node)
        if node.get("type") in ("integer", "number"):
            return self._number(node)
        return rng.choice(OTHERS)

    def _twice(self, node: Node, value: Any) -> Twice:
        other = self.rng.choice(OTHERS) if self.rng.random() < 0.7 else self._build(node, (), None)
        first, second = (value, other) if self.rng.random() < 0.5 else (other, value)
        return Twice(first, second, self.rng.random() < 0.3)

    def _deep(self) -> Any:
        levels = self.rng.choice((5, 25, 27, 28, 29, 30, 31, 32, 40, 200))
        self._beyond = levels > 20
        if self.rng.random() < 0.5:
            return raw("[" * levels + "]" * levels)
        return raw('{"a":' * levels + "1" + "}" * levels)

    def _surplus(self, node: Node, value: dict[str, Any]) -> dict[str, Any]:
        """One member more: a stranger, or nearly one of those that there are."""
        known = list(node.get("properties", ())) or ["x"]
        near = self.rng.choice(known)
        names = ("", "x", "customdata", near + "X", near[:-1], near.upper(), near.capitalize(), "n" * 300, "é")
        value = {**value, self.rng.choice(names): self.rng.choice(OTHERS)}
        if self.rng.random() < 0.2:
            value = dict(sorted(value.items()))
        return value

    def _count(self, node: Node, value: list[Any]) -> list[Any]:
        least, most = node.get("minItems", 0), node.get("maxItems")
        if least and self.rng.random() < 0.5:
            return value[: least - 1]
        count = (most if most is not None else 4) + self.rng.choice((0, 1, 1, 2))
        if count > 32 and self.rng.random() < 0.95:  # seldom, since it takes long to judge
            count = 5
        return (
            (value or [self._build(node.get("items", {}), (), None)]) * count if count > len(value) else value[:count]
        )

    def _misspelled(self, value: str) -> Any:
        near = (value.lower(), value.upper(), value[:-1], value + " ", value + "s", " " + value, "", "é", value[1:])
        escaped = raw('"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"')  # that is right
        return self.rng.choice((*near, escaped, raw(f'"{value}\\u0000"')))

    def _long(self, node: Node) -> Any:
        most = node.get("maxLength")
        if most is None or self.rng.random() < 0.05:
            return "z" * 6000
        return text_of(most + self.rng.choice((1, 1, 2, 0)), self.rng.randrange(STYLES))

    def _number(self, node: Node) -> Any:
        rng = self.rng
        low, high = node.get("minimum"), node.get("maximum")
        what = rng.random()
        if what < 0.5 and (low is not None or high is not None):
            edge, out = (low, -1) if high is None or (low is not None and rng.random() < 0.5) else (high, 1)
            step = rng.choice((1, 1, 0.1, 1e-9, 0))
            return raw(f"{int(edge)}.0") if step == 0 else edge + out * step
        if what < 0.7:
            return raw(rng.choice(WHOLE_FLOATS))
        if what < 0.93:
            return raw(rng.choice(UNEVEN + FRACTIONS))
        self._beyond = True
        return raw(rng.choice(BEYOND if rng.random() < 0.8 else ENDLESS))


FREE = (
    None,
    True,
    "free",
    "",
    1,
    -1.5,
    [],
    {},
    [1, {"idTag": 2}],
    {"anyName": [1, {"id_tag": None}]},
    {"a": {"b": "é"}},
)
OTHERS = (None, True, False, 0, 7, -7, 1.0, 0.5, -1e300, "", "word", "7", "z" * 6000, [], {}, [1], {"a": 1}, [[]], [{}])
SHARES = (0.0, 0.0, 0.0, 0.1, 0.2)  # of the optional members
_OPTIONS = (None, orjson.OPT_INDENT_2)


def spelled(members: dict[str, Any], twice: dict[str, Twice], rng: random.Random) -> orjson.Fragment:
    """An object with members that are there twice, its names in escapes now and then."""
    pairs: list[tuple[str, Any, bool]] = [(name, value, rng.random() < 0.3) for name, value in members.items()]
    for name, double in twice.items():
        pairs.insert(rng.randint(0, len(pairs)), (name, double.first, False))
        pairs.append((name, double.second, double.escaped))
    parts = [_name(name, escaped) + b" : " + orjson.dumps(value) for name, value, escaped in pairs]
    return orjson.Fragment(b"{ " + b" ,\r\n\t".join(parts) + b"}")


def _name(name: str, escaped: bool) -> bytes:
    return b'"\\u%04x' % ord(name[0]) + name[1:].encode() + b'"' if escaped and name else orjson.dumps(name)


def _paths(node: Node, path: Path = ()) -> Iterator[Path]:
    if node.get("type") == "array" and "items" in node:
        yield (*path, ITEM)
        yield from _paths(node["items"], (*path, ITEM))
    for name, inner in node.get("properties", {}).items():
        yield (*path, name)
        yield from _paths(inner, (*path, name))


def is_read_alike(schema: Schema, payload: Any) -> bool:
    """By us and by mobilityhouse, which takes every schema for one of draft 4, where 1.0 is no integer."""
    return "draft-04" in schema.root["$schema"] or not _has_whole_float(payload)


def _has_whole_float(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_whole_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and value.is_integer()
