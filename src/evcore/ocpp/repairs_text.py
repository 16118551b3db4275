"""The repairs of messages that are no JSON, or no frame: done where the scan found the fault, then scanned again.

Each repair costs one scan, and there are few: linear in the size of the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from evcore.errors import FrameError
from evcore.ocpp.message_types import CALLERROR
from evcore.ocpp.repairs import Repair, table

MOST = 32  # repairs of the text of one message
_SPACE = b" \t\r\n"
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+("?)|[][{}]', re.DOTALL)  # a string that does not end is one token
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CONTROLS = bytes(range(0x20))
_CONTROL = re.compile(rb"[\x00-\x1f]")


class _Change(NamedTuple):
    """data[start:end] becomes `became`."""

    start: int
    end: int
    became: bytes
    was: str
    shown: str


def mend_text(data: bytes, error: FrameError, allowed: frozenset[str]) -> tuple[bytes, Repair] | None:
    """The message with the fault mended that a scan stopped at, None where no repair fits. One fault: scan again."""
    at = error.where
    if not isinstance(at, int) or not 0 <= at <= len(data):
        return None
    for name in _BY_REASON.get(error.reason, ()):
        change = _FIXES[name](data, at, error) if name in allowed else None
        if change is not None:
            mended = data[: change.start] + change.became + data[change.end :]
            return mended, Repair(name, f"@{at}", change.was, change.shown)
    return None


def _stray_comma(data: bytes, at: int, error: FrameError) -> _Change | None:
    here, before = data[at : at + 1], _before(data, at)
    last = data[before : before + 1]
    if here == b"," and last in (b"[", b"{", b","):
        return _Change(at, at + 1, b"", "a comma", "left out")
    if here in (b"]", b"}") and last == b",":
        return _Change(before, before + 1, b"", "a comma", "left out")
    return None


def _empty_value(data: bytes, at: int, error: FrameError) -> _Change | None:
    colon = _before(data, at)
    if data[at : at + 1] not in (b",", b"}") or data[colon : colon + 1] != b":":
        return None
    end = _before(data, colon)
    start = data.rfind(b'"', 0, end)
    name = data[start + 1 : end]
    if start < 0 or data[end : end + 1] != b'"' or re.fullmatch(rb"[A-Za-z0-9_]{1,64}", name) is None:
        return None
    was = f"{name.decode()} without a value"
    if data[at : at + 1] == b",":
        return _Change(start, at + 1, b"", was, "left out")
    comma = _before(data, start)
    return _Change(comma if data[comma : comma + 1] == b"," else start, at, b"", was, "left out")


def _raw_control(data: bytes, at: int, error: FrameError) -> _Change | None:
    """Outside a text the escape is no JSON either, and the next scan ends it."""
    end = data.find(b'"', at)
    if at == len(data) or data[at] >= 0x20 or end < 0:
        return None
    raw = data[at:end]
    count = len(raw) - len(raw.translate(None, _CONTROLS))
    if count > MOST:
        return None
    escaped = _CONTROL.sub(lambda found: b"\\u%04x" % found[0][0], raw)
    return _Change(at, end, escaped, f"{count} control characters", "escaped")


def _unclosed(data: bytes, at: int, error: FrameError) -> _Change | None:
    if at < len(data) or error.type not in table()["unclosed"].more["types"]:
        return None
    text = data.rstrip(_SPACE)
    if text[-1:] not in (b"]", b"}", b'"'):
        return None
    still_open: list[bytes] = []
    for found in _TOKENS.finditer(text):
        token = found[0]
        if found[1] == b"":
            return None
        if token in (b"[", b"{"):
            still_open.append(b"]" if token == b"[" else b"}")
        elif token in (b"]", b"}") and (not still_open or still_open.pop() != token):
            return None
    closing = b"".join(reversed(still_open))
    if not 1 <= len(closing) <= MOST:
        return None
    return _Change(len(text), len(data), closing, "nothing", closing.decode())


def _details_text(data: bytes, at: int, error: FrameError) -> _Change | None:
    """at: the element that is no object."""
    end = _before(data, len(data.rstrip(_SPACE)) - 1) + 1
    if data[at : at + 1] != b'"' or data[end - 1 : end] != b'"' or end - at < 2:
        return None
    if _STRING.fullmatch(data, at, end) is None:
        return None  # the description is the fault, not the details
    return _Change(at, end, b'{"text":' + data[at:end] + b"}", "a text", "an object")


def _error_short(data: bytes, at: int, error: FrameError) -> _Change | None:
    if error.type != CALLERROR:
        return None
    text = data.rstrip(_SPACE)
    plain = _STRING.sub(b"", text[1:-1])
    missing = {2: b',"",{}', 3: b",{}"}.get(plain.count(b","))
    if missing is None or b"[" in plain or b"{" in plain:
        return None
    return _Change(len(text) - 1, len(text) - 1, missing, "nothing", missing[1:].decode())


def _before(data: bytes, at: int) -> int:
    """Where the last byte before `at` is that is no space; -1 if there is none."""
    at -= 1
    while at >= 0 and data[at] in _SPACE:
        at -= 1
    return at


_FIXES: dict[str, Callable[[bytes, int, FrameError], _Change | None]] = {
    "empty_value": _empty_value,
    "stray_comma": _stray_comma,
    "raw_control": _raw_control,
    "unclosed": _unclosed,
    "details_text": _details_text,
    "error_short": _error_short,
}

_BY_REASON = {
    "json": ("empty_value", "stray_comma", "raw_control", "unclosed"),
    "error": ("details_text",),
    "arity": ("error_short",),
}
