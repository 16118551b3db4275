"""What a simulated station still has to send, for tests to look at."""

from __future__ import annotations

from evcore.ocpp import StationClient
from evcore.ocpp.records import Record


class SimQueue:
    """What a station still has to send of its transactions. given_up: what the CSMS would not have."""

    def __init__(self, client: StationClient) -> None:
        self._client = client
        self.given_up: list[Record] = []

    def __len__(self) -> int:
        return len(self._client.queue)

    async def drained(self) -> None:
        """Waits until nothing is left to send."""
        await self._client.drained()
