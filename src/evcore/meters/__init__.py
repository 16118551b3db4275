"""Connectors to what measures."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.meters.can_source import CanSource as CanSource
    from evcore.meters.modbus_meter import ModbusMeter as ModbusMeter

_WHERE = {"CanSource": "evcore.meters.can_source", "ModbusMeter": "evcore.meters.modbus_meter"}


def __getattr__(name: str) -> Any:
    """On first use, so that nobody pays for a library that he does not use."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
