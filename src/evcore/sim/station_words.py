"""What a simulated station says and answers alike in all versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evcore.errors import CallError
from evcore.ocpp.events import Called

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

Payload = dict[str, Any]
Message = tuple[str, Payload]  # action and payload


class Words:
    """A method `_on_Action` for each thing that is answered; what has none is not supported."""

    def __init__(self, station: SimStation) -> None:
        self._station = station

    def handle(self, called: Called) -> Payload:
        handler = getattr(self, f"_on_{called.action}", None)
        if handler is None:
            raise CallError("NotSupported", f"{called.action} is not simulated")
        answer: Payload = handler(called.payload)
        return answer

    def now(self) -> str:
        """As the station's clock shows it."""
        return self._station.client.now()

    def _on_ClearCache(self, asked: Payload) -> Payload:
        return {"status": "Accepted"}

    def _on_DataTransfer(self, asked: Payload) -> Payload:
        if asked["vendorId"] != self._station.vendor:
            return {"status": "UnknownVendorId"}
        return {"status": "Accepted"} | ({"data": asked["data"]} if "data" in asked else {})

    def _set_profile(self, evse: int, id: int, purpose: str, schedule: Payload) -> Payload:
        limit = schedule["chargingSchedulePeriod"][0]["limit"]
        return status(self._station.set_profile(evse, id, purpose, limit, schedule["chargingRateUnit"]))


def status(good: bool) -> Payload:
    return {"status": "Accepted" if good else "Rejected"}
