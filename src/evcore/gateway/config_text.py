"""From TOML text to the tables of config.py, and from msgspec's messages to ConfigError."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from evcore.errors import ConfigError
from evcore.gateway.secret import Secret, SecretProblem

T = TypeVar("T")
LONGEST = 80  # characters of a value that a message shows
_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
    "datetime": "a time like 2027-01-01T00:00:00Z",
    "path": "a path",
    "null": "",
}


def read_toml(text: str, file: str) -> dict[str, Any]:
    """The tables in `text`. Raises ConfigError with the line."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        raise ConfigError(file, place.rstrip(")"), "TOML", reason[:LONGEST]) from None
    except RecursionError:
        raise ConfigError(file, "", "TOML", "brackets within brackets without end") from None
    if "file" in raw:  # a field of Config, but no key of the file
        raise ConfigError(file, "file", "a known key", "an unknown key")
    return raw


def convert(raw: dict[str, Any], kind: type[T], file: str, custom: Callable[[type, Any], Any]) -> T:
    """`raw` as `kind`, nothing coerced. custom: makes what msgspec does not know. Raises ConfigError."""
    try:
        return msgspec.convert(raw, kind, dec_hook=custom)
    except msgspec.ValidationError as error:
        key, expected, got = _explain(error, raw, kind)
        raise ConfigError(file, key, expected, got) from None


def _explain(error: msgspec.ValidationError, raw: dict[str, Any], kind: type) -> tuple[str, str, str]:
    what, _, place = str(error).partition(" - at `$")
    steps = [
        int(index) if index else name for name, index in re.findall(r"\.([^.\[`]+)|\[(\d+)\]", place.removesuffix("`"))
    ]
    key = _spell(steps)
    if isinstance(error.__cause__, SecretProblem):
        problem = error.__cause__
        return key + problem.key, problem.expected, problem.got
    value, spec = _at(raw, inspect.type_info(kind), steps)
    if found := re.fullmatch("Object contains unknown field `(.*)`", what, re.S):
        return _join(key, found[1]), _names(spec, found[1]), "an unknown key"
    if found := re.fullmatch("Object missing required field `(.*)`", what):
        return _join(key, found[1]), "a value", "nothing"
    if isinstance(spec, inspect.LiteralType):
        return key, "one of " + ", ".join(map(str, spec.values)), _show(value)
    if isinstance(spec, inspect.VarTupleType) and isinstance(spec.item_type, inspect.StructType) and len(steps) == 1:
        return key, f"a list of tables, each below [[{key}]]", _show(value)
    if found := re.fullmatch("Expected `([^`]*)`, got `[^`]*`", what):
        return key, _words(found[1]), _show(value, hidden=_is_secret(spec))
    if found := re.fullmatch("Expected `([^`]*)` (.*)", what, re.S):
        return key, f"{_words(found[1])} {found[2]}", _show(value, hidden=_is_secret(spec))
    return key, what.removeprefix("Invalid ").removeprefix("Expected "), _show(value, hidden=_is_secret(spec))


def _at(value: Any, spec: inspect.Type, steps: list[int | str]) -> tuple[Any, inspect.Type]:
    """What stands at `steps` in the raw file, and what should."""
    spec = _plain(spec)
    for step in steps:
        value = value[step]
        if isinstance(spec, inspect.StructType):
            spec = _plain(next(field.type for field in spec.fields if field.encode_name == step))
        elif isinstance(spec, inspect.VarTupleType):
            spec = _plain(spec.item_type)
    return value, spec


def _plain(spec: inspect.Type) -> inspect.Type:
    """The type without `| None`."""
    if isinstance(spec, inspect.UnionType):
        return next(part for part in spec.types if not isinstance(part, inspect.NoneType))
    return spec


def _names(spec: inspect.Type, wrong: str) -> str:
    if not isinstance(spec, inspect.StructType):
        return "a known key"
    names = [field.encode_name for field in spec.fields if field.encode_name != "file"]
    close = difflib.get_close_matches(wrong, names, n=1)
    return f"a known key, perhaps {close[0]}" if close else "one of " + ", ".join(names)


def _words(types: str) -> str:
    words = [_WORDS.get(name.strip(), name.strip()) for name in types.split("|")]
    return " or ".join(filter(None, words))


def _is_secret(spec: inspect.Type) -> bool:
    """Is it a secret, or a list of them (where somebody wrote one secret without brackets)?"""
    if isinstance(spec, inspect.VarTupleType):
        spec = spec.item_type
    return isinstance(spec, inspect.CustomType) and spec.cls is Secret


def _show(value: Any, hidden: bool = False) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if hidden:
        return _WORDS.get(type(value).__name__, "another value")
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _spell(steps: list[int | str]) -> str:
    key = ""
    for step in steps:
        key = f"{key}[{step}]" if isinstance(step, int) else _join(key, step)
    return key


def _join(key: str, name: str) -> str:
    name = name if re.fullmatch("[A-Za-z0-9_-]+", name) else repr(name)[:LONGEST]
    return f"{key}.{name}" if key else name
