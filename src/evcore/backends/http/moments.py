"""Times of requests as int nanoseconds since 1970, within what 64 bits and so every store can hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_NS = 2**63 - 1  # 2262-04-11


def exact_ns(moment: datetime) -> int:
    """To the microsecond, without a float between."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def nearest_ns(moment: datetime) -> int:
    """0 for what was before 1970, LAST_NS for what comes after it."""
    return min(max(exact_ns(moment), 0), LAST_NS)
