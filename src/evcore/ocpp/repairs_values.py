"""The repairs of single values: what a violation of the schema is mended with, by `repairs.toml`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import orjson

from evcore.core.ocpp import is_date_time
from evcore.ocpp.judge import LEFT_OUT, Spot
from evcore.ocpp.repairs import Repair, Row, members, quote, table
from evcore.ocpp.violations import path_text, shorten

MOST = 256  # repairs of one message; who needs more is no charger

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)  # of JSON
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT)(\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_DIGITS = Context(traps=[InvalidOperation])  # whatever the caller's own context says
_INT64 = range(-(2**63), 2**63)


class TooMany(Exception):
    """More repairs than any charger needs."""


class Mender:
    """Mends the violations of one payload with the repairs that are allowed, and reports them."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self.repairs: list[Repair] = []
        self._allowed = allowed

    def __call__(self, spot: Spot) -> Any:
        """The mended value, LEFT_OUT, or None. Raises TooMany."""
        for row in _BY_RULE.get(spot.rule, ()):
            if row.name not in self._allowed or not (row.exact or spot.name not in members("billed")):
                continue
            mended = _FIXES[row.name](row, spot)
            if mended is None:
                continue
            if len(self.repairs) >= MOST:
                raise TooMany
            became = "left out" if mended is LEFT_OUT else _shown(row, mended)
            self.repairs.append(Repair(row.name, path_text(spot.path), _shown(row, spot.value), became))
            return mended
        return None


def _shown(row: Row, value: Any) -> str:
    """Words of an enumeration, times and numbers are quoted; any other text could be a secret."""
    telling = row.on & {"enum", "format"} or row.name in ("text_number", "number_text", "text_boolean")
    if isinstance(value, str) and telling:
        return shorten(orjson.dumps(value).decode())
    return quote(value)


def _null_left_out(row: Row, spot: Spot) -> Any:
    return LEFT_OUT if spot.value is None and _may_go(spot) else None


def _empty_left_out(row: Row, spot: Spot) -> Any:
    return LEFT_OUT if spot.value in ("", []) and _may_go(spot) else None


def _hollow_left_out(row: Row, spot: Spot) -> Any:
    return LEFT_OUT if spot.optional and spot.name in row.more["members"] else None


def _may_go(spot: Spot) -> bool:
    return spot.optional and not isinstance(spot.path[-1], int) and not _has_meaning(spot)


def _has_meaning(spot: Spot) -> bool:
    """Would its default change what a sample measures?"""
    if spot.name not in members("telling"):
        return False
    measurand = spot.holder.get("measurand", "") if isinstance(spot.holder, dict) else ""
    harmless = isinstance(measurand, str) and measurand and not measurand.startswith("Energy")
    return spot.name == "measurand" or not harmless


def _number_text(row: Row, spot: Spot) -> Any:
    if spot.node.get("type") != "string" or not isinstance(spot.value, (bool, int, float, Decimal)):
        return None
    if isinstance(spot.value, bool):
        return "true" if spot.value else "false"
    text = spot.value.text if isinstance(spot.value, Number) else str(spot.value)
    return None if "e" in text.lower() else text  # an exponent in a text could be anything, in a token most of all


def _object_text(row: Row, spot: Spot) -> Any:
    wanted = spot.node.get("type") == "string" and spot.name in row.more["members"] and len(spot.path) == 1
    return dump(spot.value).decode() if wanted and isinstance(spot.value, (dict, list)) else None


def _text_number(row: Row, spot: Spot) -> Any:
    kind = spot.node.get("type")
    if kind not in ("integer", "number") or not isinstance(spot.value, str) or len(spot.value) > 40:
        return None
    if _NUMBER.fullmatch(spot.value) is None:
        return None
    number = Decimal(spot.value)
    if kind == "integer" or (number == number.to_integral_value() and "." not in spot.value):
        return _whole(number)
    return number


def _whole(number: Decimal) -> int | None:
    """The integer that a number is, None if it is none, or one that no message may carry."""
    if number.adjusted() > 20 or number != number.to_integral_value() or int(number) not in _INT64:
        return None
    return int(number)


def _whole_number(row: Row, spot: Spot) -> Any:
    if spot.node.get("type") != "integer" or not isinstance(spot.value, (float, Decimal)):
        return None
    return _whole(Decimal(spot.value))


def _text_boolean(row: Row, spot: Spot) -> Any:
    if spot.node.get("type") != "boolean" or not isinstance(spot.value, str):
        return None
    return {"true": True, "false": False}.get(spot.value.lower())


