"""A secret of the configuration: it can be used, but not printed."""

from __future__ import annotations

import binascii
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

SHORTEST = 4  # characters; what is shorter protects nothing, and masking it would make logs unreadable


class SecretProblem(ValueError):
    """Why a secret of the file cannot be used. key: below the secret's own key, "" for the secret itself."""

    def __init__(self, key: str, expected: str, got: str) -> None:
        self.key, self.expected, self.got = key, expected, got
        super().__init__(f"expected {expected}, got {got}")


class Secret:
    """A password or key. `reveal()` gives it; str, repr, format and pickle never do."""

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value

    def reveal(self) -> str | bytes:
        """The secret itself: text, or bytes where the file says `encoding = "hex"`."""
        return self._value

    def text(self) -> str:
        """The secret as text. Raises ValueError for bytes that are no UTF-8."""
        return self._value if isinstance(self._value, str) else self._value.decode()

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_as_bytes(self._value), _as_bytes(other._value))

    def __hash__(self) -> int:
        return hash(_as_bytes(self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written to a pickle")


def read_secret(value: Any, base: Path, environ: Mapping[str, str] = os.environ) -> Secret:
    """A secret as the file gives it: "text", { env = "NAME" } or { file = "path" }, the path relative to `base`.

    With `encoding = "hex"` it is bytes (OCPP 1.6 AuthorizationKey: 40 hex digits are 20 bytes). One newline at the end
    of a file is not part of the secret. Raises SecretProblem, whose text never holds the secret.
    """
    if isinstance(value, str):
        return _checked("", value, "")
    if not isinstance(value, dict):
        raise SecretProblem("", 'text, { env = "NAME" } or { file = "path" }', type(value).__name__)
    unknown = sorted(set(value) - {"env", "file", "encoding"})
    if unknown:
        raise SecretProblem(f".{unknown[0]}", "env, file or encoding", "an unknown key")
    encoding = value.get("encoding", "text")
    if encoding not in ("text", "hex"):
        raise SecretProblem(".encoding", '"text" or "hex"', repr(encoding)[:40])
    match value:
        case {"env": str(name), **rest} if "file" not in rest:
            if name not in environ:
                raise SecretProblem(".env", f"the environment variable {name}", "it is not set")
            return _checked(".env", environ[name], encoding)
        case {"file": str(name), **rest} if "env" not in rest:
            return _checked(".file", _read(base / name), encoding)
    raise SecretProblem("", 'one of { env = "NAME" } and { file = "path" }', "a table of keys " + ", ".join(value))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretProblem(".file", f"a readable file {path}", str(reason)) from None


def _checked(key: str, text: str, encoding: str) -> Secret:
    if len(text) < SHORTEST:
        raise SecretProblem(key, f"a secret of at least {SHORTEST} characters", f"{len(text)} characters")
    if encoding != "hex":
        return Secret(text)
    try:
        return Secret(binascii.unhexlify(text))
    except ValueError:
        raise SecretProblem(key, "an even number of hex digits", f"{len(text)} other characters") from None


def _as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
