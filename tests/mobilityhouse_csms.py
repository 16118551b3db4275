"""The CSMS of mobilityhouse/ocpp, validating, for our stations to talk to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets
from ocpp import v16, v21, v201
from ocpp.routing import on
from scripted_csms import NOW


def hosting(words: Any) -> Any:
    """What its CSMS of every version answers. words: `ocpp.v16`, `v201` or `v21`."""

    class Peer(words.ChargePoint):
        @on("BootNotification")
        def boot(self, **_: Any) -> Any:
            return words.call_result.BootNotification(NOW, 300, "Accepted")

        @on("StatusNotification")
        def status(self, **_: Any) -> Any:
            return words.call_result.StatusNotification()

        @on("Authorize")
        def authorize(self, **_: Any) -> Any:
            return words.call_result.Authorize({"status": "Accepted"})

    return Peer


class Peer16(hosting(v16)):
    @on("StartTransaction")
    def start_transaction(self, **_: Any) -> Any:
        return v16.call_result.StartTransaction(7, {"status": "Accepted"})

    @on("MeterValues")
    def meter_values(self, transaction_id: int, **_: Any) -> Any:
        assert transaction_id == 7
        return v16.call_result.MeterValues()

    @on("StopTransaction")
    def stop_transaction(self, transaction_id: int, **_: Any) -> Any:
        assert transaction_id == 7
        return v16.call_result.StopTransaction()


class Peer201(hosting(v201)):
    @on("TransactionEvent")
    def transaction_event(self, **_: Any) -> Any:
        return v201.call_result.TransactionEvent()


class Peer21(hosting(v21)):
    @on("TransactionEvent")
    def transaction_event(self, **_: Any) -> Any:
        return v21.call_result.TransactionEvent()


PEERS: dict[str, Any] = {"1.6": Peer16, "2.0.1": Peer201, "2.1": Peer21}


@asynccontextmanager
async def mobilityhouse(version: str) -> AsyncIterator[tuple[str, list[Any]]]:
    """Its URL, and the charge points that have connected."""
    points: list[Any] = []

    async def serve(socket: websockets.ServerConnection) -> None:
        points.append(PEERS[version]("CP", socket))
        with contextlib.suppress(websockets.ConnectionClosed):
            await points[-1].start()

    names: Any = [f"ocpp{version}"]
    async with websockets.serve(serve, "127.0.0.1", 0, subprotocols=names) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", points
