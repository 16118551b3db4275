"""OCPP frames in a text: one a line, a JSON array of them, or log lines that hold them somewhere.

Understood are logs in which the frame stands as it was sent, on one line or many, after whatever the program writes:
time, station, direction; and logs of JSON objects that hold it as a list or as a text. What shortens its frames, or
says the same frame again in an error, adds nothing.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["received", "sent"]

_AGAIN = 64  # frames back that may be said again in an error
_START = re.compile(r'\[\s*[2-6]\s*,\s*(?:(?P<escape>\\?)"|\d+\s*,)')
_ESCAPED = re.compile(r'(?:[^"\\\n]|\\.)*')
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[][{}]')
_SHORTENED = re.compile(r"\.\.\.[^\n]{0,80}\[\d+ bytes\]")  # how `websockets` logs

_TIME = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?|^\(\d{9,10}\.\d{1,9}\)"
)
_RECEIVED = re.compile(r"\b(?:recv|rx|receive[ds]?|receiving|incoming|inbound|in)\b|<-|<=|<<|< TEXT", re.IGNORECASE)
_SENT = re.compile(r"\b(?:sent|send|sending|tx|outgoing|outbound|out)\b|->|=>|>>|> TEXT", re.IGNORECASE)
_STATION = (
    re.compile(r"(?:charge(?:Box|Point)|station|cp)_?(?:Id)?[\"']?\s*[=:]\s*[\"']?([^\s,\"'\];]+)", re.IGNORECASE),
    re.compile(r"\b(?:from|to)\s+([^\s:]+):?\s*$", re.IGNORECASE),
    re.compile(r"\b(?:recv|send|sent|received?)\s+([^\s:]+):\s*$", re.IGNORECASE),
    re.compile(r"(?:^|[\s:])([^\s:\[\]]+)\s*:\s*(?:receive message|send|receive|recv|sent)\s*$", re.IGNORECASE),
    re.compile(r"(?:^|[\s)])([^\s:\[\]()]+)\s+(?:<-|->|<=|=>|<<|>>)\s*$"),
    re.compile(r"(?:<-|->|<=|=>|<<|>>)\s+([^\s:\[\]()]+)\s*$"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """One frame as it stands in the text. line: of its begin, from 1. direction, station, time: what its line says of
    it. data: the frame."""

    line: int
    data: bytes
    direction: Direction | None = None
    station: str = ""
    time: str = ""


def find_frames(text: str) -> Iterator[Found]:
    """The frames in a text, in order. Bytes that are no UTF-8 should be in it as `surrogateescape` reads them."""
    recent: deque[str] = deque(maxlen=_AGAIN)
    line, counted, at = 1, 0, 0
    while (found := _START.search(text, at)) is not None:
        start = found.start()
        frame, at = _frame(text, start, escaped=bool(found["escape"]))
        begin = text.rfind("\n", 0, start) + 1
        before = text[max(begin, start - 400) : start]
        direction = _direction(before)
        said_again = direction is None and frame in recent and before.rstrip()[-1:] not in ("", "[", ",")
        if said_again or _SHORTENED.search(text[start : start + 200].partition("\n")[0]):
            continue
        recent.append(frame)
        line, counted = line + text.count("\n", counted, start), start
        yield Found(line, _encoded(frame), direction, _station(before), _time(before))


def _frame(text: str, start: int, *, escaped: bool) -> tuple[str, int]:
    """The frame that begins at `start`, and where it ends."""
    if escaped:
        found = _ESCAPED.match(text, start)
        inner = found[0] if found is not None else ""
        try:
            return str(json.loads(f'"{inner}"')), start + len(inner)
        except ValueError:
            return inner, start + max(1, len(inner))
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        end = _end_of_broken(text, start)
    return text[start:end], end


def _encoded(frame: str) -> bytes:
    """The bytes of a text that was read with `surrogateescape`; half a surrogate pair of its own stays broken."""
    try:
        return frame.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return frame.encode("utf-8", "surrogatepass")


def _end_of_broken(text: str, start: int) -> int:
    """Where a frame ends that is no JSON: at the quote it stands in, at its last bracket, or with its line."""
    line = text.find("\n", start)
    line = len(text) if line < 0 else line
    quote = text[start - 1 : start]
    quoted = text.find(quote, start, line) if quote in ("'", "`") else -1
    if quoted > 0:
        return quoted
    following = _START.search(text, start + 1)
    depth = 0
    for found in _TOKEN.finditer(text, start, len(text) if following is None else following.start()):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return start + len(text[start:line].rstrip())


def _direction(before: str) -> Direction | None:
    """The last word or arrow before the frame counts."""
    last: tuple[int, Direction] | None = None
    words: tuple[tuple[re.Pattern[str], Direction], ...] = ((_RECEIVED, "received"), (_SENT, "sent"))
    for pattern, direction in words:
        for found in pattern.finditer(before):
            if last is None or found.start() > last[0]:
                last = found.start(), direction
    return None if last is None else last[1]


def _station(before: str) -> str:
    for pattern in _STATION:
        found = pattern.search(before.rstrip("'\"` "))
        if found is not None:
            return found[1][:48]
    return ""


def _time(before: str) -> str:
    found = _TIME.search(before)
    return "" if found is None else found[0]


def seconds_between(earlier: str, later: str) -> float | None:
    """How long between two times of a log; None where one is none, or they are of different kinds."""
    try:
        between = (_clock(later) - _clock(earlier)).total_seconds()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return between if between >= 0 else None


def _clock(time: str) -> datetime:
    if time.startswith("("):
        return datetime.fromtimestamp(float(time.strip("()")), UTC)
    return datetime.fromisoformat(time.replace("/", "-").replace(",", "."))
