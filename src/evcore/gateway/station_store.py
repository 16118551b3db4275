"""Accepted stations on disk: rows of the table `stations`.

All functions take the connection that `Store.write` or `Store.read` hands to a work, and run inside its transaction.
"""

from __future__ import annotations

import sqlite3

from evcore.model import Station

_NAMES = ("id", "protocol", "vendor", "model", "serial", "firmware", "last_seen_ns")


def every(conn: sqlite3.Connection, limit: int) -> list[Station]:
    """The `limit` that were seen last, all offline."""
    found = conn.execute(f"SELECT {', '.join(_NAMES)} FROM stations ORDER BY last_seen_ns DESC LIMIT ?", (limit,))  # noqa: S608 - constant text
    return [Station(online=False, **dict(zip(_NAMES, row, strict=True))) for row in found]


def save(conn: sqlite3.Connection, station: Station) -> None:
    """Add or replace."""
    marks = ", ".join("?" * len(_NAMES))
    values = tuple(getattr(station, name) for name in _NAMES)
    conn.execute(f"INSERT OR REPLACE INTO stations VALUES ({marks})", values)  # noqa: S608 - constant text
