"""Connectors to what measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.meters.can_source import CanSource
    from evcore.meters.modbus_meter import ModbusMeter

__all__ = [
    "CanSource",
    "ModbusMeter",
]

__getattr__ = exports(
    __name__,
    {
        "CanSource": "evcore.meters.can_source",
        "ModbusMeter": "evcore.meters.modbus_meter",
    },
)
__dir__ = listing(__name__)
