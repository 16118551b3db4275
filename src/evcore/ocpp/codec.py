"""OCPP-J messages to Python payloads and back, every byte and every value checked."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

import orjson

from evcore.core.ocpp import Frame, scan
from evcore.errors import FrameError, MessageError, PayloadError

from .names import to_snake, to_wire
from .policy import Mode, Policy, policy_of
from .schemas import Kind, Schema, schemas_of
from .violations import find_violation, spell

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Codec", "Frame", "Limits"]

CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND = 2, 3, 4, 5, 6

_TYPES = {"1.6": 0b11100, "2.0.1": 0b11100, "2.1": 0b1111100}
_KINDS: dict[int, Kind] = {CALL: "request", CALLRESULT: "response", SEND: "send"}
_DESCRIPTION_MAX = 255  # OCPP 2.0.1 Part 4, 4.2.3: errorDescription string[255]


@dataclass(frozen=True, slots=True)
class Limits:
    """size: bytes of a message. depth: open brackets in it, its own included (at most 256)."""

    size: int = 65536
    depth: int = 32

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size: expected 1 or more, got {self.size}")
        if not 2 <= self.depth <= 256:
            raise ValueError(f"depth: expected 2..256, got {self.depth}")


class Codec:
    """The messages of one OCPP version ("1.6", "2.0.1" or "2.1"); no state, so one codec serves any number of links.

    mode: "strict" (None) judges every payload by its schema; "lenient" mends what comes in where a known repair fits
    and says so in the frame's `repairs`; "off" judges none (frames are always judged). policy: instead of a mode, the
    same by direction and action. exact: wire names of
    members, such as `{"value"}`, or True for all, whose numbers with a fraction or exponent come as Decimal with the
    digits received; elsewhere those are float. Integers are int.

    A name that is there twice in one object counts once, with its last value, as in other JSON parsers. So whoever
    passes a message on should encode it anew instead of copying its bytes.
    """

    def __init__(
        self,
        version: str,
        *,
        mode: Mode | None = None,
        policy: Policy | None = None,
        limits: Limits = Limits(),
        exact: Collection[str] | bool = False,
    ) -> None:
        if policy is not None and mode is not None:
            raise ValueError("mode: expected none beside a policy, which has its own")
        self.version, self.limits = version, limits
        self.policy = policy_of(mode or "strict") if policy is None else policy
        self._judged = not self.policy.everywhere("in", "off")
        self._strict = self.policy.everywhere("in", "strict")
        self._schemas = schemas_of(version)
        self._exact = exact if isinstance(exact, bool) else frozenset(exact)

    def __repr__(self) -> str:
        return f"Codec({self.version!r}, {self.policy!r})"

    # ---- bytes in ----

    def scan(self, data: Buffer | str) -> Frame:
        """The parts of a message; its payload is checked to be JSON, but neither built nor judged.

        Raises FrameError: reason one of json, utf8, infinite (no JSON at all), size, depth, int64, array, type, idtype,
        limit, arity, action, payload, error; with id and type where they could still be read.
        """
        return scan(data, self.limits.size, self.limits.depth, _TYPES[self.version])

    def check(self, data: Buffer | str, *, action: str | Mapping[str, str] | None = None) -> Frame:
        """`decode`, without handing out the payload: for messages that are passed on."""
        frame = self.decode(data, names="wire", action=action)
        frame.payload = None
        return frame

    def decode(
        self,
        data: Buffer | str,
        *,
        names: Literal["snake", "wire"] = "snake",
        action: str | Mapping[str, str] | None = None,
    ) -> Frame:
        """The parts of a message with its payload ({} for null), or the details of an error.

        action: for a CALLRESULT the action of the call it answers, or a mapping from message ids to actions.
        Raises FrameError as `scan`, and with reason "unsolicited" for a CALLRESULT whose action is not given (in mode
        "off" it is decoded with wire names); PayloadError: the first violation, code "NotImplemented" for an unknown
        action.
        """
        if isinstance(data, str):
            data = _encoded(data)
        try:
            return self._decode(data, names, action, self._judged)
        except MessageError as error:
            if self._strict:
                raise
            from .lenient import rescue

            def again(message: bytes, judged: bool) -> Frame:
                return self._decode(message, names, action, judged)

            return rescue(bytes(data), error, self.policy, self.version, False, again)

    def _decode(
        self, data: Buffer, names: Literal["snake", "wire"], action: str | Mapping[str, str] | None, judged: bool
    ) -> Frame:
        frame = self.scan(data)
        text = _span(data, frame)
        if frame.type in (CALLERROR, CALLRESULTERROR):
            frame.error_details = orjson.loads(text)
            return frame
        if frame.type == CALLRESULT:
            frame.action = action if action is None or isinstance(action, str) else action.get(frame.id)
        schema = self._schema(frame, judged)
        payload = orjson.loads(text) or {}
        if judged and schema is not None:
            self._judge(frame, schema, payload, text)
        if self._exact and schema is not None:
            payload = _parse_exact(text, self._exact)
        if schema is not None and names == "snake":
            payload = to_snake(schema.shape, payload)
        frame.payload = payload
        return frame

    def _schema(self, frame: Frame, judged: bool) -> Schema | None:
        if frame.action is None:
            if not judged:
                return None
            raise FrameError("unsolicited", "no call with this id", id=frame.id, type=frame.type)
        schema = self._schemas.get(_KINDS[frame.type], frame.action)
        if schema is None and judged:
            raise _unknown(frame.type, frame.id, frame.action)
        return schema

    def _judge(self, frame: Frame, schema: Schema, payload: Any, text: memoryview | bytes) -> None:
        if schema.decimal:
            payload = _parse_exact(text, True)
        error = find_violation(schema.validator, self.version, payload)
        if error is not None:
            error.id, error.action, error.type = frame.id, frame.action, frame.type
            raise error

    # ---- bytes out ----

    def encode_call(self, id: str, action: str, payload: object) -> bytes:
        """A CALL. payload: a mapping with wire or snake names, or a dataclass such as `ocpp.v16.call.Heartbeat()`.

        Decimals keep their digits; datetimes need a zone and are sent in UTC. What goes out is judged as what comes in:
        raises PayloadError, FrameError; TypeError for what JSON has no form of.
        """
        return self._encode(CALL, id, action, payload)

    def encode_result(self, id: str, action: str, payload: object) -> bytes:
        """A CALLRESULT to a call of `action`. Payload and errors as `encode_call`."""
        return self._encode(CALLRESULT, id, action, payload)

    def encode_send(self, id: str, action: str, payload: object) -> bytes:
        """A SEND (2.1 only: FrameError "type" otherwise). Payload and errors as `encode_call`."""
        return self._encode(SEND, id, action, payload)

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

    def _encode(self, type: int, id: str, action: str, payload: object) -> bytes:
        rule = self.policy.rule("out", action)
        schema = self._schemas.get(_KINDS[type], action)
        if schema is None and rule.mode != "off":
            raise _unknown(type, id, action)
        text = _dump(to_wire(None if schema is None else schema.shape, payload))
        head = orjson.dumps([type, id] if type == CALLRESULT else [type, id, action])
        message = head[:-1] + b"," + text + b"]"
        frame = self.scan(message)
        frame.action = action
        if schema is None or rule.mode == "off":
            return message
        try:
            self._judge(frame, schema, orjson.loads(text), text)
        except PayloadError as error:
            if rule.mode == "strict":
                raise
            from .lenient import rescue_outgoing

            message = head[:-1] + b"," + rescue_outgoing(text, error, rule, self.version, False) + b"]"
            self.scan(message)
        return message

    def _encode_error(
        self, type: int, id: str, code: str, description: str, details: Mapping[str, Any] | None
    ) -> bytes:
        words = [_clean(spell(self.version, code))[:64], _clean(description)[:_DESCRIPTION_MAX]]
        try:
            message = _dump([type, id, *words, dict(details or {})])
            self.scan(message)
        except (TypeError, ValueError):
            message = _dump([type, id, *words, {}])
            self.scan(message)
        return message


def _span(data: Buffer, frame: Frame) -> memoryview | bytes:
    """The bytes of the payload, or of an error's details."""
    start, end = frame.payload_span or (0, 0)
    return data[start:end] if isinstance(data, bytes) else memoryview(data).cast("B")[start:end]


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise FrameError("utf8", "half a surrogate pair", where=error.start) from None


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which have no UTF-8."""
    return str(text).encode("utf-8", "replace").decode()


def _unknown(type: int, id: str, action: str) -> PayloadError:
    # OCPP-J 1.6, table 7, and 2.0.1 Part 4, table 8: unknown is NotImplemented; NotSupported is known but not offered.
    return PayloadError("NotImplemented", "", "a known action", repr(action[:64]), id=id, action=action, type=type)


def _dump(value: object) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: object) -> object:
    """What orjson asks about: Decimal, datetime, and mappings that are no dict."""
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime without a zone could mean any hour")
        places = "milliseconds" if value.microsecond else "seconds"
        return value.astimezone(UTC).isoformat(timespec=places).replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _number(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond any use, of a zero or of next to nothing
        return float(text)


def _parse_exact(text: memoryview | bytes, exact: frozenset[str] | bool) -> Any:
    """The payload with Decimals under the names in `exact`. The bytes were checked by `scan`, so that the parser of the
    standard library reads the same values as orjson."""
    payload = json.loads(bytes(text).decode(), parse_float=_number) or {}
    return payload if exact is True else _narrow(payload, exact or frozenset(), "")


def _narrow(value: Any, exact: frozenset[str], name: str) -> Any:
    if isinstance(value, dict):
        return {key: _narrow(member, exact, key) for key, member in value.items()}
    if isinstance(value, list):
        return [_narrow(item, exact, name) for item in value]
    return float(value) if isinstance(value, Decimal) and name not in exact else value
