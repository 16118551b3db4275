"""CAN: what the bytes mean. Sans-I/O, but for bus.py and log.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.can import gbt27930, j1939
    from evcore.can.bus import CanBus
    from evcore.can.database import Database, Message
    from evcore.can.frames import Frame
    from evcore.can.log import Log, read_log

__all__ = [
    "CanBus",
    "Database",
    "Frame",
    "Log",
    "Message",
    "gbt27930",
    "j1939",
    "read_log",
]

__getattr__ = exports(
    __name__,
    {
        "CanBus": "evcore.can.bus",
        "Database": "evcore.can.database",
        "Frame": "evcore.can.frames",
        "Log": "evcore.can.log",
        "Message": "evcore.can.database",
        "gbt27930": "evcore.can.gbt27930",
        "j1939": "evcore.can.j1939",
        "read_log": "evcore.can.log",
    },
)
__dir__ = listing(__name__)
