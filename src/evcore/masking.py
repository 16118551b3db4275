"""What must not be shown, found by its name: passwords, keys, the user part of URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

HIDDEN = "***"
_SECRET = re.compile(r"password|authorization_?key|secret|credential|private_?key|api_?key", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^/?#@\s]*@")


def is_secret(name: str) -> bool:
    """Does a setting of this name hold a secret?"""
    return _SECRET.search(name) is not None


def names_a_secret(value: Mapping[Any, Any]) -> bool:
    """Is this {key: AuthorizationKey, value: ...} (OCPP 1.6) or {variable: {name: BasicAuthPassword}, ...} (2.x)?"""
    for name in ("key", "variable", "name"):
        part = value.get(name)
        if isinstance(part, Mapping):
            part = part.get("name")
        if isinstance(part, str) and is_secret(part):
            return True
    return False


def hides(key: Any, *, values: bool) -> bool:
    """Is the member of this name secret? values: of a mapping that `names_a_secret`."""
    name = str(key)
    return is_secret(name) or (values and name.lower().endswith("value"))


def without_user(text: str) -> str:
    """The text with user and password of every URL in it hidden."""
    return _USER_INFO.sub(f"{HIDDEN}@", text)


def masked(value: Any, *, values: bool = False) -> Any:
    """JSON values with what is secret hidden. values: they belong to a setting that is."""
    if isinstance(value, str):
        return without_user(value) if "://" in value else value
    if isinstance(value, Mapping):
        values = values or names_a_secret(value)
        return {
            key: HIDDEN if hides(key, values=values) else masked(part, values=values) for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(part, values=values) for part in value]
    return value


def secrets_in(value: Any, *, values: bool = False) -> Iterator[str]:
    """Every text that `masked` would hide: for texts of others that may repeat it."""
    if isinstance(value, str):
        yield from (found.removesuffix("@") for found in _USER_INFO.findall(value))
    elif isinstance(value, Mapping):
        values = values or names_a_secret(value)
        for key, part in value.items():
            if hides(key, values=values):
                yield str(part)
            else:
                yield from secrets_in(part, values=values)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from secrets_in(part, values=values)
