"""OCPP-J messages to Python payloads and back, every byte and every value checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evcore.core.ocpp import Frame
from evcore.core.ocpp_encode import Encoder
from evcore.errors import MessageError, PayloadError

from .message_types import CALLERROR, CALLRESULTERROR
from .policy import Mode, Policy, policy_of
from .repairs import MendedMessage
from .schemas import schemas_of
from .violations import explain, spell, unknown_action

__all__ = ["Codec", "Frame", "Limits"]

_TYPES = {"1.6": 0b11100, "2.0.1": 0b11100, "2.1": 0b1111100}
_DESCRIPTION_MAX = 255  # OCPP 2.0.1 Part 4, 4.2.3: errorDescription string[255]


@dataclass(frozen=True, slots=True)
class Limits:
    """size: bytes of a message. depth: open brackets in it, its own included (at most 256). nodes: values in it, its
    own array counted too."""

    size: int = 1 << 20
    depth: int = 32
    nodes: int = 65536

    def __post_init__(self) -> None:
        if not 1 <= self.size < 1 << 32:
            raise ValueError(f"size: expected 1..4294967295, got {self.size}")
        if not 2 <= self.depth <= 256:
            raise ValueError(f"depth: expected 2..256, got {self.depth}")
        if not 1 <= self.nodes < 1 << 32:
            raise ValueError(f"nodes: expected 1..4294967295, got {self.nodes}")


class Codec(Encoder):
    """The messages of one OCPP version ("1.6", "2.0.1" or "2.1"); no state, so one codec serves any number of links.
    It is a view on tables that all codecs of a version share.

    mode: "strict" (None) judges every payload by its schema; "lenient" mends what comes in where a known repair fits
    and says so in the frame's `repairs`; "off" judges none (frames are always judged). policy: instead of a mode, the
    same by direction and action. What `encode_*` mended is a `MendedMessage`, which has its `repairs` too.

    exact: which numbers with a fraction or exponent come as Decimal, with the digits received: True for all, or the
    paths of members in wire names, without the places in lists. `"value"` is any member of that name,
    `"sampledValue/value"` any so placed, `"/totalCost"` one of the payload itself. All others are float, equal to what
    orjson makes of them; integers are int. What 2.x (JSON Schema draft 6) takes for an integer though it is
    written with a fraction or exponent, such as 1.0, is no int, and the limit of 64 bits is not for it.

    formats: judge `date-time` (RFC 3339) and `uri` (RFC 3986) too.

    A name that is there twice in one object counts once, with its last value, as in other JSON parsers. So whoever
    passes a message on should encode it anew instead of copying its bytes.
    """

    __slots__ = ("policy",)

    def __init__(
        self,
        version: str,
        *,
        mode: Mode | None = None,
        policy: Policy | None = None,
        exact: Collection[str] | bool = False,
        formats: bool = False,
        limits: Limits = Limits(),
    ) -> None:
        if policy is not None and mode is not None:
            raise ValueError("mode: expected none beside a policy, which has its own")
        if isinstance(exact, str):
            raise ValueError(f"exact: expected a collection of paths, got {exact!r}")
        self.policy = policy_of(mode or "strict") if policy is None else policy
        judge = next((same for same in ("strict", "off") if self.policy.everywhere("in", same)), "lenient")
        tables = schemas_of(version).tables
        super().__init__(tables, _TYPES[version], limits, judge=judge, exact=exact, formats=formats)

    def __repr__(self) -> str:
        return f"Codec({self.version!r}, {self.policy!r})"

    # ---- what is not as it should be (see Decoder, Encoder) ----

    def violation(
        self, frame: Frame, rule: str, limit: Any, steps: Sequence[str | int], text: bytes | None, count: int
    ) -> PayloadError:
        if rule == "action":
            error = unknown_action(frame.action or "")
        else:
            error = explain(self.version, rule, limit, steps, text, count)
        error.id, error.action, error.type = frame.id, frame.action, frame.type
        return error

    def refused(
        self, error: MessageError, data: bytes, action: str | Mapping[str, str] | None, names: str | None
    ) -> Frame:
        from .lenient import rescue

        def again(message: bytes, judged: bool) -> Frame:
            return self.reread(message, action, names, judged)

        return rescue(data, error, self.policy, self.version, self.formats, again)

    # ---- bytes out ----

    def encode_error(
        self, id: str, code: str, description: str = "", details: Mapping[str, Any] | None = None
    ) -> bytes:
        """A CALLERROR. code: either spelling, sent in that of the version.

        The description is cut at 255 characters; details that JSON has no form of, or too long for the limits, are left
        out: the report of an error raises none. Raises FrameError for a wrong id.
        """
        return self._encode_error(CALLERROR, id, code, description, details)

    def encode_result_error(
        self, id: str, code: str, description: str = "", details: Mapping[str, Any] | None = None
    ) -> bytes:
        """A CALLRESULTERROR (2.1 only: FrameError "type" otherwise). As `encode_error`."""
        return self._encode_error(CALLRESULTERROR, id, code, description, details)

    def reconsider(self, type: int, id: str, action: str, payload: object) -> bytes:
        rule = self.policy.rule("out", action)
        message, at = self.unjudged(type, id, action, payload)
        try:
            frame = self.reread(message, action, None, rule.mode != "off")
            if message[at:-1] == b"null" and rule.mode != "off":  # taken as {} where it comes in, never sent
                raise self.violation(frame, "type", ["object"], (), b"null", 0)
        except PayloadError as error:
            if rule.mode == "strict":
                raise
            from .lenient import rescue_outgoing

            text, repairs = rescue_outgoing(message[at:-1], error, rule, self.version, self.formats)
            message = MendedMessage(message[:at] + text + b"]", id, action, tuple(repairs))
            self.scan(message)
        return message

    def _encode_error(
        self, type: int, id: str, code: str, description: str, details: Mapping[str, Any] | None
    ) -> bytes:
        code, description = _clean(spell(self.version, code))[:64], _clean(description)[:_DESCRIPTION_MAX]
        try:
            message = self.error_message(type, id, code, description, details or {})
            self.scan(message)
        except (TypeError, ValueError, RuntimeError):
            message = self.error_message(type, id, code, description, {})
            self.scan(message)
        return message


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which have no UTF-8."""
    return str(text).encode("utf-8", "replace").decode()