def _number_boolean(row: Row, spot: Spot) -> Any:
    if spot.node.get("type") != "boolean" or not isinstance(spot.value, int):
        return None
    return {1: True, 0: False}.get(spot.value)


def _item_list(row: Row, spot: Spot) -> Any:
    wanted = spot.node.get("type") == "array" and spot.node.get("items", {}).get("type") == "object"
    return [spot.value] if wanted and isinstance(spot.value, dict) else None


def _enum_spelling(row: Row, spot: Spot) -> Any:
    words, meant = spot.node["enum"], row.more["words"].get(spot.value)
    if meant in words:
        return meant
    flat = _flat(spot.value)
    same = [word for word in words if _flat(word) == flat]
    return same[0] if len(same) == 1 and flat else None


def _flat(word: str) -> str:
    """Without case and separators, but for the dots of measurands."""
    return re.sub(r"[\s_-]", "", word).casefold()


def _enum_other(row: Row, spot: Spot) -> Any:
    if not spot.value:
        return None
    return next((word for word in row.more["words"] if word in spot.node["enum"]), None)


def _time_offset(row: Row, spot: Spot) -> Any:
    day, minute, second, zone = _time_parts(spot)
    hours, minutes = zone[:3], zone[3:].lstrip(":") or "00"
    return day + minute + second + f"{hours}:{minutes}" if len(zone) in (3, 5) else None


def _time_seconds(row: Row, spot: Spot) -> Any:
    day, minute, second, zone = _time_parts(spot)
    return f"{day}{minute}:00{zone}" if minute and not second else None


def _time_zone(row: Row, spot: Spot) -> Any:
    _, minute, _, zone = _time_parts(spot)
    return spot.value + "Z" if minute and not zone else None


def _time_parts(spot: Spot) -> tuple[str, str, str, str]:
    """Day, minute, second and zone of what would be a time if they were whole; empty where it would be none."""
    found = _TIME.fullmatch(spot.value) if spot.node.get("format") == "date-time" else None
    if found is None or not is_date_time(f"{found[1]}{found[2]}:00Z"):
        return "", "", "", ""
    return found[1], found[2], found[3] or "", found[4] or ""


def _time_left_out(row: Row, spot: Spot) -> Any:
    no_time = spot.node.get("format") == "date-time" and spot.value and not any(_time_parts(spot))
    return LEFT_OUT if no_time and _may_go(spot) else None


def _cut(row: Row, spot: Spot) -> Any:
    return spot.value[: spot.node["maxLength"]] if spot.name in row.more["members"] else None


def _unknown_left_out(row: Row, spot: Spot) -> Any:
    """A misspelled name is no unknown one: what it holds is not to be lost."""
    return None if _flat(spot.name) in map(_flat, spot.node.get("properties", ())) else LEFT_OUT


_FIXES: dict[str, Callable[[Row, Spot], Any]] = {
    "null_left_out": _null_left_out,
    "empty_left_out": _empty_left_out,
    "hollow_left_out": _hollow_left_out,
    "number_text": _number_text,
    "object_text": _object_text,
    "text_number": _text_number,
    "text_boolean": _text_boolean,
    "number_boolean": _number_boolean,
    "whole_number": _whole_number,
    "item_list": _item_list,
    "enum_spelling": _enum_spelling,
    "enum_other": _enum_other,
    "time_offset": _time_offset,
    "time_seconds": _time_seconds,
    "time_zone": _time_zone,
    "time_left_out": _time_left_out,
    "cut": _cut,
    "unknown_left_out": _unknown_left_out,
}

_BY_RULE: dict[str, list[Row]] = {}
for _row in table().values():
    for _rule in _row.on:
        _BY_RULE.setdefault(_rule, []).append(_row)


class Number(Decimal):
    """A number with a fraction or exponent; text: as it was received."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Number:
        number = super().__new__(cls, text, _DIGITS)
        number.text = text
        return number


def dump(value: object) -> bytes:
    """JSON of a payload that `parse` read: numbers keep their digits."""
    return orjson.dumps(value, default=_digits)


def _digits(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(value.text if isinstance(value, Number) else str(value))
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def parse(text: bytes) -> Any:
    """A payload with its digits, from JSON that a scan found right."""
    import json

    return json.loads(text, parse_float=_number)


def _number(text: str) -> Number | float:
    try:
        return Number(text)
    except InvalidOperation:  # an exponent beyond any use, of a zero or of next to nothing
        return float(text)
