"""Signals as `MessagePlan` takes them."""

from __future__ import annotations

from typing import Any


def signal(name: str, start: int, bits: int, **changes: Any) -> dict[str, Any]:
    """Little-endian, unsigned, one to one, unless changed."""
    whole: dict[str, Any] = {
        "name": name,
        "start": start,
        "bits": bits,
        "big_endian": False,
        "kind": "unsigned",
        "factor": 1,
        "offset": 0,
        "choices": None,
        "selector": None,
        "values": [],
        "known": None,
    }
    return whole | changes
