"""Stations, cars, meters and a payment provider to test and demonstrate against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.sim.broker import EmbeddedBroker
    from evcore.sim.clock import VirtualClock
    from evcore.sim.fleet import Fleet, FleetPlan
    from evcore.sim.gbt_battery import Battery
    from evcore.sim.gbt_session import GbtSession
    from evcore.sim.meter import SimMeter
    from evcore.sim.psp import SimPsp
    from evcore.sim.station import SimStation

__all__ = [
    "Battery",
    "EmbeddedBroker",
    "Fleet",
    "FleetPlan",
    "GbtSession",
    "SimMeter",
    "SimPsp",
    "SimStation",
    "VirtualClock",
]

__getattr__ = exports(
    __name__,
    {
        "Battery": "evcore.sim.gbt_battery",
        "EmbeddedBroker": "evcore.sim.broker",
        "Fleet": "evcore.sim.fleet",
        "FleetPlan": "evcore.sim.fleet",
        "GbtSession": "evcore.sim.gbt_session",
        "SimMeter": "evcore.sim.meter",
        "SimPsp": "evcore.sim.psp",
        "SimStation": "evcore.sim.station",
        "VirtualClock": "evcore.sim.clock",
    },
)
__dir__ = listing(__name__)
