"""Waiting for what must come about, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], what: str = "the condition", within_s: float = 10.0) -> Any:
    """The first true value of a condition, polled fast, with a generous limit."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true"
        await asyncio.sleep(0.005)
    return value
