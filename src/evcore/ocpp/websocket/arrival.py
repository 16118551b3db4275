"""A connection whose handshake is finished and whose peer may not be served yet.

picows decides about an upgrade before TLS and address can be seen and without waiting for anything. So what takes
longer (a certificate, a question to a database, a ping to an older connection) is done after the 101: meanwhile what
the peer says is held, a little of it, and nobody hears it. It ends in `admit` or in `refuse`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from evcore.ocpp.websocket.connection import Connection, Receiver

HELD_MESSAGES, HELD_BYTES = 8, 64 * 1024
POLICY_VIOLATION = 1008


class Reception(Protocol):
    """Who keeps count of arrivals: the listening door."""

    def admitted(self, arrival: Arrival) -> None: ...
    def rejected(self, arrival: Arrival, reason: str, *, blame: bool) -> None: ...


class Arrival:
    """A `Receiver` for the time until it is known who receives.

    identity: that the peer claims. decide: called once the connection is open; must bring about `admit` or `refuse`.
    """

    __slots__ = ("_bytes", "_decide", "_held", "connection", "identity", "opening", "reception", "settled")

    def __init__(self, identity: str, decide: Callable[[Arrival], None]) -> None:
        self.identity, self._decide = identity, decide
        self.reception: Reception | None = None
        self.opening: Any = None
        self.connection: Connection | None = None
        self.settled = False
        self._held: list[bytes] = []
        self._bytes = 0

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The peer's, as `ssl.SSLSocket.getpeercert` gives it; None where it showed none that was checked."""
        return None if self.connection is None else self.connection.peer_certificate

    def admit(self, receiver: Receiver) -> None:
        """From now on `receiver` receives, first of all what was held."""
        connection = self.connection
        if self.settled or connection is None or not connection.is_open:
            return
        self.settled = True
        if self.reception is not None:
            self.reception.admitted(self)
        held, self._held = self._held, []
        connection.hand_over(receiver, held)

    def refuse(self, reason: str, *, code: int = POLICY_VIOLATION, blame: bool = True) -> None:
        """Close it; `reason` goes to the peer too. blame: it counts as a failure of the peer's address."""
        if self.settled or self.connection is None:
            return
        self._settle(reason, blame)
        self.connection.close(code, reason)

    # The connection's reports

    def opened(self, connection: Connection) -> None:
        self.connection = connection
        self._decide(self)

    def received(self, data: bytes) -> None:
        self._bytes += len(data)
        if len(self._held) >= HELD_MESSAGES or self._bytes > HELD_BYTES:
            self.refuse("impatient")
        elif not self.settled:
            self._held.append(data)

    def closed(self, code: int, reason: str) -> None:
        if not self.settled:
            self._settle("left" if reason in ("peer", "lost") else reason, False)

    def _settle(self, reason: str, blame: bool) -> None:
        self.settled, self._held = True, []
        if self.reception is not None:
            self.reception.rejected(self, reason, blame=blame)
