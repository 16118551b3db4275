"""What connections of one owner share: many ends at once are told in turns."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from evcore.ocpp.websocket.connection import Connection
from evcore.ocpp.websocket.watch import ENDS_AT_ONCE, Watch


class Told:
    def __init__(self) -> None:
        self.count = 0

    def opened(self, connection: Connection) -> None: ...
    def received(self, data: bytes) -> None: ...

    def closed(self, code: int, reason: str) -> None:
        self.count += 1


class Transport:
    is_client_side = False
    close_handshake = None

    class request:
        headers: dict[str, str] = {}  # noqa: RUF012

    response = request

    class underlying_transport:
        @staticmethod
        def set_write_buffer_limits(high: int) -> None: ...


def opened(watch: Watch, receiver: Told) -> tuple[Connection, Any]:
    connection, transport = Connection(receiver, watch, limit=1024, peer="p"), cast(Any, Transport())
    connection.on_ws_connected(transport)
    return connection, transport


@pytest.mark.parametrize("count", [1, ENDS_AT_ONCE, ENDS_AT_ONCE + 1, 3 * ENDS_AT_ONCE + 5])
async def test_no_pass_of_the_loop_tells_of_more_ends_than_its_share_and_none_is_forgotten(count: int) -> None:
    watch, told = Watch(0), Told()
    for connection, transport in [opened(watch, told) for _ in range(count)]:
        connection.on_ws_disconnected(transport)
    shares, before = [told.count], told.count
    while watch.connections:
        await asyncio.sleep(0)
        shares.append(told.count - before)
        before = told.count
    assert told.count == count
    assert shares[0] == min(count, ENDS_AT_ONCE)
    assert max(shares) <= ENDS_AT_ONCE


async def test_after_a_wave_a_single_end_is_told_at_once_again() -> None:
    watch, told = Watch(0), Told()
    for connection, transport in [opened(watch, told) for _ in range(2 * ENDS_AT_ONCE)]:
        connection.on_ws_disconnected(transport)
    while watch.connections:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    connection, transport = opened(watch, told)
    connection.on_ws_disconnected(transport)
    assert told.count == 2 * ENDS_AT_ONCE + 1


async def test_who_asks_hears_of_an_end_before_its_turn_and_of_one_only_once() -> None:
    watch, crowd, told = Watch(0), Told(), Told()
    for connection, transport in [opened(watch, crowd) for _ in range(ENDS_AT_ONCE)]:
        connection.on_ws_disconnected(transport)
    connection, transport = opened(watch, told)
    connection.settle()
    assert told.count == 0  # it is open
    connection.on_ws_disconnected(transport)
    assert (connection.is_open, told.count) == (False, 0)
    connection.settle()
    for _ in range(4):
        await asyncio.sleep(0)
    await connection.wait_closed()
    assert told.count == 1
