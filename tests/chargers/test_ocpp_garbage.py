"""What a connection leaves behind when it has ended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bare_station import BareStation

from evcore.chargers.ocpp_link import StationLink
from evcore.model import Verb
from evcore.ocpp.websocket import connect


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_connection_that_has_ended_leaves_no_work_to_the_garbage_collector(
    csms: Callable[..., Awaitable[Any]], wait_until: Callable[..., Awaitable[None]], version: str
) -> None:
    """Ten thousand circles of thirty objects each would stop the server for a third of a second."""
    site, peer = await csms(), BareStation()
    gc.collect()
    gc.disable()
    try:
        connection = await connect(f"{site.url}/CP1", peer, subprotocols=[f"ocpp{version}"])
        boot = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
        peer.send(
            [
                2,
                "1",
                "BootNotification",
                {"chargePointVendor": "V", "chargePointModel": "M"} if version == "1.6" else boot,
            ]
        )
        await wait_until(lambda: len(peer.messages) == 1)
        asked = asyncio.create_task(site.command(Verb.CLEAR_CACHE))
        await wait_until(lambda: len(peer.messages) == 2)
        peer.send([3, peer.messages[1][1], {"status": "Accepted"}])
        assert (await asked).ok
        connection.abort()
        await wait_until(lambda: not site.server.connected)
        await asyncio.sleep(0)
        assert [item for item in gc.get_objects() if isinstance(item, StationLink)] == []
    finally:
        gc.enable()
