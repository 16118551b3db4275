"""The asyncio door of this room: a bus on a TCP or TLS connection or a serial port.

    async with connect("tcp://192.168.1.5:502") as client:
        print(await client.read_holding_registers(unit=1, address=0, count=2))

After the connection is lost every call raises LinkError until `open` is called again: who uses the client knows when
and how often to try. One timer and no task per request.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from ssl import SSLContext
from types import TracebackType
from typing import Any, Protocol, Self, cast

from evcore.core.modbus import Request
from evcore.errors import EvcoreError, LinkError
from evcore.modbus.bus import Bus, Statistics
from evcore.modbus.calls import Calls
from evcore.modbus.client import Answered, Broken, Counters, Failed, Window
from evcore.modbus.url import Address, parse

_READ_SIZE = 16 * 1024  # more than 16 replies
_HALF_OPEN_S = 15  # a peer that has vanished without a word is noticed after about this time


class Transport(Protocol):
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class _Tcp(asyncio.BufferedProtocol):
    """The connection of one client; says nothing more once it was closed. It reads into one buffer of its own."""

    def __init__(self, client: Client) -> None:
        self._client: Client | None = client
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_READ_SIZE))

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write  # type: ignore[method-assign]  # one call less per request
        notice_half_open(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._client is not None:
            self._client._received(bytes(self._buffer[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._client is not None:
            self._client._lost(f"connection lost: {exc or 'closed by the peer'}")

    def write(self, data: bytes) -> None:
        """Nothing: there is no connection yet."""

    def burst(self, data: bytes) -> None:
        """Several requests. A server that gathers small replies (Nagle) holds all but the first until that one is
        acknowledged, and a system that waits for something to send with that does so after 40 ms: tell it not to."""
        self.write(data)
        if self._transport is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError, AttributeError):
                self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        self._client = None
        if self._transport is not None:
            self._transport.abort()


def notice_half_open(sock: Any) -> None:
    """Let the system end a connection whose peer has gone without a word, idle or not."""
    options = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 1000 * _HALF_OPEN_S}
    with suppress(OSError, AttributeError):  # no socket, or a system without them
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class _Reply(asyncio.Future[Any]):
    """What one task waits for. `wake` lets the task go on at once, within the turn of the loop that brought the reply;
    a plain Future costs a turn more, which is a third of the time that a request takes."""

    _waiter: tuple[Callable[[Any], object], contextvars.Context] | None = None

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: contextvars.Context | None = None) -> None:
        if self._waiter is None and context is not None and not self.done():
            self._waiter = fn, context
        else:
            super().add_done_callback(fn, context=context)

    def later(self) -> Self:
        """Wake the task as any other Future does."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            super().add_done_callback(waiter[0], context=waiter[1])
        return self

    def cancel(self, msg: Any | None = None) -> bool:
        return asyncio.Future.cancel(self.later(), msg)

    def wake(self, result: object) -> None:
        waiter, self._waiter = self._waiter, None
        self.set_result(result)
        if waiter is not None:
            waiter[1].run(waiter[0], self)


class _Plan:
    """Several requests with one future. slots: in order, ids or what could not be asked."""

    def __init__(self, reply: _Reply) -> None:
        self.reply = reply
        self.slots: list[int | EvcoreError] = []
        self.got: dict[int, bytes | EvcoreError] = {}
        self.open = 0

    def results(self) -> list[bytes | EvcoreError]:
        got = self.got
        return [got[slot] if isinstance(slot, int) else slot for slot in self.slots]


