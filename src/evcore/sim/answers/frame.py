"""What the answers of a simulated station are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from evcore.sim.station_evse import SimEvse

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

Payload: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[SimStation, Payload], Payload]"
Table: TypeAlias = Mapping[str, Handler]


def status(good: bool, otherwise: str = "Rejected") -> Payload:
    return {"status": "Accepted" if good else otherwise}


def fixed(payload: Payload) -> Handler:
    """Always this answer."""
    return lambda station, asked: dict(payload)


def places(station: SimStation, evse: int) -> list[SimEvse]:
    """The EVSE of this number, for 0 all; none where there is no such."""
    return list(station.evses.values()) if evse == 0 else [station.evses[evse]] if evse in station.evses else []


def evse_of(asked: Payload) -> int:
    """Of 1.6's connectorId, 2.x's evseId or evse; 0 where the station as a whole is meant."""
    return int(asked.get("connectorId") or asked.get("evseId") or (asked.get("evse") or {}).get("id") or 0)
