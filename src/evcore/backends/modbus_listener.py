"""A port for Modbus masters: who may connect, how many, and for how long without asking anything."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl as tls
from collections.abc import Callable, Sequence
from typing import cast

from evcore.errors import ConfigError
from evcore.hosts import is_loopback

_HANDSHAKE_S = 10.0


class Connection(asyncio.Protocol):
    """One master. A subclass says what is done with what comes (`received`) and when it is over (`ended`)."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.transport: asyncio.Transport | None = None
        self.last = 0.0  # loop time of its last whole request, or of its coming
        self.asked = False  # it has sent a whole request
        self._reasons: set[str] = set()  # why nothing is read now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.last = asyncio.get_running_loop().time()
        self.listener.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.listener.open.pop(self, None)
        self.ended()

    def data_received(self, data: bytes) -> None:
        self.received(data)

    def pause_writing(self) -> None:
        """A master that does not read its replies is not listened to either."""
        self.hold("writing", True)

    def resume_writing(self) -> None:
        self.hold("writing", False)

    def hold(self, reason: str, on: bool) -> None:
        """Stop reading (on), or go on when no other reason is left."""
        (self._reasons.add if on else self._reasons.discard)(reason)
        if self.transport is not None and not self.transport.is_closing():
            if self._reasons:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def touch(self) -> None:
        """A whole request has come."""
        self.asked, self.last = True, asyncio.get_running_loop().time()

    def close(self, reason: str) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.listener.count(reason)
            self.transport.close()

    def abort(self, reason: str) -> None:
        if self.transport is not None:
            self.listener.count(reason)
            self.transport.abort()

    def received(self, data: bytes) -> None: ...
    def ended(self) -> None: ...


class Listener:
    """allow: addresses or networks ("10.1.0.0/16"); () is everybody, which is refused off the loopback unless clients
    show certificates. clients: at once; one more takes the place of the one that has been idle for longest, and of
    those that never asked anything first. idle_s: after so long without a whole request a connection is closed.
    refused: called with the reason of every connection that is turned away or closed. Raises ConfigError."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str,
        allow: Sequence[str] = (),
        clients: int = 32,
        idle_s: float = 120.0,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        if not 1 <= clients <= 10_000:
            raise ConfigError(name, "clients", "1..10000", str(clients))
        if not idle_s > 0:
            raise ConfigError(name, "idle_s", "more than 0", str(idle_s))
        certified = ssl is not None and ssl.verify_mode is tls.CERT_REQUIRED
        if not allow and not certified and not is_loopback(host):
            expected = f"the addresses that may connect to {host or 'all addresses'}, or TLS with client certificates"
            raise ConfigError(name, "allow", expected, "none")
        self.host, self.port = host, port
        self.open: dict[Connection, None] = {}
        self.count: Callable[[str], None] = lambda reason: None
        self._allow = networks(allow, name)
        self._clients, self._idle, self._ssl = clients, idle_s, ssl

    async def listen(self, connect: Callable[[], Connection]) -> asyncio.Server:
        """Raises OSError."""
        server = await asyncio.get_running_loop().create_server(
            connect,
            self.host or None,
            self.port,
            ssl=self._ssl,
            ssl_handshake_timeout=_HANDSHAKE_S if self._ssl else None,
        )
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def sweep(self) -> None:
        """Until cancelled: close those that ask nothing."""
        while True:
            await asyncio.sleep(min(1.0, self._idle / 4))
            oldest = asyncio.get_running_loop().time() - self._idle
            for one in [one for one in self.open if one.last < oldest]:
                one.abort("idle")

    def admit(self, one: Connection) -> None:
        peer = one.transport.get_extra_info("peername") if one.transport else None
        if self._allow and not (peer and _among(str(peer[0]), self._allow)):
            one.abort("address")
            return
        if len(self.open) >= self._clients:
            victim = min(self.open, key=lambda other: (other.asked, other.last))
            del self.open[victim]
            victim.abort("clients")
        self.open[one] = None

    def close(self) -> None:
        for one in list(self.open):
            one.abort("closing")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(allow: Sequence[str], name: str) -> tuple[Network, ...]:
    """Raises ConfigError."""
    found = []
    for n, text in enumerate(allow):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ConfigError(name, f"allow[{n}]", "an address or network such as 10.1.0.0/16", str(error)) from None
    return tuple(found)


def _among(address: str, allowed: tuple[Network, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return any(ip in network for network in allowed)
