"""Sockets that say where they come from and when they close.

picows does not tell its factory who asks. The last to know is the listening socket, whose `accept` hands the connection
on in a context variable, which asyncio copies into the task of the new connection.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from contextvars import ContextVar
from typing import Any, Protocol

OPENING: ContextVar[OpeningSocket | None] = ContextVar("opening", default=None)
_REFUSALS_PER_PASS = 64  # connections turned away before others get their turn


class Door(Protocol):
    """Who decides about new connections."""

    def admit(self, opening: socket.socket, address: Any) -> OpeningSocket | None: ...
    def turned_away(self) -> None: ...
    def ended(self, opening: OpeningSocket) -> None: ...


class ListeningSocket(socket.socket):
    """Lets in whom the door admits. Where no descriptor is left it takes a connection with its reserve and closes it,
    or it would be offered for ever."""

    __slots__ = ("_reserve", "door")
    door: Door
    _reserve: int

    @classmethod
    def bound(cls, family: int, kind: int, proto: int, address: Any, door: Door) -> ListeningSocket:
        """Raises OSError."""
        listening = cls(family, kind, proto)
        listening.door, listening._reserve = door, -1
        try:
            listening._reserve = os.open(os.devnull, os.O_RDONLY)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
        return listening

    def again(self) -> ListeningSocket:
        """Another handle of the same listening port: closing one leaves the other, and loses no connection."""
        other = self.dup()
        other.door, other._reserve = self.door, os.open(os.devnull, os.O_RDONLY)
        other.setblocking(False)
        return other

    def accept(self) -> tuple[socket.socket, Any]:
        for _ in range(_REFUSALS_PER_PASS):
            try:
                opening, address = super().accept()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                self._turn_away()
                continue
            watched = self.door.admit(opening, address)
            if watched is not None:
                return watched, address
        raise BlockingIOError

    def _turn_away(self) -> None:
        os.close(self._reserve)
        try:
            with contextlib.suppress(OSError):
                super().accept()[0].close()
        finally:
            self._reserve = os.open(os.devnull, os.O_RDONLY)
        self.door.turned_away()

    def close(self) -> None:
        super().close()
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1


class OpeningSocket(socket.socket):
    """A connection that tells when it closes. peer: its address."""

    __slots__ = ("door", "peer")
    door: Door
    peer: str

    @classmethod
    def of(cls, opening: socket.socket, door: Door, peer: str) -> OpeningSocket:
        watched = cls(opening.family, opening.type, opening.proto, fileno=opening.detach())
        watched.door, watched.peer = door, peer
        return watched

    def give_up(self) -> None:
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        self.door.ended(self)
