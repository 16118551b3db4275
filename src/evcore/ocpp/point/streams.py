"""Whatever a `ChargePoint` may be given as its connection: objects that receive and send one text at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

# methods that receive and send: FastAPI and Starlette, aiohttp, then websockets and all that look like it. Starlette's
# WebSocket has a `send` too, of another meaning, so the special names come first.
_NAMES = (("receive_text", "send_text"), ("receive_str", "send_str"), ("recv", "send"))


def receiver_of(connection: Any) -> Callable[[], Awaitable[str | bytes]]:
    return _method(connection, 0)


def sender_of(connection: Any) -> Callable[[str], Awaitable[None]]:
    return _method(connection, 1)


def _method(connection: Any, which: int) -> Callable[..., Awaitable[Any]]:
    kind: type = type(connection)
    method: Callable[..., Awaitable[Any]] = getattr(connection, _names_of(kind)[which])
    return method


@lru_cache(maxsize=64)
def _names_of(kind: type) -> tuple[str, str]:
    return next((names for names in _NAMES if all(hasattr(kind, name) for name in names)), _NAMES[-1])
