"""CAN: what the bytes mean. Sans-I/O, but for bus.py and log.py."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.can.database import Database, Message

__all__ = ["Database", "Message"]

_HOMES = {"Database": "database", "Message": "database"}


def __getattr__(name: str) -> Any:
    """What others need of this room, loaded when first used."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
