"""The times of OCPP messages: RFC 3339 text to ns since 1970 UTC. Back: `evcore.model.rfc3339`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_END = datetime(2262, 1, 1, tzinfo=UTC)  # int64 nanoseconds end in that year


def parse_time(text: str) -> int:
    """`2026-11-23T18:30:37.123Z` to ns; without a zone it is taken as UTC. Raises ValueError, also outside 1970 to
    2261."""
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"time: expected 1970 to 2261, got {text[:40]!r}") from None
    if not _EPOCH <= time < _END:
        raise ValueError(f"time: expected 1970 to 2261, got {text[:40]!r}")
    return (time - _EPOCH) // _MICROSECOND * 1000
