"""What a simulated station's words are made of, in all versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

Payload = dict[str, Any]
Message = tuple[str, Payload]  # action and payload


class Words:
    """What the station says of itself; what it answers is in `evcore.sim.answers`."""

    def __init__(self, station: SimStation) -> None:
        self._station = station

    def now(self) -> str:
        """As the station's clock shows it."""
        return self._station.client.now()
