"""Row 8: 10 000 stations connect at once and boot. How long until all are accepted, and do the others notice?

    python benches/bench_csms_boot.py [STATIONS [RESIDENTS]]

Three processes: the server on uvloop and with a calm garbage collector, as `evcore run` has it; the stations that come,
all at the same moment, each trying again after a second where it is turned away; RESIDENTS that are connected already
and call Heartbeat ten times a second, whose answers are timed. On two cores the three share them.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from bench_csms_idle import BOOT, frame, say

STATIONS, RESIDENTS = 10_000, 100
REQUEST = (
    "GET /{} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
BOOT_FRAME = frame(json.dumps([2, "boot", "BootNotification", BOOT["1.6"]]).encode())


async def serve() -> None:
    from evcore.chargers import OcppServer
    from evcore.gateway.runner import calm_collector
    from evcore.local import LocalHub

    server = OcppServer(port=0)
    running = asyncio.create_task(server.run(LocalHub()))
    await server.started.wait()
    calm_collector()
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    stats = server.stats
    shown = {"connected": stats.connected, "refused": dict(stats.refused), "closed": dict(stats.closed)}
    print(json.dumps(shown), flush=True)
    running.cancel()


class Station(asyncio.Protocol):
    """One that connects and boots. answers: what came over the connection after the upgrade."""

    def __init__(self, name: str) -> None:
        self.name, self.head = name, b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None
        self.is_open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(REQUEST.format(self.name).encode())

    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            if not self.head.startswith(b"HTTP/1.1 101"):
                self.transport.abort()
                return
            self.is_open = True
            self.transport.write(BOOT_FRAME)
        elif not self.done.done() and b'"Accepted"' in data:
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("closed"))


async def storm(port: int, count: int) -> None:
    """All at once, when told to; prints when each was accepted."""
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    begun = loop.time()
    kept, again = [], 0

    async def one(number: int) -> float:
        nonlocal again
        while True:
            try:
                transport, station = await loop.create_connection(lambda: Station(f"CP{number}"), "127.0.0.1", port)
                await station.done
                kept.append(transport)
                return loop.time() - begun
            except OSError:
                again += 1
                await asyncio.sleep(1.0)

    times = sorted(await asyncio.gather(*(one(number) for number in range(count))))
    shown = {"all": times[-1], "half": times[len(times) // 2], "again": again}
    print(json.dumps(shown), flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def reside(port: int, count: int) -> None:
    """Connected and booted; a Heartbeat every 100 ms each; prints the times of their answers when told to."""
    calm: list[float] = []
    times = calm
    number = 0

    class Resident(Station):
        asked = 0.0

        def data_received(self, data: bytes) -> None:
            if self.done.done():
                times.append(time.perf_counter() - self.asked)
                self.asked = 0.0
            super().data_received(data)

    async def one(index: int) -> None:
        nonlocal number
        _, station = await asyncio.get_running_loop().create_connection(
            lambda: Resident(f"R{index}"), "127.0.0.1", port
        )
        await station.done
        await asyncio.sleep(index / count / 10)
        while True:
            if not station.asked:
                number += 1
                station.asked = time.perf_counter()
                station.transport.write(frame(f'[2,"{number}","Heartbeat",{{}}]'.encode()))
            await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(one(index)) for index in range(count)]
    await asyncio.sleep(3.0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    times = []
    await asyncio.to_thread(sys.stdin.readline)
    shown = {name: percentiles(values) for name, values in (("calm", calm), ("storm", times))}
    print(json.dumps(shown), flush=True)
    for task in tasks:
        task.cancel()


def percentiles(values: list[float]) -> list[float]:
    """Median, p99 and maximum in ms, and how many."""
    cuts = statistics.quantiles(values, n=100)
    return [round(cuts[49] * 1000, 1), round(cuts[98] * 1000, 1), round(max(values) * 1000, 1), len(values)]


def main() -> None:
    if sys.argv[1:2] and not sys.argv[1].isdigit():
        import uvloop

        role, *numbers = sys.argv[1:]
        work = {"serve": serve, "storm": storm, "reside": reside}[role]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(*map(int, numbers)))
        return
    stations, residents = [int(text) for text in sys.argv[1:]] + [STATIONS, RESIDENTS][len(sys.argv) - 1 :]

    def start(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, *args]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    processes = [start("serve")]
    try:
        port = say(processes[0])
        processes += [start("reside", port, str(residents)), start("storm", port, str(stations))]
        assert [say(process) for process in processes[1:]] == ["ready", "ready"]
        assert processes[1].stdin is not None
        processes[1].stdin.write("\n")
        processes[1].stdin.flush()
        came = json.loads(say(processes[2], "\n"))
        waited, seen = json.loads(say(processes[1], "\n")), json.loads(say(processes[0], "\n"))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    print(f"{stations} stations connect at once and boot; {residents} were there and call Heartbeat every 100 ms")
    print(f"  all accepted after {came['all']:.1f} s, half of them after {came['half']:.1f} s")
    print(f"  tried again: {came['again']}")
    for name, (half, most, worst, count) in waited.items():
        print(f"  residents, {name:<5}: median {half} ms, p99 {most} ms, worst {worst} ms of {count} answers")
    print(f"  the server: {seen}")


if __name__ == "__main__":
    main()
