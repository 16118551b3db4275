"""A non-blocking socket that collects what is written and reads ahead: what paho-mqtt gets instead of a bare one.

paho reads a packet's first byte, its length and its body one by one and writes every packet by itself: a system call
each. Here many packets share one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

from evcore.backends.mqtt_packets import AckFilter
from evcore.errors import LinkError

_READ = 65536
_WRITE = 65536


def why(error: OSError | UnicodeError) -> str:
    """The reason in the system's words; asyncio and ssl put others into strerror."""
    if isinstance(error, UnicodeError) or not error.errno:
        return str(error)
    if isinstance(error, socket.gaierror | ssl.SSLError):
        return error.strerror or str(error)
    return os.strerror(error.errno)


class Link:
    """Has the methods of a socket that paho uses (`paho.mqtt.client.SocketLike`) and never blocks.

    `recv` hands out what `fill` has read, but for the PUBACKs, which wait in `acks` (packet id, reason code). `send`
    keeps what `flush` will write. high_water: beyond so many waiting bytes `send` raises BlockingIOError and `room` is
    false. max_packet: a longer packet of the peer ends the connection instead of filling the memory.
    """

    def __init__(self, sock: socket.socket, *, high_water: int = 262_144, max_packet: int = 262_144) -> None:
        self._sock = sock
        self._high_water, self._max_packet = high_water, max_packet
        # A broker with Nagle's algorithm on, as mosquitto has it, waits for TCP's acknowledgement between PUBACKs, and
        # Linux delays that by 40 ms unless told otherwise, after each read.
        self._quick_ack: int | None = getattr(socket, "TCP_QUICKACK", None)
        self._filter = AckFilter()
        self._in, self._at = b"", 0
        self.acks: list[tuple[int, int]] = []
        self._end: OSError | None = None
        self._closed = False
        self.out = bytearray()

    @property
    def room(self) -> bool:
        return len(self.out) < self._high_water

    @property
    def end(self) -> str:
        """Why nothing more comes, "" while something may."""
        return "" if self._end is None else why(self._end)

    @property
    def unread(self) -> bool:
        """Is there something for `recv`, be it the end?"""
        return self._at < len(self._in) or self._end is not None

    def fill(self) -> bool:
        """Read once from the socket; true if more may wait inside the TLS layer, where no selector sees it."""
        try:
            data = self._sock.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            self._end = error
            return False
        if not data:
            self._end = ConnectionResetError("closed by the broker")
        if self._quick_ack is not None:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, self._quick_ack, 1)
        passed, acks = self._filter.feed(data)
        self.acks += acks
        self._in, self._at = self._in[self._at :] + passed, 0
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def recv(self, buffer_size: int) -> bytes:
        if buffer_size > self._max_packet:
            raise ConnectionAbortedError(f"a packet of more than {self._max_packet} bytes")
        if self._at == len(self._in):
            if self._end is not None:
                raise self._end
            raise BlockingIOError
        data = self._in[self._at : self._at + buffer_size]
        self._at += len(data)
        return data

    def send(self, buffer: bytes | bytearray) -> int:
        if not self.room:
            raise BlockingIOError
        self.out += buffer
        return len(buffer)

    def flush(self) -> bool:
        """Write what the socket takes; true when nothing is left. Raises OSError."""
        while self.out:
            try:
                # A TLS write that wants repeating must be repeated with the same bytes; more behind them do no harm.
                count = self._sock.send(self.out if len(self.out) <= _WRITE else self.out[:_WRITE])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            del self.out[:count]
        return True

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """paho asks for what already is."""

    def close(self) -> None:
        """What the socket still takes at once goes out; the rest is lost."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                self.flush()
            self._sock.close()


async def open_link(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> Link:
    """Connect and shake hands without blocking the loop; `timeout` in seconds for each address of the host.

    Raises LinkError with the reason of the last address.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise LinkError(f"{host}: no address within {timeout:g} s") from None
    except (OSError, UnicodeError) as error:
        raise LinkError(f"{host}: {why(error)}") from error
    reason = "no address"
    for family, kind, protocol, _, address in found[:4]:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(timeout):
                await loop.sock_connect(sock, address)
                if tls is not None:
                    sock = await _shake_hands(loop, sock, tls, host)
            return Link(sock)
        except TimeoutError:
            reason = f"no connection within {timeout:g} s"
        except ssl.SSLCertVerificationError as error:
            reason = f"certificate refused: {error.verify_message}"
        except ssl.SSLError as error:
            reason = f"TLS: {error.reason or error}"
        except OSError as error:
            reason = why(error)
        except BaseException:
            sock.close()
            raise
        sock.close()
    raise LinkError(f"{host}:{port}: {reason}")


async def _shake_hands(
    loop: asyncio.AbstractEventLoop, plain: socket.socket, tls: ssl.SSLContext, host: str
) -> ssl.SSLSocket:
    sock = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                sock.do_handshake()
                return sock
            except ssl.SSLWantReadError:
                await _ready(loop, loop.add_reader, loop.remove_reader, sock.fileno())
            except ssl.SSLWantWriteError:
                await _ready(loop, loop.add_writer, loop.remove_writer, sock.fileno())
    except BaseException:
        sock.close()
        raise


async def _ready(
    loop: asyncio.AbstractEventLoop, watch: Callable[..., Any], unwatch: Callable[[int], object], descriptor: int
) -> None:
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    watch(descriptor, tell)
    try:
        await ready
    finally:
        unwatch(descriptor)
