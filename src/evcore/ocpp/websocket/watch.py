"""What all connections of one owner share: a timer that finds the dead ones, and a law for many ends at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from evcore.ocpp.websocket.connection import Connection

ENDS_AT_ONCE = 64  # some 2 ms


class Watch:
    """One timer for many connections: pings the quiet ones, drops the dead ones. An `Owner`: receivers hear of an end
    at once, but where thousands come in one pass of the event loop the rest hears in the next ones, or those that
    stay connected would wait for all of them.

    ping_s: after so long without a frame a ping goes out, after twice that the connection is dropped. 0: never.
    connections: the open ones.
    """

    def __init__(self, ping_s: float) -> None:
        self._ping = int(ping_s * 1e9)
        self._timer: asyncio.TimerHandle | None = None
        self._untold: deque[Connection] = deque()
        self._told = 0  # in this pass of the event loop
        self.connections: set[Connection] = set()

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)
        self._start()

    def ended(self, connection: Connection) -> None:
        if not self._told and not self._untold:
            asyncio.get_running_loop().call_soon(self._next_pass)
        if self._told < ENDS_AT_ONCE:
            self._told += 1
            connection.settle()
        else:
            self._untold.append(connection)

    def discard(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next_pass(self) -> None:
        self._told = min(len(self._untold), ENDS_AT_ONCE)
        if self._told:
            asyncio.get_running_loop().call_soon(self._next_pass)
        for _ in range(self._told):
            self._untold.popleft().settle()

    def _start(self) -> None:
        if self._timer is None and self._ping:
            self._timer = asyncio.get_running_loop().call_later(self._ping / 4e9, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = time.monotonic_ns()
        for connection in list(self.connections):
            quiet_for = now - connection.last_seen
            if quiet_for >= 2 * self._ping:
                connection.abort("silent")
            elif quiet_for >= self._ping and connection.pinged != connection.last_seen:
                connection.pinged = connection.last_seen
                connection.ping()
        if self.connections:
            self._start()
