"""Samples as JSON or as CSV (RFC 4180), made in pieces so that ten thousand rows do not hold up the loop."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Sequence

from evcore.backends.http.call import CSV, Call, Reply
from evcore.backends.http.encode import encode
from evcore.model import Sample, rfc3339, wire

COLUMNS = (
    *("time", "source", "evse", "connector", "measurand", "phase", "location", "context"),
    *("unit", "value", "digits", "quality", "session", "signed"),
)
PIECE = 200


async def samples_reply(call: Call, samples: Sequence[Sample], name: str) -> Reply:
    """In the media type that the call wants; name: of the file that a browser saves."""
    if call.wants == CSV:
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        headers = {"Content-Disposition": f'attachment; filename="{safe}.csv"', "Vary": "Accept"}
        return Reply(await _csv(samples), media=f"{CSV}; charset=utf-8; header=present", headers=headers)
    parts = []
    for start in range(0, len(samples), PIECE):
        parts.append(encode([wire(sample) for sample in samples[start : start + PIECE]])[1:-1])
        await asyncio.sleep(0)
    return Reply(b'{"items":[' + b",".join(parts) + b"]}", headers={"Vary": "Accept"})


async def _csv(samples: Sequence[Sample]) -> bytes:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for start in range(0, len(samples), PIECE):
        for sample in samples[start : start + PIECE]:
            cells = [getattr(sample, column) for column in COLUMNS[1:]]
            table.writerow([rfc3339(sample.time_ns), *(_cell(cell) for cell in cells)])
        await asyncio.sleep(0)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front; numbers stay as they are."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return value if re.fullmatch(r"[+-]?[0-9][0-9.]*([eE][+-]?[0-9]+)?", value) else "'" + value
    return value
