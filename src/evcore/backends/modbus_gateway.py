"""Many masters share one serial line or one device that takes a single client.

    gateway = ModbusGateway("rtu:///dev/ttyUSB0?baudrate=9600", "127.0.0.1", 1502)
    await gateway.run(hub)

What goes to the device is built anew from what a request was understood to ask, and so is every reply: no byte of a
master is passed on. Reads are answered from a cache while it is fresh, equal ones under way are one; writes are refused
but for those that a rule allows. Every request ends in a reply or a closed connection.
"""

from __future__ import annotations

import asyncio
import random
import ssl as tls
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evcore.backends.modbus_listener import Connection, Listener
from evcore.core.modbus import ReadRequest, Request, WriteRequest, unpack_bits
from evcore.errors import ConfigError, EvcoreError, InvalidReply, LinkError, ModbusException, ModbusTimeout
from evcore.modbus.asked import (
    BUSY,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    NO_ANSWER,
    NO_PATH,
    Asked,
    Illegal,
    Mask,
    Read,
    ReadWrite,
    Write,
    pack_bits,
    parse,
    refusal,
)
from evcore.modbus.inbox import Inbox, Received
from evcore.modbus.link import Client
from evcore.model import Health
from evcore.ports import Hub

BACK_OFF_S = (1.0, 30.0)
PIPELINE = 16  # requests of one master that wait here; then it is not read any more
SILENCES = 3  # timeouts one after the other until a TCP connection of ours is made anew
_CACHED = 1024


@dataclass(frozen=True, slots=True)
class WriteRule:
    """Writes that are allowed. unit: of the device. first, last: addresses, all that a request writes must be in them.
    functions: of 5, 6, 15, 16, 22, 23."""

    unit: int
    first: int
    last: int
    functions: tuple[int, ...] = (6, 16)


@dataclass(frozen=True, slots=True)
class _Cached:
    address: int
    count: int
    outcome: bytes | int  # data, or the exception's code
    time: float


