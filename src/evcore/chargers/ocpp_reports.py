"""Reports that a station tells in parts (NotifyReport, NotifyMonitoringReport), put together for whoever asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_ITEMS, MAX_BYTES = 20_000, 4 << 20  # of one report; what is beyond is left out, and the report is not complete
AT_ONCE = 4  # reports of one station that somebody waits for


@dataclass(slots=True)
class Report:
    """The parts so far. cut: one was left out, since it was too much. complete: all have come."""

    items: list[Any] = field(default_factory=list)
    size: int = 0
    cut: bool = False
    _seen: set[int] = field(default_factory=set)
    _last: int | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def complete(self) -> bool:
        return self._last is not None and not self.cut and self._seen.issuperset(range(self._last + 1))

    def add(self, seq_no: int, items: Sequence[Any], size: int, *, more: bool) -> None:
        """size: bytes of the message. more: further parts follow (tbc). A part that came before changes nothing."""
        if seq_no in self._seen or self._over.is_set():
            return
        if len(self.items) + len(items) > MAX_ITEMS or self.size + size > MAX_BYTES:
            self.cut = True
        else:
            self.items += items
            self.size += size
            self._seen.add(seq_no)
        if not more:
            self._last = seq_no
        if self.cut or self.complete:
            self._over.set()

    async def wait(self, seconds: float) -> None:
        """Until it is complete, or too long, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
