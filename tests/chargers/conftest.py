"""A CSMS and stations in one process."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import websockets
from ocpp import v16, v21, v201
from ocpp.routing import on
from waiting import until

from evcore.chargers import OcppServer
from evcore.local import LocalHub, LocalLedger
from evcore.model import Answer, Command, Event, Item, Verb
from evcore.sim import SimStation

PASSWORD = "a-password-of-16+"


class Csms:
    """A running OcppServer, its hub, and what it published."""

    def __init__(self, **options: Any) -> None:
        self.items: list[Item] = []
        self.hub = LocalHub(self.items.append)
        self.ledger = options.setdefault("ledger", LocalLedger())
        self.server = OcppServer(port=options.pop("port", 0), **options)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return self.server.url

    async def start(self) -> Csms:
        self.task = self._spawn(self.server.run(self.hub))
        await asyncio.wait_for(self.server.started.wait(), 8)
        return self

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def station(self, id: str = "CP1", *, online: bool = True, **options: Any) -> SimStation:
        defaults: dict[str, Any] = {"speed": 50, "interval_s": 5, "backoff_s": 0.05}
        station = SimStation(self.url, id, **defaults | options)
        self._spawn(station.run())
        if online:
            await asyncio.wait_for(station.online.wait(), 8)
        return station

    async def command(self, verb: Verb, target: str = "CP1", **args: Any) -> Answer:
        return await self.hub.command(Command(target, verb, args), timeout=8)

    def events(self, kind: str = "") -> list[Event]:
        return [item for item in self.items if isinstance(item, Event) and item.kind.startswith(kind)]

    def errors(self) -> dict[str, int]:
        """Counted refusals, by reason."""
        return {
            dict(labels)["reason"]: count
            for (name, labels), count in self.hub.counters().items()
            if name == "evcore_ocpp_errors_total"
        }


@pytest.fixture
async def csms() -> AsyncIterator[Callable[..., Awaitable[Csms]]]:
    """csms(**options of OcppServer): a running one; stopped at the end, with no task left behind."""
    started: list[Csms] = []

    async def start(**options: Any) -> Csms:
        started.append(Csms(**options))
        return await started[-1].start()

    yield start
    for one in started:
        await one.stop()
    for _ in range(400):  # a peer may still be hearing its last answer
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if not left:
            return
        await asyncio.sleep(0.005)
    assert not left, f"tasks left behind: {left}"


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[Any]]:
    return until


VERSIONS = {"1.6": ("ocpp1.6", v16), "2.0.1": ("ocpp2.0.1", v201), "2.1": ("ocpp2.1", v21)}


class Peer:
    """A station of mobilityhouse/ocpp that answers every CALL of the CSMS as it is told.

    replies: by action, the arguments of the answer's dataclass, an exception to raise, or a callable of the payload
    that returns one of these or an awaitable of it. asked: every CALL that came, (action, payload with wire names).
    """

    def __init__(self, version: str, socket: Any) -> None:
        self.version, self.words = version, VERSIONS[version][1]
        self.replies: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answered: list[Any] = []
        self.socket = socket
        self.tasks: set[asyncio.Task[Any]] = set()
        self.point = self._kind()("CP1", self)

    def later(self, work: Any) -> None:
        """Do it after the answer that is being given; the fixture waits for it."""
        self.tasks.add(asyncio.get_running_loop().create_task(work))

    async def recv(self) -> str:
        message: str = await self.socket.recv()
        frame = json.loads(message)
        if frame[0] == 2:
            self.last_id = frame[1]
            self.asked.append((frame[2], frame[3]))
        else:
            self.answered.append(frame)
        return message

    async def send(self, message: str) -> None:
        await self.socket.send(message)

    async def tell(self, action: str, **payload: Any) -> Any:
        """A CALL of the station; the CALLRESULT's payload with wire names. Raises OCPPError for a CALLERROR."""
        await self.point.call(getattr(self.words.call, action)(**payload), suppress=False)
        return self.answered[-1][2]

    def _kind(self) -> Any:
        peer = self

        def handler(action: str) -> Any:
            async def handle(self: Any, **payload: Any) -> Any:
                reply = peer.replies[action]
                if callable(reply):
                    reply = reply(peer.asked[-1][1])
                if inspect.isawaitable(reply):
                    reply = await reply
                if isinstance(reply, Exception):
                    raise reply
                return getattr(peer.words.call_result, action)(**reply)

            handle.__name__ = f"peer_{action}"  # by which the library finds it again
            return on(action)(handle)

        names = [name for name, kind in vars(self.words.call).items() if isinstance(kind, type) and name[0].isupper()]
        known = [name for name in names if hasattr(self.words.call_result, name)]
        return type(
            f"Station{self.version}", (self.words.ChargePoint,), {f"peer_{name}": handler(name) for name in known}
        )


@pytest.fixture
async def peer() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """peer(site, version): a connected, accepted mobilityhouse station named CP1."""
    async with AsyncExitStack() as stack:

        async def start(site: Csms, version: str, **headers: Any) -> Peer:
            socket = await stack.enter_async_context(
                websockets.connect(f"{site.url}/CP1", subprotocols=[VERSIONS[version][0]], **headers)  # type: ignore
            )
            station = Peer(version, socket)
            reading = asyncio.create_task(station.point.start())

            async def stop() -> None:
                await asyncio.gather(*station.tasks)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

            stack.push_async_callback(stop)
            if version == "1.6":
                booted = await station.tell("BootNotification", charge_point_model="M", charge_point_vendor="V")
            else:
                about = {"model": "M", "vendor_name": "V"}
                booted = await station.tell("BootNotification", charging_station=about, reason="PowerUp")
            assert booted["status"] == "Accepted"
            return station

        yield start