class ModbusGateway:
    """upstream: url of the line or device, or the Client that others use too. host, port: where to listen. units: that
    may be asked (None: all); writes: what may be written, by default nothing. cache_s: how old a read's answer may be;
    0: no cache. queue: requests that wait for the device; one more is answered "busy" (exception 6). allow, clients,
    idle_s, ssl: `modbus_listener.Listener`. Raises ConfigError."""

    def __init__(
        self,
        upstream: str | Client,
        host: str = "127.0.0.1",
        port: int = 502,
        *,
        units: Sequence[int] | None = None,
        writes: Sequence[WriteRule] = (),
        cache_s: float = 1.0,
        queue: int = 64,
        timeout_s: float = 1.0,
        allow: Sequence[str] = (),
        clients: int = 32,
        idle_s: float = 120.0,
        ssl: tls.SSLContext | None = None,
        name: str = "modbus-gateway",
    ) -> None:
        if cache_s < 0 or queue < 1:
            key = "cache_s" if cache_s < 0 else "queue"
            raise ConfigError(name, key, "0 or more" if key == "cache_s" else "1 or more", str(min(cache_s, queue)))
        for n, rule in enumerate(writes):
            if not set(rule.functions) <= {5, 6, 15, 16, 22, 23}:
                raise ConfigError(name, f"writes[{n}].functions", "of 5, 6, 15, 16, 22, 23", str(rule.functions))
            if not 0 <= rule.first <= rule.last <= 65_535:
                raise ConfigError(name, f"writes[{n}]", "first and last, 0..65535", f"{rule.first}, {rule.last}")
        self.name, self.port, self.started = name, port, asyncio.Event()
        self.client = upstream if isinstance(upstream, Client) else Client(upstream, timeout_s=timeout_s)
        self.listener = Listener(host, port, name=name, allow=allow, clients=clients, idle_s=idle_s, ssl=ssl)
        self._units, self._rules = None if units is None else frozenset(units), tuple(writes)
        self._cache_s, self._queue, self._tls = cache_s, queue, ssl is not None
        self._cache: OrderedDict[tuple[int, int, int, int], _Cached] = OrderedDict()  # unit, function, address, count
        self._flights: dict[tuple[int, int, int, int, int], asyncio.Task[bytes | int]] = {}  # and generation
        self._generation: dict[int, int] = {}  # of a unit: up by one when a write begins and when it ends
        self._waiting = self._silent = 0
        self._tasks: set[asyncio.Task[bytes | int]] = set()
        self._retry_at, self._pause = 0.0, BACK_OFF_S[0]

    @property
    def url(self) -> str:
        host = f"[{self.listener.host}]" if ":" in self.listener.host else self.listener.host
        return f"{'tls' if self._tls else 'tcp'}://{host}:{self.port}"

    async def run(self, hub: Hub) -> None:
        """Listen until cancelled; where the port is taken, try again."""
        wait = BACK_OFF_S[0]
        self.listener.count = lambda reason: hub.count("evcore_modbus_gateway_closed_total", reason=reason)
        self._tell(hub, "starting")
        self.client.hold()
        try:
            while True:
                try:
                    await self._serve(hub)
                except OSError as error:
                    self._tell(hub, "down", f"cannot listen: {error}"[:200])
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(2 * wait, BACK_OFF_S[1])
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.client.release()
            self._tell(hub, "stopped")

    async def _serve(self, hub: Hub) -> None:
        server = await self.listener.listen(lambda: _Master(self, hub))
        try:
            self.port = self.listener.port
            self.started.set()
            self._tell(hub, "up", f"{self.url} for {self.client.url}")
            await self.listener.sweep()
        finally:
            self.started.clear()
            server.close()
            self.listener.close()

    def _tell(self, hub: Hub, state: Literal["starting", "up", "down", "stopped"], detail: str = "") -> None:
        hub.publish(Health(self.name, state, detail, time.time_ns()))

    # --- one request ---

    async def answer(self, request: Received) -> bytes:
        """The reply's PDU."""
        function = request.pdu[0]
        try:
            asked = parse(request.pdu)
            self._permit(request.unit, asked)
        except Illegal as error:
            return refusal(function & 0x7F, error.code)
        if isinstance(asked, Read):
            outcome = await self._read(request.unit, asked)
        else:
            outcome = await self._write(request.unit, asked)
        if isinstance(outcome, int):
            return refusal(function, outcome)
        if isinstance(asked, Read | ReadWrite):
            return bytes((function, len(outcome))) + outcome
        return asked.echo if isinstance(asked, Write) else asked.encode()

    def _permit(self, unit: int, asked: Asked) -> None:
        """Raises Illegal."""
        serial = self.client.address.framing != "tcp"
        if (serial and not 1 <= unit <= 247) or (self._units is not None and unit not in self._units):
            raise Illegal(NO_PATH, f"unit {unit}")  # 0 is everybody on a line: nobody's from here
        if isinstance(asked, Read):
            return
        if isinstance(asked, Write):
            first, count = asked.address, len(asked.values)
        elif isinstance(asked, Mask):
            first, count = asked.address, 1
        elif isinstance(asked, ReadWrite):
            first, count = asked.write_address, len(asked.values)
        else:
            raise Illegal(ILLEGAL_FUNCTION, f"function {asked.function}")
        rules = [rule for rule in self._rules if rule.unit == unit and asked.function in rule.functions]
        if not rules:
            raise Illegal(ILLEGAL_FUNCTION, f"function {asked.function} is not allowed")
        if not any(rule.first <= first and first + count - 1 <= rule.last for rule in rules):
            raise Illegal(ILLEGAL_ADDRESS, f"{first}..{first + count - 1} may not be written")

    async def _read(self, unit: int, asked: Read) -> bytes | int:
        generation = self._generation.get(unit, 0)
        cached = self._lookup(unit, asked)
        if cached is not None:
            return cached
        for (other, function, address, count, begun), task in self._flights.items():
            same = (other, function, begun) == (unit, asked.function, generation)
            if same and address <= asked.address and asked.address + asked.count <= address + count:
                outcome = await asyncio.shield(task)
                exact = (address, count) == (asked.address, asked.count)
                if not isinstance(outcome, int):
                    return _part(outcome, asked, address)
                if exact or outcome in (NO_PATH, NO_ANSWER, BUSY):
                    return outcome
                break  # a longer read was refused; ours may not be
        key = (unit, asked.function, asked.address, asked.count)
        flight = self._flights.get((*key, generation))
        if flight is None:
            flight = self._start(unit, asked)
            self._flights[*key, generation] = flight
            flight.add_done_callback(lambda task: self._landed(key, generation, task))
        return await asyncio.shield(flight)

    def _lookup(self, unit: int, asked: Read) -> bytes | int | None:
        oldest = time.monotonic() - self._cache_s
        while self._cache and next(iter(self._cache.values())).time < oldest:
            self._cache.popitem(last=False)
        exact = self._cache.get((unit, asked.function, asked.address, asked.count))
        if exact is not None:
            return exact.outcome
        for (other, function, _, _), one in self._cache.items():
            if (other, function) != (unit, asked.function) or isinstance(one.outcome, int):
                continue
            if one.address <= asked.address and asked.address + asked.count <= one.address + one.count:
                return _part(one.outcome, asked, one.address)
        return None

    def _landed(self, key: tuple[int, int, int, int], generation: int, task: asyncio.Task[bytes | int]) -> None:
        self._flights.pop((*key, generation), None)
        if task.cancelled() or not self._cache_s or generation != self._generation.get(key[0], 0):
            return  # a write came between: what was read may be the old value
        outcome = task.result()
        if not isinstance(outcome, int) or outcome in (1, 2, 3):
            self._cache.pop(key, None)
            self._cache[key] = _Cached(key[2], key[3], outcome, time.monotonic())
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)

    async def _write(self, unit: int, asked: Asked) -> bytes | int:
        return await asyncio.shield(self._start(unit, asked))  # it goes on when its master goes away

    def _invalidate(self, unit: int) -> None:
        """Forget all of the unit: what one register is told often changes others."""
        self._generation[unit] = self._generation.get(unit, 0) + 1
        for key in [key for key in self._cache if key[0] == unit]:
            del self._cache[key]

    def _start(self, unit: int, asked: Asked) -> asyncio.Task[bytes | int]:
        writes = not isinstance(asked, Read)
        task = asyncio.create_task(self._forward(unit, asked, writes=writes), name=self.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if writes:
            self._invalidate(unit)
        return task

    async def _forward(self, unit: int, asked: Asked, *, writes: bool) -> bytes | int:
        """Ask the device: its data, or the exception's code."""
        if self._waiting >= self._queue:
            return BUSY
        self._waiting += 1
        try:
            return await self._ask(_rebuilt(unit, asked), retry=not writes)
        finally:
            self._waiting -= 1
            if writes:
                self._invalidate(unit)

    async def _ask(self, request: Request, *, retry: bool) -> bytes | int:
        """retry: once more on a new connection, where the old one is lost; never a write, which may have been done."""
        if not await self._open():
            return NO_PATH
        try:
            data = await self.client.request(request)
        except ModbusException as error:
            self._silent = 0
            return error.code
        except (ModbusTimeout, InvalidReply):
            self._silent += 1
            if self._silent >= SILENCES and self.client.address.framing != "rtu" and self.client.holders == 1:
                self._silent = 0
                await self.client.close()  # it may be half-open
            return NO_ANSWER
        except LinkError:
            if self.client.connected:
                return BUSY  # too many wait
            return await self._ask(request, retry=False) if retry else NO_PATH
        except EvcoreError:
            return NO_ANSWER
        self._silent = 0
        return data

    async def _open(self) -> bool:
        """Is there a connection? After a failure the next attempt waits; until then there is no path."""
        if self.client.connected:
            return True
        if time.monotonic() < self._retry_at:
            return False
        try:
            await self.client.open()
        except LinkError:
            self._retry_at = time.monotonic() + self._pause * random.uniform(0.5, 1.0)
            self._pause = min(2 * self._pause, BACK_OFF_S[1])
            return False
        self._retry_at, self._pause = 0.0, BACK_OFF_S[0]
        return True


class _Master(Connection):
    """One master: one request of it is under way at a time, so that masters take turns and replies keep their order."""

    def __init__(self, owner: ModbusGateway, hub: Hub) -> None:
        super().__init__(owner.listener)
        self._owner, self._hub = owner, hub
        self._inbox = Inbox("tcp")
        self._queue: deque[Received] = deque()
        self._worker: asyncio.Task[None] | None = None

    def received(self, data: bytes) -> None:
        self._inbox.receive(data, 0)
        self._fill()

    def ended(self) -> None:
        if self._worker is not None:
            self._worker.cancel()

    def _fill(self) -> None:
        while len(self._queue) < PIPELINE and (request := self._inbox.next(0)) is not None:
            self.touch()
            self._hub.traffic("modbus-gateway").received += 1
            self._queue.append(request)
        self.hold("queue", len(self._queue) >= PIPELINE)
        if self._queue and self._worker is None:
            self._worker = asyncio.create_task(self._work(), name=f"{self._owner.name} master")
        elif self._inbox.broken is not None and self._worker is None:
            self._end()

    def _end(self) -> None:
        if self._inbox.broken is not None:
            self._hub.traffic("modbus-gateway").errors += 1
            self.close(self._inbox.broken.reason)

    async def _work(self) -> None:
        try:
            while self._queue and self.transport is not None:
                request = self._queue[0]
                pdu = await self._owner.answer(request)
                self._queue.popleft()
                if self.transport is None:
                    return
                self.transport.write(self._inbox.frame(request, pdu))
                self._hub.traffic("modbus-gateway").sent += 1
                self.touch()
                self._fill()
        except Exception as error:  # noqa: BLE001 - a fault of ours: no reply that could be wrong
            self.abort(type(error).__name__)
        finally:
            self._worker = None
            self._end()


def _rebuilt(unit: int, asked: Asked) -> Request:
    if isinstance(asked, Read):
        return ReadRequest(unit, asked.function, asked.address, asked.count)
    if isinstance(asked, Write):
        return WriteRequest(unit, asked.function, asked.address, asked.values)
    return Request(unit, asked.encode())


def _part(data: bytes, asked: Read, address: int) -> bytes:
    """Of a longer read, which began at `address`."""
    skip = asked.address - address
    if asked.function > 2:
        return data[2 * skip : 2 * (skip + asked.count)]
    return pack_bits(unpack_bits(data, skip + asked.count)[skip:])
