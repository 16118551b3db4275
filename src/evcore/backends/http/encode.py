"""JSON out, for REST and feed: whatever a device's answer holds is written, never refused."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec


def _other(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


_encoder = msgspec.json.Encoder(enc_hook=_other, decimal_format="number")


def encode(value: Any) -> bytes:
    """UTF-8 JSON; a Decimal is a number with its digits, NaN and infinities become null, half a surrogate pair a
    question mark, what has no form its text.

    Raises RecursionError for a value that contains itself.
    """
    try:
        text = _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_readable(value))
    if b"NaN" in text or b"Infinity" in text:  # maybe of a Decimal, which msgspec writes as they are
        return _encoder.encode(_readable(value))
    return text


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, Mapping):
        return {_readable(key): _readable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(inner) for inner in value]
    return value
