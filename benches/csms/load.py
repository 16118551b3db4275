"""The fleet as the benches use it: a closed loop of meter values, and one that takes an echo for an answer."""

from __future__ import annotations

import time
from typing import Any

from picows import WSFrame, WSMsgType, WSTransport

from evcore.sim.fleet import Fleet, FleetPlan
from evcore.sim.fleet_station import FleetStation


class Plain(FleetStation):
    """Begins with meter values and takes any frame for the answer: for a server that is none."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.booted = self._status_told = True
        self._step, self._transaction = 2, b"4711"

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT and self.awaited:
            self.awaited = ""
            self._fleet.report.answered(self._action, time.monotonic_ns() - self.sent_at, True)
            self._fleet.step_on(self)


class Load(Fleet):
    """stations that send meter values of one transaction without end. echo: for the bare echo."""

    def __init__(self, url: str, stations: int, version: str, *, echo: bool = False) -> None:
        super().__init__(FleetPlan(url, stations, (version,), meters=0))
        if echo:
            self.stations = [Plain(self, station.identity, version) for station in self.stations]
