"""What happens on an OCPP connection: the events of `ocpp.session`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from evcore.errors import CallError, EvcoreError

if TYPE_CHECKING:
    from evcore.ocpp.codec import Frame
    from evcore.ocpp.repairs import Repair


class Outcome(StrEnum):
    """How an own CALL ended; each ends exactly once."""

    ANSWERED = "answered"
    REFUSED = "refused"
    INVALID = "invalid"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    DISCONNECTED = "disconnected"


@dataclass(slots=True)  # not frozen: there is one for every message, and freezing costs as much as the rest of its way
class Called:
    """The peer's CALL, valid, to be answered with `Session.answer` or `Session.refuse`.

    data: the whole message as received. frame: as `Codec.decode` made it. received_ns: monotonic time of its arrival.
    """

    id: str
    action: str
    payload: Any
    data: bytes
    frame: Frame = field(repr=False, compare=False)
    received_ns: int = field(compare=False)

    @property
    def span(self) -> tuple[int, int]:
        """Where the payload lies in the message; where that was mended, in `frame.mended`."""
        return self.frame.payload_span or (0, 0)

    @property
    def raw_payload(self) -> bytes:
        """The payload's bytes as received, or as they were mended."""
        start, end = self.span
        return (self.frame.mended or self.data)[start:end]

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        start, end = self.span
        return end - start


@dataclass(frozen=True, slots=True)
class Notified:
    """The peer's SEND (2.1): never answered. size: bytes of the message. received_ns: monotonic time of its arrival."""

    id: str
    action: str
    payload: Any
    size: int = 0
    received_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an own CALL. payload: of the CALLRESULT, only when ANSWERED. error: only when not."""

    id: str
    action: str
    outcome: Outcome
    payload: Any = None
    error: EvcoreError | None = None


@dataclass(frozen=True, slots=True)
class ResultRefused:
    """The peer could not use our answer to its CALL (2.1: CALLRESULTERROR). Nothing is sent again."""

    id: str
    action: str
    error: CallError


@dataclass(frozen=True, slots=True)
class Repaired:
    """A message that only the lenient mode made valid. "in": the peer's; what it says follows. "out": one of ours."""

    id: str
    action: str | None
    repairs: tuple[Repair, ...]
    direction: Literal["in", "out"] = "in"

    @classmethod
    def of_own(cls, message: Any) -> Repaired:
        """What is told of a `MendedMessage` that goes out."""
        return cls(message.id, message.action, message.repairs, "out")


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


Event = Called | Notified | Finished | ResultRefused | Repaired | Anomaly


def error_of(frame: Frame) -> CallError:
    """What a CALLERROR or CALLRESULTERROR says."""
    return CallError(frame.error_code or "", frame.error_description or "", frame.error_details)
