"""A station that says only what a test says, on our own WebSocket, and keeps what came."""

from __future__ import annotations

import json
from typing import Any


class BareStation:
    """A `Receiver`. end: code and reason, once the connection has ended."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.end: tuple[int, str] | None = None
        self.connection: Any = None

    def opened(self, connection: Any) -> None:
        self.connection = connection

    def received(self, data: bytes) -> None:
        self.messages.append(json.loads(data))

    def closed(self, code: int, reason: str) -> None:
        self.end = (code, reason)

    def send(self, message: Any) -> None:
        self.connection.send(json.dumps(message).encode())
