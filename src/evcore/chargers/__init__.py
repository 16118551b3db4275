"""Connectors to what charges cars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.certificates import ServerCertificates
    from evcore.chargers.ocpp_server import OcppServer
    from evcore.chargers.ocpp_services import StationRules
    from evcore.chargers.ocpp_stats import ServerStats
    from evcore.ocpp.subject import SubjectRule

__all__ = [
    "OcppServer",
    "ServerCertificates",
    "ServerStats",
    "StationRules",
    "SubjectRule",
]

__getattr__ = exports(
    __name__,
    {
        "OcppServer": "evcore.chargers.ocpp_server",
        "ServerCertificates": "evcore.certificates",
        "ServerStats": "evcore.chargers.ocpp_stats",
        "StationRules": "evcore.chargers.ocpp_services",
        "SubjectRule": "evcore.ocpp.subject",
    },
)
__dir__ = listing(__name__)
