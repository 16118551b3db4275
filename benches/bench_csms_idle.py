"""Row 7: memory of the CSMS's process for each idle station, beside bare picows with buffers of 2 KiB.

    python benches/bench_csms_idle.py [STATIONS]

Each server runs in a process of its own and is filled in two steps, by another process, so that what a server costs
empty does not count. Every station has booted; those of bare picows have only connected.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BASE, STATIONS = 1000, 10_000
SERVERS = ("bare picows", "evcore 1.6", "evcore 2.0.1")
BOOT = {
    "1.6": {"chargePointModel": "Model-1", "chargePointVendor": "Vendor"},
    "2.0.1": {"reason": "PowerUp", "chargingStation": {"model": "Model-1", "vendorName": "Vendor"}},
}


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def serve(kind: str) -> None:
    """The server's process: says its port, then answers each line on stdin with its connections."""
    count = await (serve_picows() if kind == "bare picows" else serve_evcore())
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        gc.collect()
        print(count(), flush=True)


async def serve_picows() -> Any:
    from picows import WSListener, ws_create_server

    class Echo(WSListener):
        def on_ws_connected(self, transport: Any) -> None:
            connections.add(transport)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())

    connections: set[Any] = set()
    server = await ws_create_server(
        lambda request: Echo(), "127.0.0.1", 0, backlog=1024, read_buffer_init_size=2048, enable_auto_pong=False
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    return lambda: len(connections)


async def serve_evcore() -> Any:
    from evcore.chargers import OcppServer
    from evcore.local import LocalHub

    server = OcppServer(port=0)
    serve_evcore.task = asyncio.create_task(server.run(LocalHub()))  # type: ignore[attr-defined]
    await server.started.wait()
    print(server.port, flush=True)
    return lambda: server.stats.connected


async def load(port: int, first: int, count: int, version: str) -> None:
    """The stations' process: connects, boots, and stays until its stdin ends."""
    request = (
        "GET /CP{} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
        + (f"Sec-WebSocket-Protocol: ocpp{version}\r\n" if version else "")
        + "\r\n"
    )
    boot = frame(json.dumps([2, "boot", "BootNotification", BOOT[version]]).encode()) if version else b""
    gate = asyncio.Semaphore(100)
    writers = []

    async def one(number: int) -> None:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
            writer.write(request.format(number).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 101 " in head, head
            if boot:
                writer.write(boot)
                answer = await reader.read(4096)
                assert b'"Accepted"' in answer, answer
            writers.append(writer)

    await asyncio.gather(*(one(number) for number in range(first, first + count)))
    print("loaded", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def frame(payload: bytes) -> bytes:
    """A text frame under a mask of zeros."""
    head = bytes([0x81, 0x80 | len(payload)]) if len(payload) < 126 else b"\x81\xfe" + len(payload).to_bytes(2, "big")
    return head + bytes(4) + payload


def start(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def say(process: subprocess.Popen[str], text: str = "") -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    if text:
        process.stdin.write(text)
        process.stdin.flush()
    return process.stdout.readline().strip()


def measure(kind: str, stations: int) -> float:
    """Bytes for each of the stations after the first BASE."""
    version = "" if kind == "bare picows" else kind.split()[1]
    server = start("serve", kind)
    port = say(server)
    sizes, loads = [], []
    try:
        for first, count in ((0, BASE), (BASE, stations)):
            loads.append(start("load", port, str(first), str(count), version))
            assert say(loads[-1]) == "loaded"
            connected = int(say(server, "\n"))
            assert connected == first + count, f"{connected} of {first + count} are connected"
            sizes.append(memory(server.pid))
        return (sizes[1] - sizes[0]) / stations
    finally:
        for process in (*loads, server):
            process.kill()
            process.wait()


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2]))
    elif sys.argv[1:2] == ["load"]:
        asyncio.run(load(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
    else:
        stations = int(sys.argv[1]) if sys.argv[1:] else STATIONS
        print(f"memory of the server's process for each of {stations} idle stations, plain")
        bare = 0.0
        for kind in SERVERS:
            size = measure(kind, stations)
            bare = bare or size
            print(f"{kind:<14} {size / 1024:6.1f} KiB   {size / bare:5.2f} x bare picows")


if __name__ == "__main__":
    main()
