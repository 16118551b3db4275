"""OCPP-J: what the bytes mean. Sans-I/O, but for `websocket`, and `charge_point` with its `point`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.ocpp import routing, v16, v21, v201
    from evcore.ocpp.codec import Codec, Frame, Limits
    from evcore.ocpp.connection_profile import ConnectionProfile
    from evcore.ocpp.point.accelerate import accelerate
    from evcore.ocpp.point.handlers import CallContext
    from evcore.ocpp.policy import Policy, Rule
    from evcore.ocpp.repairs import Repair
    from evcore.ocpp.session import Session
    from evcore.ocpp.station import StationAbout
    from evcore.ocpp.websocket.station_client import StationClient

__all__ = [
    "CallContext",
    "Codec",
    "ConnectionProfile",
    "Frame",
    "Limits",
    "Policy",
    "Repair",
    "Rule",
    "Session",
    "StationAbout",
    "StationClient",
    "accelerate",
    "routing",
    "v16",
    "v21",
    "v201",
]

__getattr__ = exports(
    __name__,
    {
        "CallContext": "evcore.ocpp.point.handlers",
        "Codec": "evcore.ocpp.codec",
        "ConnectionProfile": "evcore.ocpp.connection_profile",
        "Frame": "evcore.ocpp.codec",
        "Limits": "evcore.ocpp.codec",
        "Policy": "evcore.ocpp.policy",
        "Repair": "evcore.ocpp.repairs",
        "Rule": "evcore.ocpp.policy",
        "Session": "evcore.ocpp.session",
        "accelerate": "evcore.ocpp.point.accelerate",
        "routing": "evcore.ocpp.routing",
        "v16": "evcore.ocpp.v16",
        "v21": "evcore.ocpp.v21",
        "v201": "evcore.ocpp.v201",
        "StationAbout": "evcore.ocpp.station",
        "StationClient": "evcore.ocpp.websocket.station_client",
    },
)
__dir__ = listing(__name__)
