"""Ours and mobilityhouse's ChargePoint against each other, each on either transport, in every version."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
import websockets
from ocpp import routing as their_routing

from evcore.errors import LinkError
from evcore.ocpp import routing
from evcore.ocpp.websocket import ConnectionClosed, open_stream, serve

NOW = "2026-11-23T18:00:00Z"
VERSIONS = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
LIBRARIES = ["ours", "theirs"]
TRANSPORTS = ["picows", "websockets"]
ENDS = (ConnectionClosed, websockets.ConnectionClosed)


@pytest.fixture
def library(ours, theirs):
    """library("ours", "1.6"): (the version's module, on)."""
    return lambda whose, version: (
        (ours(version), routing.on) if whose == "ours" else (theirs(version), their_routing.on)
    )


def csms_of(module: Any, on: Any, version: str) -> type:
    class Csms(module.ChargePoint):
        values: list[Any]

        @on("BootNotification")
        def on_boot(self, **payload: Any) -> Any:
            return module.call_result.BootNotification(current_time=NOW, interval=300, status="Accepted")

        @on("Heartbeat")
        async def on_heartbeat(self, **payload: Any) -> Any:
            await asyncio.sleep(0)
            return module.call_result.Heartbeat(current_time=NOW)

        @on("MeterValues")
        async def on_meter_values(self, meter_value: Any, **payload: Any) -> Any:
            self.values = meter_value
            return module.call_result.MeterValues()

    return Csms


def station_of(module: Any, on: Any) -> type:
    class Station(module.ChargePoint):
        @on("ClearCache")
        def on_clear_cache(self, **payload: Any) -> Any:
            return module.call_result.ClearCache(status="Accepted")

        @on("Reset")
        def on_reset(self, type: str, **payload: Any) -> Any:
            return module.call_result.Reset(status="Rejected")

    return Station


def messages_of(module: Any, version: str) -> list[Any]:
    call, types = module.call, module.datatypes
    if version == "1.6":
        values = [types.MeterValue(timestamp=NOW, sampled_value=[types.SampledValue(value="1.5", unit="kWh")])]
        boot = call.BootNotification(charge_point_model="M", charge_point_vendor="V")
        return [boot, call.Heartbeat(), call.MeterValues(connector_id=1, meter_value=values)]
    unit = types.UnitOfMeasureType(unit="kWh")
    values = [
        types.MeterValueType(timestamp=NOW, sampled_value=[types.SampledValueType(value=1.5, unit_of_measure=unit)])
    ]
    boot = call.BootNotification(
        charging_station=types.ChargingStationType(model="M", vendor_name="V"), reason="PowerUp"
    )
    return [boot, call.Heartbeat(), call.MeterValues(evse_id=1, meter_value=values)]


@contextlib.asynccontextmanager
async def listening(transport: str, handler: Any, subprotocol: str):
    """The URL at which `handler(connection)` serves."""
    start = serve if transport == "picows" else websockets.serve
    async with start(handler, "127.0.0.1", 0, subprotocols=[subprotocol]) as server:
        port = server.port if transport == "picows" else server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/CP%201"


@contextlib.asynccontextmanager
async def connecting(transport: str, url: str, subprotocol: str):
    if transport == "picows":
        async with open_stream(url, subprotocols=[subprotocol]) as stream:
            yield stream
    else:
        async with websockets.connect(url, subprotocols=[subprotocol]) as connection:
            yield connection


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("station_transport", TRANSPORTS)
@pytest.mark.parametrize("station_library", LIBRARIES)
@pytest.mark.parametrize("csms_transport", TRANSPORTS)
@pytest.mark.parametrize("csms_library", LIBRARIES)
async def test_both_libraries_talk_on_both_transports(
    library, csms_library, csms_transport, station_library, station_transport, version
):
    module, on = library(csms_library, version)
    csms_class = csms_of(module, on, version)
    served: asyncio.Queue[Any] = asyncio.Queue()
    ended: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(connection: Any) -> None:
        assert connection.subprotocol == VERSIONS[version]
        assert connection.request.path == "/CP%201"
        point = csms_class("CP 1", connection, response_timeout=5)
        served.put_nowait(point)
        try:
            await point.start()
        except ENDS as error:
            ended.put_nowait(error)

    async with asyncio.timeout(9), listening(csms_transport, handler, VERSIONS[version]) as url:
        module, on = library(station_library, version)
        async with connecting(station_transport, url, VERSIONS[version]) as connection:
            station = station_of(module, on)("CP 1", connection, response_timeout=5)
            life = asyncio.ensure_future(station.start())
            point = await served.get()
            boot, heartbeat, values = [
                await station.call(message, suppress=False) for message in messages_of(module, version)
            ]
            assert (boot.status, boot.interval, heartbeat.current_time) == ("Accepted", 300, NOW)
            assert type(values) is module.call_result.MeterValues
            [sampled] = point.values[0]["sampled_value"]
            assert sampled["value"] == ("1.5" if version == "1.6" else 1.5)
            assert (await point.call(library(csms_library, version)[0].call.ClearCache())).status == "Accepted"
            kind = "Hard" if version == "1.6" else "Immediate"
            assert (await point.call(library(csms_library, version)[0].call.Reset(type=kind))).status == "Rejected"
        assert isinstance(await ended.get(), ENDS)
        with pytest.raises((*ENDS, asyncio.CancelledError)):
            await life


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_calls_that_wait_are_told_when_the_connection_ends(ours, transport):
    module = ours("1.6")
    points: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(connection: Any) -> None:
        point = module.ChargePoint("CP", connection)
        points.put_nowait(point)
        with contextlib.suppress(*ENDS):
            await point.start()

    async with asyncio.timeout(9), listening(transport, handler, "ocpp1.6") as url:
        async with connecting(transport, url, "ocpp1.6") as connection:
            point = await points.get()
            asking = [asyncio.ensure_future(point.call(module.call.ClearCache())) for _ in range(3)]
            await connection.recv()
        for result in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(result, LinkError)
        with pytest.raises((LinkError, websockets.ConnectionClosed)):
            await point.call(module.call.ClearCache())
