"""Connectors to what charges cars."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.chargers.ocpp_server import OcppServer

__all__ = ["OcppServer"]

_HOME = {"OcppServer": "ocpp_server"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
