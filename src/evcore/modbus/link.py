"""The asyncio door of this room: a master on a TCP connection or a serial port.

    async with connect("tcp://192.168.1.5:502") as client:
        print(await client.read_holding_registers(unit=1, address=0, count=2))

After the connection is lost every call raises LinkError until `open` is called again: who uses the client knows when
and how often to try.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Protocol, Self, cast

from evcore.core.modbus import Request
from evcore.errors import LinkError
from evcore.modbus.calls import Calls
from evcore.modbus.client import Answered, Broken, Counters, Failed, Master
from evcore.modbus.url import Address, parse


class Transport(Protocol):
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class _Tcp(asyncio.Protocol):
    """The connection of one client; says nothing more once it was closed."""

    def __init__(self, client: Client) -> None:
        self._client: Client | None = client
        self._transport: asyncio.Transport | None = None

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._client is not None:
            self._client._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._client is not None:
            self._client._lost(f"connection lost: {exc or 'closed by the peer'}")

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        self._client = None
        if self._transport is not None:
            self._transport.abort()


class Client(Calls):
    """url: tcp://HOST[:502], rtu+tcp://HOST:PORT, rtu:///dev/ttyUSB0?baudrate=9600&parity=N&stopbits=1.

    The calls raise ModbusException (the device refused), ModbusTimeout, InvalidReply, LinkError, ValueError (beyond the
    specification's limits). They may overlap: one is under way at a time, the others wait in order. Addresses are
    0-based, as on the wire. Constructor raises ConfigError (url), ValueError; `open` raises LinkError.

    Several users may share one, as devices share an RS-485 line: each brackets its use with `hold` and `release`, and
    the last release closes.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 1.0,
        retries: int = 1,
        quarantine_s: float | None = None,
        connect_timeout_s: float = 5.0,
    ) -> None:
        self.address: Address = parse(url)
        self.url = url
        self._connect_timeout = connect_timeout_s
        self._master = Master(
            self.address.framing,
            baudrate=self.address.baudrate,
            timeout_s=timeout_s,
            retries=retries,
            quarantine_s=quarantine_s,
        )
        self.holders = 0
        self._opening = asyncio.Lock()
        self._transport: Transport | None = None
        self._futures: dict[int, asyncio.Future[bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def counters(self) -> Counters:
        return self._master.counters

    def hold(self) -> None:
        """One more user."""
        self.holders += 1

    async def release(self) -> None:
        """One user less."""
        self.holders -= 1
        if self.holders == 0:
            await self.close()

    async def open(self) -> None:
        """Connect, or open the port; nothing happens where that is done. Raises LinkError."""
        async with self._opening:
            if self._transport is None:
                await self._open()

    async def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        address = self.address
        if address.framing == "rtu":
            from evcore.modbus.serial_port import SerialPort  # pyserial, only where there is a port

            self._transport = SerialPort(address, self._received, self._lost)
            return
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, tcp = await self._loop.create_connection(lambda: _Tcp(self), address.host, address.port)
        except TimeoutError:
            raise LinkError(f"{self.url}: no connection within {self._connect_timeout:g} s") from None
        except OSError as error:
            raise LinkError(f"{self.url}: {error.strerror or error}") from None
        if tcp.closed:
            raise LinkError(f"{self.url}: closed by the peer")
        self._transport = tcp

    async def close(self) -> None:
        """Close; what waits fails with LinkError."""
        self._lost("closed")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def request(self, request: Request) -> bytes:
        """Send any request of the functions 1-6, 15, 16, 22, 23; the reply's data bytes, or the echo of a write."""
        if self._transport is None or self._loop is None:
            raise LinkError(f"{self.url}: not connected")
        id = self._master.submit(request, time.monotonic_ns())
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._futures[id] = future
        self._pump()
        try:
            return await future
        finally:
            if self._futures.pop(id, None) is not None:  # the caller was cancelled
                self._master.cancel(id)

    # --- between the master and the transport ---

    def _received(self, data: bytes) -> None:
        self._master.receive(data, time.monotonic_ns())
        self._pump()

    def _lost(self, why: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        self._master.lost(time.monotonic_ns(), f"{self.url}: {why}")
        self._pump()

    def _pump(self) -> None:
        """Let the master go on: hand out what happened, send what is due, be back at its next deadline."""
        now = time.monotonic_ns()
        for event in self._master.poll(now):
            if isinstance(event, Broken):
                self._lost(f"frame boundary lost: {event.error}")
                return
            self._finish(event)
        for data in self._master.to_send():
            if self._transport is not None:
                self._transport.write(data)
        self._arm(now)

    def _finish(self, event: Answered | Failed) -> None:
        future = self._futures.pop(event.id, None)
        if future is None or future.done():
            return
        if isinstance(event, Answered):
            future.set_result(event.data)
        else:
            future.set_exception(event.error)

    def _arm(self, now: int) -> None:
        """One timer, moved only when it would be late: most replies come before it."""
        deadline = self._master.next_deadline()
        if deadline is None or self._loop is None:
            return
        at = self._loop.time() + max(0, deadline - now) / 1e9
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._due)

    def _due(self) -> None:
        self._timer = None
        self._pump()


def connect(
    url: str,
    *,
    timeout_s: float = 1.0,
    retries: int = 1,
    quarantine_s: float | None = None,
    connect_timeout_s: float = 5.0,
) -> Client:
    """A client to be used with `async with`; see `Client`."""
    return Client(
        url, timeout_s=timeout_s, retries=retries, quarantine_s=quarantine_s, connect_timeout_s=connect_timeout_s
    )
