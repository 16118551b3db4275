"""Stations are told that somebody pays on the web for one of their EVSEs (2.1 Part 2, C25.FR.21)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping

from evcore.chargers.ocpp_link import StationLink
from evcore.model import Payment
from evcore.ports import Hub

_REMEMBERED = 1000


async def watch_web_payments(hub: Hub, links: Mapping[str, StationLink], seconds: int) -> None:
    """Until cancelled. links: by identity. A payment that was begun `seconds` ago is news to nobody any more."""
    known: OrderedDict[str, None] = OrderedDict()
    payments = hub.subscribe(Payment)
    try:
        async for item in payments:
            if not isinstance(item, Payment) or item.state != "created" or item.id in known:
                continue
            known[item.id] = None
            if len(known) > _REMEMBERED:
                known.popitem(last=False)
            left = seconds - max(0, time.time_ns() - item.created_ns) // 1_000_000_000
            link = links.get(item.station)
            if link is not None and left > 0:
                link.dialect.web_payment(item.evse, left)
    finally:
        payments.close()
