"""What happens on an OCPP connection: the events of `ocpp.session`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from evcore.errors import EvcoreError


class Outcome(StrEnum):
    """How an own CALL ended; each ends exactly once."""

    ANSWERED = "answered"
    REFUSED = "refused"
    INVALID = "invalid"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Called:
    """The peer's CALL, valid, to be answered with `Session.answer` or `Session.refuse`.

    data, span: the whole message as received and where its payload lies in it.
    """

    id: str
    action: str
    payload: Any
    data: bytes
    span: tuple[int, int]

    @property
    def raw_payload(self) -> bytes:
        """The payload's bytes as received."""
        return self.data[self.span[0] : self.span[1]]

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return self.span[1] - self.span[0]


@dataclass(frozen=True, slots=True)
class Notified:
    """The peer's SEND (2.1): never answered. size: bytes of the message."""

    id: str
    action: str
    payload: Any
    size: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an own CALL. payload: of the CALLRESULT, only when ANSWERED. error: only when not."""

    id: str
    action: str
    outcome: Outcome
    payload: Any = None
    error: EvcoreError | None = None


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that the peer (or, for "invalid_answer", this side) did against the rules; it cost that message only.

    reason: short and stable, fit for a counter's label. answered: a CALLERROR or CALLRESULTERROR went out for it.
    """

    reason: str
    detail: str
    id: str | None = None
    action: str | None = None
    answered: bool = False


Event = Called | Notified | Finished | Anomaly
