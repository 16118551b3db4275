"""Stations, cars, meters and a payment provider to test and demonstrate against."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.sim.broker import EmbeddedBroker as EmbeddedBroker
    from evcore.sim.clock import VirtualClock as VirtualClock
    from evcore.sim.gbt_battery import Battery as Battery
    from evcore.sim.gbt_session import GbtSession as GbtSession
    from evcore.sim.meter import SimMeter as SimMeter
    from evcore.sim.psp import SimPsp as SimPsp
    from evcore.sim.site import SimSite as SimSite
    from evcore.sim.station import SimStation as SimStation

_WHERE = {
    "Battery": "evcore.sim.gbt_battery",
    "EmbeddedBroker": "evcore.sim.broker",
    "GbtSession": "evcore.sim.gbt_session",
    "SimMeter": "evcore.sim.meter",
    "SimPsp": "evcore.sim.psp",
    "SimSite": "evcore.sim.site",
    "SimStation": "evcore.sim.station",
    "VirtualClock": "evcore.sim.clock",
}


def __getattr__(name: str) -> Any:
    """On first use, so that nobody pays for a library that he does not use."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
