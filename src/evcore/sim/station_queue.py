"""The transaction messages of a simulated station: sent in order, kept until they are answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from evcore.errors import CallError, LinkError, MessageError

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """One CALL of the station and the CSMS's answer to it, as the station saw it. message_id: of the try that was
    answered. answer: None where it was refused (error says how)."""

    message_id: str
    action: str
    payload: Payload
    answer: Payload | None
    error: str = ""


@dataclass(slots=True)
class Entry:
    """One message. build: makes the payload when it is sent, since 1.6's transaction id may only then be known.
    answered: told of the answer."""

    action: str
    build: Callable[[], Payload]
    answered: Callable[[Payload], None] = lambda answer: None
    attempts: int = 0


class TransactionQueue:
    """First in, first out; an entry leaves when it was answered, or refused `attempts` times (OCPP 1.6, 9.1.21
    TransactionMessageAttempts). Every try has a message id of its own.

    call: sends a CALL and returns the payload of its answer. retry_s: real seconds before the next try.
    """

    def __init__(
        self, call: Callable[[str, Payload], Awaitable[Any]], *, attempts: int = 3, retry_s: float = 1.0
    ) -> None:
        self._call, self._attempts, self._retry_s = call, attempts, retry_s
        self._entries: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.given_up: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Waits until nothing is left to send."""
        await self._idle.wait()

    async def run(self, online: asyncio.Event) -> None:
        """Send what is there whenever `online` is set; until cancelled."""
        while True:
            if not self._entries:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            await online.wait()
            entry = self._entries[0]
            entry.attempts += 1
            try:
                answer = await self._call(entry.action, entry.build())
            except (CallError, MessageError):
                if entry.attempts >= self._attempts:
                    self.given_up.append(self._entries.popleft())
                else:
                    await asyncio.sleep(self._retry_s * entry.attempts)
            except LinkError:  # offline time does not count
                entry.attempts -= 1
                await asyncio.sleep(self._retry_s / 10)
            else:
                self._entries.popleft()
                entry.answered(answer)
