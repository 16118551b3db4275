"""The simulated site: what its stations deliver is what its meter counts and what its car takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from evcore.sim.site import SimSite


async def test_a_simulated_site_meters_what_its_stations_deliver_and_the_car_follows_the_dc_one() -> None:
    """Without any gateway: charging begins and ends at the station, the car's session with it."""
    async with SimSite(channel="site-test", pace=8, interval_s=1) as site:
        site.connect("ws://127.0.0.1:1")
        run = asyncio.create_task(site.run())
        place = site.dc.evses[1]
        await asyncio.sleep(0)
        assert await site.dc.plug_in(1, "T")  # offline: it trusts the card
        await _until(lambda: site.car is not None and site.car.charging.is_set())
        await _until(lambda: place.energy_wh > 1)
        assert place.soc is not None
        assert place.soc > 20
        assert site.measured()["power"] > 1000
        await site.dc.unplug(1)
        await _until(lambda: site.car is None)
        shown = site.measured()
        assert shown["energy_import"] == pytest.approx(site.dc.energy_wh)
        assert site.energy_wh == {"AC-1": 0.0, "DC-1": pytest.approx(site.dc.energy_wh)}
        run.cancel()
        await asyncio.wait([run])


async def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
