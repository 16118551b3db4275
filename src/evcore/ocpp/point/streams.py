"""Whatever a `ChargePoint` may be given as its connection: objects that receive and send one text at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

# methods that receive and send: FastAPI and Starlette, aiohttp, then websockets and all that look like it. Starlette's
# WebSocket has a `send` too, of another meaning, so the special names come first.
_NAMES = (("receive_text", "send_text"), ("receive_str", "send_str"), ("recv", "send"))


def receiver_of(connection: Any) -> Callable[[], Awaitable[str | bytes]]:
    return _method(connection, 0)


def sender_of(connection: Any) -> Callable[[str], Awaitable[None]]:
    return _method(connection, 1)


def _method(connection: Any, which: int) -> Callable[..., Awaitable[Any]]:
    for names in _NAMES:
        if all(hasattr(type(connection), name) for name in names):
            method: Callable[..., Awaitable[Any]] = getattr(connection, names[which])
            return method
    fallback: Callable[..., Awaitable[Any]] = getattr(connection, _NAMES[-1][which])
    return fallback
