"""The field of a small site: an AC and a DC station, a car on the CAN bus of the DC one, and the meter of both.

Energy is made in one place only, at the stations, so everything that reports it must agree: the stations' registers,
the meter's, and what the car saw.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from evcore.errors import LinkError
from evcore.sim.gbt_battery import Battery
from evcore.sim.gbt_session import GbtSession
from evcore.sim.meter import SimMeter
from evcore.sim.station import SimStation

PHASES = ("l1", "l2", "l3")
VOLTAGE_V = 230.0
FOLLOW_S = 0.05  # how often the CAN side looks at the DC station
RESTART_S = 5.0  # after a broken bus


class SimSite:
    """ac, dc: ids of the stations. passwords: by id. channel, interface: the CAN bus, as python-can names it.
    meter_port: 0 for any free one. meter_start_wh: what the meter has counted before. interval_s: between meter values.
    pace: how much faster than real charger and car talk.

        async with SimSite() as site:  # the meter serves
            site.connect("ws://127.0.0.1:9000")
            await site.run()
    """

    def __init__(
        self,
        *,
        ac: str = "AC-1",
        dc: str = "DC-1",
        passwords: dict[str, str] | None = None,
        channel: str = "site",
        interface: str = "virtual",
        ac_power_w: float = 11_000.0,
        dc_power_w: float = 50_000.0,
        interval_s: float = 2.0,
        meter_port: int = 0,
        meter_start_wh: float = 0.0,
        pace: float = 1.0,
    ) -> None:
        self._ids, self._passwords = (ac, dc), passwords or {}
        self._powers = {ac: ac_power_w, dc: dc_power_w}
        self._channel, self._interface, self._pace = channel, interface, pace
        self._interval_s = interval_s
        self.energy_wh = dict.fromkeys(self._ids, 0.0)
        self.stations: dict[str, SimStation] = {}
        self.car: GbtSession | None = None
        self._meter_start_wh = meter_start_wh
        self.meter = SimMeter("sdm630", values=self.measured, port=meter_port)

    @property
    def ac(self) -> SimStation:
        return self.stations[self._ids[0]]

    @property
    def dc(self) -> SimStation:
        return self.stations[self._ids[1]]

    async def __aenter__(self) -> SimSite:
        await self.meter.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.meter.stop()

    def connect(self, url: str) -> None:
        """Make the stations, which will connect to the CSMS at `url`."""
        versions: tuple[Literal["1.6", "2.0.1"], ...] = ("1.6", "2.0.1")
        for id, version in zip(self._ids, versions, strict=True):
            self.stations[id] = SimStation(
                url,
                id,
                version=version,
                password=self._passwords.get(id),
                power_w=self._powers[id],
                dc=id == self._ids[1],
                interval_s=self._interval_s,
                on_energy=self._count,
                model="Wall 11" if id == self._ids[0] else "Tower 50",
            )

    async def run(self) -> None:
        """The stations and the car, until cancelled. `connect` first."""
        async with asyncio.TaskGroup() as group:
            for station in self.stations.values():
                group.create_task(station.run(), name=station.id)
            group.create_task(self._follow(), name="car")

    def measured(self) -> dict[str, float]:
        """What the meter shows now, in the points of its profile."""
        power = sum(station.power_w for station in self.stations.values())
        values = {
            "power": power,
            "energy_import": self._meter_start_wh + sum(self.energy_wh.values()),
            "frequency": 50.0,
        }
        for phase in PHASES:
            values |= {
                f"voltage_{phase}": VOLTAGE_V,
                f"current_{phase}": power / 3 / VOLTAGE_V,
                f"power_{phase}": power / 3,
            }
        return values

    def _count(self, station: str, energy_wh: float) -> None:
        self.energy_wh[station] += energy_wh

    async def _follow(self) -> None:
        """A car talks to the DC charger whenever a transaction runs there; what it takes is what the station meters."""
        place = self.dc.evses[1]
        while True:
            if place.transaction is None:
                await asyncio.sleep(FOLLOW_S)
                continue
            try:
                await self._charge()
            except LinkError as error:
                self.dc.last_error = f"CAN: {error}"
                await asyncio.sleep(RESTART_S)

    async def _charge(self) -> None:
        """One GB/T 27930 session. The station's end of it ends the car's, and the other way round."""
        place, transaction = self.dc.evses[1], self.dc.evses[1].transaction
        battery = Battery(capacity_kwh=8.0, soc=20.0)
        car = GbtSession(
            self._channel,
            interface=self._interface,
            battery=battery,
            max_power_w=place.max_power_w,
            pace=self._pace,
        )
        metered = 0.0

        def supply() -> tuple[float, float]:
            nonlocal metered
            energy, metered = car.energy_wh - metered, car.energy_wh
            place.soc = battery.soc
            return car.power_w(), energy

        place.supply, place.soc, self.car = supply, battery.soc, car
        playing = asyncio.create_task(car.run(), name="gbt session")
        try:
            while not playing.done():
                if place.transaction is not transaction:
                    car.stop("manual")
                car.limit_w = place.allowed_w
                await asyncio.wait([playing], timeout=FOLLOW_S)
            await playing
            if place.transaction is transaction and transaction is not None:
                await self.dc.unplug(1)
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            place.supply, self.car = None, None
