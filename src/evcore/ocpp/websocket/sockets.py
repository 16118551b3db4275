"""Sockets that say where they come from and when they close.

picows does not tell its factory who asks. The last to know is the listening socket, whose `accept` hands the connection
on in a context variable, which asyncio copies into the task of the new connection.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from contextvars import ContextVar
from typing import Any, Protocol

OPENING: ContextVar[OpeningSocket | None] = ContextVar("opening", default=None)
PER_PASS = 32  # connections taken, or turned away, before those that are open get their turn


class Door(Protocol):
    """Who decides about new connections."""

    def admit(self, opening: socket.socket, address: Any) -> OpeningSocket | None: ...
    def turned_away(self) -> None: ...
    def ended(self, opening: OpeningSocket) -> None: ...


class ListeningSocket(socket.socket):
    """Lets in whom the door admits. Where no descriptor is left it takes a connection with its reserve and closes it,
    or it would be offered for ever."""

    __slots__ = ("_gate", "_reserve", "_taken", "door")
    door: Door
    _gate: select.epoll | None  # what the event loop watches instead, so that it can be shut without its knowing
    _reserve: int
    _taken: int

    @classmethod
    def bound(cls, family: int, kind: int, proto: int, address: Any, door: Door) -> ListeningSocket:
        """Raises OSError."""
        listening = cls(family, kind, proto)
        listening._gate, listening._reserve = None, -1
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening._equip(door)
        except BaseException:
            listening.close()
            raise
        return listening

    def again(self) -> ListeningSocket:
        """Another handle of the same listening port: closing one leaves the other, and loses no connection."""
        own = os.dup(super().fileno())  # not `self.dup`, which would double the gate
        other = ListeningSocket(self.family, self.type, self.proto, fileno=own)
        other._gate, other._reserve = None, -1
        try:
            other._equip(self.door)
        except BaseException:
            other.close()
            raise
        return other

    def _equip(self, door: Door) -> None:
        self.door, self._taken = door, 0
        self.setblocking(False)
        self._reserve = os.open(os.devnull, os.O_RDONLY)
        if hasattr(select, "epoll"):
            gate = select.epoll()
            gate.register(super().fileno(), select.EPOLLIN)
            self._gate = gate

    def fileno(self) -> int:
        return super().fileno() if self._gate is None else self._gate.fileno()

    def shut(self, shut: bool) -> None:
        """Leave new connections in the system's queue, or take them again."""
        if self._gate is not None and not self._gate.closed:
            self._gate.modify(super().fileno(), 0 if shut else select.EPOLLIN)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next one that the door admits. Who calls it goes on until BlockingIOError, which is said early: what
        still waits is offered again in the next pass of the event loop."""
        while self._taken < PER_PASS:
            self._taken += 1
            try:
                opening, address = super().accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                self._turn_away()
                continue
            watched = self.door.admit(opening, address)
            if watched is not None:
                return watched, address
        self._taken = 0
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
        if self._gate is not None:
            self._gate.close()
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
