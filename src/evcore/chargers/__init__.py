"""Connectors to what charges cars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports

if TYPE_CHECKING:
    from evcore.chargers.ocpp_server import OcppServer

__all__ = [
    "OcppServer",
]

__getattr__ = exports(
    __name__,
    {
        "OcppServer": "evcore.chargers.ocpp_server",
    },
)
