"""A known action without a handler. OCPP-J 1.6, table 7; 2.0.1 Part 4, table 8."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from evcore.ocpp import v16


class Wire:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def recv(self) -> str:
        raise NotImplementedError


def test_it_is_described_as_known_where_the_descriptions_of_ocpp_are_swapped() -> None:
    wire = Wire()
    asyncio.run(v16.ChargePoint("CP-1", wire).route_message('[2,"1","Heartbeat",{}]'))
    assert wire.sent[0][2:4] == ["NotSupported", "Heartbeat is known, but not supported here"]