class Client(Calls):
    """url: see `evcore.modbus.url`. timeout_s: from the request to its reply. retries: further tries after a timeout or
    an invalid reply. quarantine_s: after a serial timeout, None: as long as the timeout. connect_timeout_s: for `open`.
    window: TCP requests under way at once, 1 to 16; "auto" finds out what the device takes. spacing_s: rest between the
    exchanges with a device. connect_delay_s: rest after connecting. ssl: of tls://, instead of the url's files.

    The calls (those of `Calls`, `request`, `requests`) raise ModbusException (the device refused), ModbusTimeout,
    InvalidReply, LinkError. They may overlap. Constructor raises ConfigError (url), ValueError; `open` LinkError.

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
        window: Window = "auto",
        spacing_s: float = 0.0,
        connect_delay_s: float = 0.0,
        ssl: SSLContext | None = None,
    ) -> None:
        self.address: Address = parse(url)
        self.url = url
        self._connect_timeout, self._timeout = connect_timeout_s, timeout_s
        if ssl is None and self.address.scheme == "tls":
            from evcore.modbus.tls import context  # only where it is used

            ssl = context(url, self.address)
        self._ssl = ssl if self.address.scheme == "tls" else None
        self._bus = Bus(
            self.address.framing,
            baudrate=self.address.baudrate,
            timeout_s=timeout_s,
            retries=retries,
            quarantine_s=quarantine_s,
            window=window,
            spacing_s=spacing_s,
            connect_delay_s=connect_delay_s,
            echo=False if self.address.foreign else self.address.echo,
        )
        self.holders = 0
        self._opening = asyncio.Lock()
        self._transport: Transport | None = None
        self._waiting: dict[int, _Reply | _Plan] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def counters(self) -> Counters:
        return self._bus.counters

    def statistics(self) -> Statistics:
        """What was counted and measured, of the line and of each device."""
        return self._bus.statistics(time.monotonic_ns())

    def tune(
        self, unit: int, *, timeout_s: float | None = None, retries: int | None = None, spacing_s: float | None = None
    ) -> None:
        """A device that needs other settings than its line. None: as it is. Raises ValueError."""
        self._bus.tune(unit, timeout_s=timeout_s, retries=retries, spacing_s=spacing_s)

    def forget(self, unit: int) -> None:
        """Ask a device again that was taken for dead, whatever was before."""
        self._bus.forget(unit)

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
                self._bus.opened(time.monotonic_ns())

    async def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        address = self.address
        if address.scheme == "rtu":
            from evcore.modbus.serial_port import SerialPort  # pyserial, only where there is a port

            self._transport = SerialPort(address, self._received, self._lost)
            return
        try:
            async with asyncio.timeout(self._connect_timeout):
                if address.foreign:
                    from evcore.modbus.adapter import Adapter, pymodbus_client  # pymodbus, only for these

                    client = pymodbus_client(address, timeout_s=self._timeout)
                    self._transport = await Adapter.open(client, self._received, self._lost)
                    return
                _, tcp = await self._loop.create_connection(
                    lambda: _Tcp(self),
                    address.host,
                    address.port,
                    ssl=self._ssl,
                    server_hostname=(address.hostname or address.host) if self._ssl else None,
                )
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

    async def request(self, request: Request, *, urgent: bool | None = None) -> bytes:
        """Send any request; the reply's data bytes, or the echo of a write. urgent: before others; None: writes are."""
        if self._transport is None:
            raise LinkError(f"{self.url}: not connected")
        now = time.monotonic_ns()
        id = self._bus.submit(request, now, urgent=urgent)
        reply = self._waiting[id] = _Reply(loop=self._loop)
        self._pump(now)
        try:
            return cast(bytes, await reply)
        finally:
            if id in self._waiting:  # the caller was cancelled
                del self._waiting[id]
                self._bus.cancel(id)

    async def requests(self, requests: Iterable[Request]) -> list[bytes | EvcoreError]:
        """All of them, as many at once as the window allows, and one wait for the whole: the data bytes of each, or
        the error in its place. Raises LinkError (the connection is lost)."""
        if self._transport is None:
            raise LinkError(f"{self.url}: not connected")
        now = time.monotonic_ns()
        plan = _Plan(_Reply(loop=self._loop))
        submit, waiting, slots = self._bus.submit, self._waiting, plan.slots
        for request in requests:
            try:
                id = submit(request, now)
            except LinkError as error:  # too many wait
                slots.append(error)
                continue
            waiting[id] = plan
            slots.append(id)
            plan.open += 1
        if not plan.open:
            return plan.results()
        self._pump(now)
        try:
            return cast(list[bytes | EvcoreError], await plan.reply)
        finally:
            if plan.open:  # cancelled, or the connection is gone
                for slot in slots:
                    if isinstance(slot, int) and waiting.pop(slot, None) is not None:
                        self._bus.cancel(slot)

    # --- between the bus and the transport ---

    def _received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._bus.receive(data, now)
        self._pump(now, direct=asyncio.current_task(self._loop) is None)

    def _lost(self, why: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        now = time.monotonic_ns()
        self._bus.lost(now, f"{self.url}: {why}")
        self._pump(now)

    def _pump(self, now: int, *, direct: bool = False) -> None:
        """Let the bus go on: send what is due, be back at its next deadline, hand out what happened; that last, since
        a task that is woken may well ask again. direct: no task runs now, so one may be woken within this call."""
        bus = self._bus
        events = bus.poll(now)
        out = bus.to_send()
        if out and self._transport is not None:
            if len(out) == 1:
                self._transport.write(out[0])
            elif isinstance(self._transport, _Tcp):
                self._transport.burst(b"".join(out))
            else:
                for data in out:
                    self._transport.write(data)
        deadline = bus.next_deadline()
        if deadline is not None and (self._timer is None or deadline < self._timer_due):
            self._arm(deadline, now)
        for event in events:
            if isinstance(event, Broken):
                self._lost(f"frame boundary lost: {event.error}")
                return
            self._finish(event, direct)

    def _finish(self, event: Answered | Failed, direct: bool) -> None:
        waiting = self._waiting.pop(event.id, None)
        if waiting is None:
            return
        result: Any
        if type(waiting) is _Reply:
            reply = waiting
            if type(event) is Failed:
                if not reply.done():
                    reply.later().set_exception(event.error)
                return
            result = event[2]
        else:
            plan = cast(_Plan, waiting)
            reply = plan.reply
            plan.open -= 1
            if type(event) is Failed and type(event.error) is LinkError:  # the connection; a time-out is a kind of it
                plan.open = -1
                if not reply.done():
                    reply.later().set_exception(event.error)
                return
            plan.got[event.id] = event[2]
            if plan.open:
                return
            result = plan.results()
        if reply.done():
            return
        if direct:
            reply.wake(result)
        else:
            reply.later().set_result(result)

    def _arm(self, deadline: int, now: int) -> None:
        """One timer, moved only when it would be late: most replies come before it."""
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = deadline
        self._timer = self._loop.call_later(max(0, deadline - now) / 1e9, self._due)

    def _due(self) -> None:
        self._timer = None
        self._pump(time.monotonic_ns())


def connect(
    url: str,
    *,
    timeout_s: float = 1.0,
    retries: int = 1,
    quarantine_s: float | None = None,
    connect_timeout_s: float = 5.0,
    window: Window = "auto",
    spacing_s: float = 0.0,
    connect_delay_s: float = 0.0,
    ssl: SSLContext | None = None,
) -> Client:
    """A client to be used with `async with`; see `Client`."""
    return Client(
        url,
        timeout_s=timeout_s,
        retries=retries,
        quarantine_s=quarantine_s,
        connect_timeout_s=connect_timeout_s,
        window=window,
        spacing_s=spacing_s,
        connect_delay_s=connect_delay_s,
        ssl=ssl,
    )
