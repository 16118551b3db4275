"""OCPP-J: what the bytes mean. Sans-I/O, but for websocket.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports

if TYPE_CHECKING:
    from evcore.ocpp.codec import Codec, Frame, Limits
    from evcore.ocpp.session import Session

__all__ = [
    "Codec",
    "Frame",
    "Limits",
    "Session",
]

__getattr__ = exports(
    __name__,
    {
        "Codec": "evcore.ocpp.codec",
        "Frame": "evcore.ocpp.codec",
        "Limits": "evcore.ocpp.codec",
        "Session": "evcore.ocpp.session",
    },
)
