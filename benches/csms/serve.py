"""One CSMS for the benches: `python benches/csms/serve.py NAME` prints its port and serves until it is killed.

codec: evcore's codec on picows without a session, which is no CSMS: what the session and the door add to it.
link: evcore's door, session and codec, with a handler. server: the whole OcppServer with a ledger in memory and the
collector set as `evcore run` sets it.
mobilityhouse: the peer on websockets. picows: no CSMS at all, sends each frame back: what nobody can fall below in
Python. All on uvloop, validating strictly, without compression.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

NOW = "2026-11-23T18:00:00Z"
ANSWERS: dict[str, Any] = {
    "BootNotification": {"currentTime": NOW, "interval": 300, "status": "Accepted"},
    "StatusNotification": {},
    "Heartbeat": {"currentTime": NOW},
    "StartTransaction": {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}},
    "MeterValues": {},
    "TransactionEvent": {},
}


def say(port: int) -> None:
    print(port, flush=True)
    if path := os.environ.get("PAUSES"):
        _pauses.append(asyncio.get_running_loop().create_task(watch(Path(path))))


async def watch(path: Path) -> None:
    """Write down the longest pause of the event loop, as s of this process's CPU: other processes do not count."""
    last = time.process_time()
    while True:
        await asyncio.sleep(0.002)
        now = time.process_time()
        if now - last > float(path.read_text() or 0):
            path.write_text(f"{now - last}")
        last = now


_pauses: list[asyncio.Task[None]] = []


def codecs() -> dict[str, Any]:
    """By subprotocol, as `OcppServer` has them."""
    from evcore.chargers.ocpp_codecs import EXACT
    from evcore.ocpp import Codec
    from evcore.ocpp.upgrade import VERSIONS

    return {name: Codec(version, exact=EXACT[version], formats=True) for name, version in VERSIONS.items()}


class Handler:
    """What a CSMS does with a message, at the least. values: meter values so far."""

    values = 0

    def answer(self, action: str, payload: Any) -> Any:
        if action == "MeterValues":
            self.values += len(payload["meterValue"][0]["sampledValue"])
        elif action == "Authorize":
            return {"idTagInfo" if "idTag" in payload else "idTokenInfo": {"status": "Accepted"}}
        return ANSWERS[action]


async def codec() -> None:
    from picows import (
        WSFrame,
        WSListener,
        WSMsgType,
        WSTransport,
        WSUpgradeResponse,
        WSUpgradeResponseWithListener,
        ws_create_server,
    )

    text, made, handler = WSMsgType.TEXT, codecs(), Handler()

    class Station(WSListener):
        def __init__(self, codec: Any) -> None:
            self.codec = codec

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == text:
                codec = self.codec
                asked = codec.decode(frame.get_payload_as_bytes(), names="wire")
                answer = handler.answer(asked.action, asked.payload)
                transport.send(text, codec.encode_result(asked.id, asked.action, answer))

    def accept(request: Any) -> Any:
        name = request.headers["Sec-WebSocket-Protocol"].split(",")[0].strip()
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": name})
        return WSUpgradeResponseWithListener(response, Station(made[name]))

    listening = await ws_create_server(accept, "127.0.0.1", 0, read_buffer_init_size=2048, backlog=1024)
    say(listening.sockets[0].getsockname()[1])
    await listening.serve_forever()


async def link() -> None:
    from evcore.ocpp import Session
    from evcore.ocpp.events import Called
    from evcore.ocpp.upgrade import Upgrade
    from evcore.ocpp.websocket import Link, listen

    made, handler = codecs(), Handler()

    def handle(called: Called) -> Any:
        return handler.answer(called.action, called.payload)

    def accept(upgrade: Upgrade, subprotocol: str) -> Link:
        return Link(Session(made[subprotocol], "csms"), handle)

    door = await listen("127.0.0.1", 0, accept)
    say(door.port)
    await asyncio.Event().wait()


async def server() -> None:
    from evcore.chargers import OcppServer
    from evcore.gateway.runner import calm_collector
    from evcore.local import LocalHub, LocalLedger

    calm_collector()
    csms = OcppServer(port=int(os.environ.get("PORT", "0")), ledger=LocalLedger())
    serving = asyncio.create_task(csms.run(LocalHub()))
    await csms.started.wait()
    say(csms.port)
    await serving


async def mobilityhouse() -> None:
    import ocpp.messages
    import websockets
    from ocpp import v16, v201
    from ocpp.routing import on

    ocpp.messages.ASYNC_VALIDATION = False  # quicker, says its own documentation
    values = 0

    def hosting(words: Any) -> Any:
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
            return v16.call_result.StartTransaction(4711, {"status": "Accepted"})

        @on("MeterValues")
        def meter_values(self, meter_value: Any, **_: Any) -> Any:
            nonlocal values
            values += len(meter_value[0]["sampled_value"])
            return v16.call_result.MeterValues()

    class Peer201(hosting(v201)):
        @on("TransactionEvent")
        def event(self, **_: Any) -> Any:
            return v201.call_result.TransactionEvent()

    async def serve(socket: Any) -> None:
        kind = Peer16 if socket.subprotocol == "ocpp1.6" else Peer201
        with contextlib.suppress(websockets.ConnectionClosed):
            await kind("CP", socket).start()

    names: Any = ["ocpp1.6", "ocpp2.0.1"]
    async with websockets.serve(serve, "127.0.0.1", 0, subprotocols=names, compression=None) as listening:
        say(next(iter(listening.sockets)).getsockname()[1])
        await asyncio.Event().wait()


async def picows() -> None:
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

    class Echo(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())

    listening = await ws_create_server(lambda _: Echo(), "127.0.0.1", 0, read_buffer_init_size=2048, backlog=1024)
    say(listening.sockets[0].getsockname()[1])
    await listening.serve_forever()


SERVERS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    each.__name__: each for each in (codec, link, server, mobilityhouse, picows)
}

if __name__ == "__main__":
    wanted = SERVERS[sys.argv[1]]
    if path := os.environ.get("PROFILE"):
        profile = cProfile.Profile()

        def stop(*_: object) -> None:
            profile.disable()
            profile.dump_stats(path)
            os._exit(0)

        async def profiled() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
            profile.enable()
            await wanted()

        uvloop.run(profiled())
    uvloop.run(wanted())
