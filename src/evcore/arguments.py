"""Arguments of commands: checked and completed by the table of `evcore.vocabulary`, and their JSON schema."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from evcore.verbs import Verb
from evcore.vocabulary import ARGUMENTS, Arg, Args

_WORDS = {
    "text": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "time": "a time with a zone (RFC 3339)",
    "scalar": "text, a number, true or false",
    "object": "an object",
    "list": "a list",
}


class BadArgument(ValueError):
    """An argument is missing or wrong: which, expected, got. Never its text, which may be a secret."""


def read(verb: Verb, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with their defaults; what was left out and has none is not in it. Times become RFC 3339 text in
    UTC. Raises BadArgument: unknown, missing, or wrong.
    """
    return _members(ARGUMENTS[verb], given, "")


def schema(verb: Verb) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the arguments of a verb."""
    return _object_schema(ARGUMENTS[verb])


def _members(args: Args, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    unknown = [name for name in given if name not in args]
    if unknown:
        known = ", ".join(args) or "none"
        raise BadArgument(f"{path}{str(unknown[0])[:40]}: no such argument; there are {known}")
    found = {}
    for name, arg in args.items():
        value = given.get(name)
        if value is None:
            if arg.required:
                raise BadArgument(f"{path}{name}: missing")
            value = arg.default
        else:
            value = _value(arg, value, path + name)
        if value is not None:
            found[name] = value
    return found


def _value(arg: Arg, value: Any, path: str) -> Any:
    match arg.kind:
        case "text":
            _expect(isinstance(value, str), arg, value, path)
            if arg.one_of and value not in arg.one_of:
                raise BadArgument(f"{path}: expected {', '.join(arg.one_of)}")
            _in_bounds(arg, len(value), path, " characters")
        case "integer":
            if isinstance(value, float) and value.is_integer():
                value = int(value)  # 1.0 is an integer in JSON schema
            _expect(isinstance(value, int) and not isinstance(value, bool), arg, value, path)
            _in_bounds(arg, value, path)
        case "number":
            _expect(_is_number(value), arg, value, path)
            if not math.isfinite(value):
                raise BadArgument(f"{path}: expected a finite number, got {value}")
            _in_bounds(arg, value, path)
        case "boolean":
            _expect(isinstance(value, bool), arg, value, path)
        case "scalar":
            _expect(isinstance(value, str | bool) or _is_number(value), arg, value, path)
            value = _scalar(value)
            _in_bounds(arg, len(value), path, " characters")
        case "time":
            return _time(arg, value, path)
        case "object":
            _expect(isinstance(value, Mapping), arg, value, path)
            return _members(arg.members, value, f"{path}.") if arg.members else value
        case "list":
            _expect(isinstance(value, list | tuple), arg, value, path)
            _in_bounds(arg, len(value), path, " items")
            return [_value(arg.item, item, f"{path}[{at}]") for at, item in enumerate(value)] if arg.item else value
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _scalar(value: str | int | float | Decimal) -> str:
    """As OCPP writes it: true and false in small letters."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _time(arg: Arg, value: Any, path: str) -> str:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(time, datetime) or time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise BadArgument(f"{path}: expected {_WORDS[arg.kind]}") from None


def _expect(right: bool, arg: Arg, value: Any, path: str) -> None:
    if not right:
        raise BadArgument(f"{path}: expected {_WORDS[arg.kind]}, got {type(value).__name__}")


def _in_bounds(arg: Arg, size: float | Decimal, path: str, what: str = "") -> None:
    if (arg.least is not None and size < arg.least) or (arg.most is not None and size > arg.most):
        least = "" if arg.least is None else f"{arg.least:.10g}"
        most = "" if arg.most is None else f"{arg.most:.10g}"
        bounds = f"{least} to {most}" if least and most else f"at least {least}" if least else f"at most {most}"
        raise BadArgument(f"{path}: expected {bounds}{what}, got {str(size)[:40]}")


def _object_schema(args: Args) -> dict[str, Any]:
    result: dict[str, Any] = {
        "type": "object",
        "properties": {name: _arg_schema(arg) for name, arg in args.items()},
        "additionalProperties": False,
    }
    if required := [name for name, arg in args.items() if arg.required]:
        result["required"] = required
    return result


def _arg_schema(arg: Arg) -> dict[str, Any]:
    result: dict[str, Any] = {"description": arg.about}
    least, most = _BOUNDS.get(arg.kind, ("", ""))
    match arg.kind:
        case "text":
            result |= {"type": "string"} | ({"enum": list(arg.one_of)} if arg.one_of else {})
        case "time":
            result |= {"type": "string", "format": "date-time"}
        case "scalar":
            result["type"] = ["string", "number", "boolean"]
        case "object":
            result |= _object_schema(arg.members) if arg.members else {"type": "object"}
        case "list":
            result |= {"type": "array"} | ({"items": _arg_schema(arg.item)} if arg.item else {})
        case "any":
            pass
        case _:
            result["type"] = arg.kind
    if least and arg.least is not None:
        result[least] = arg.least
    if most and arg.most is not None:
        result[most] = arg.most
    if arg.default is not None:
        result["default"] = arg.default
    return result


_BOUNDS = {
    "text": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "list": ("minItems", "maxItems"),
}
