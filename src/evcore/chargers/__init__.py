"""Connectors to what charges cars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports

if TYPE_CHECKING:
    from evcore.chargers.ocpp_server import OcppServer
    from evcore.chargers.ocpp_services import StationRules

__all__ = [
    "OcppServer",
    "StationRules",
]

__getattr__ = exports(
    __name__,
    {
        "OcppServer": "evcore.chargers.ocpp_server",
        "StationRules": "evcore.chargers.ocpp_services",
    },
)
