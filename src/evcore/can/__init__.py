"""CAN: what the bytes mean. Sans-I/O, but for bus.py and log.py."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.can import gbt27930, j1939
    from evcore.can.bus import CanBus
    from evcore.can.database import Database, Message
    from evcore.can.frames import Frame
    from evcore.can.log import Log, read_log

__all__ = ["CanBus", "Database", "Frame", "Log", "Message", "gbt27930", "j1939", "read_log"]

_HOMES = {
    "CanBus": "bus",
    "Database": "database",
    "Frame": "frames",
    "Log": "log",
    "Message": "database",
    "read_log": "log",
}


def __getattr__(name: str) -> Any:
    """What others need of this room, loaded when first used."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in ("gbt27930", "j1939"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
