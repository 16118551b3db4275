"""What evcore raises. One root, five kinds; each kind says whose fault it is.

EvcoreError
    MessageError      bytes break a rule: FrameError, PayloadError, InvalidReply
    RefusedError      the peer said no: ModbusException, CallError
    LinkError         no answer, no connection: ModbusTimeout (also a TimeoutError)
    ConfigError       the user's file or argument: which file, which key, expected, got
    StoreError        the record is not on disk
"""

from __future__ import annotations

from typing import Any


class EvcoreError(Exception):
    """Root of all errors of this package."""


class MessageError(EvcoreError, ValueError):
    """Bytes that break a rule of their protocol."""


class FrameError(MessageError):
    """No frame of its protocol at all.

    reason: short and stable, for example "json", "arity", "limit". where: byte offset or what was being read.
    id, type: the message id and type where they could still be read; only a CALL is ever answered.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        where: int | str | None = None,
        id: str | None = None,
        type: int | None = None,
    ) -> None:
        self.reason, self.detail, self.where, self.id, self.type = reason, detail, where, id, type
        at = "" if where is None else f" at {where}"
        super().__init__(f"{reason}{at}{': ' if detail else ''}{detail}")


class PayloadError(MessageError):
    """A whole frame whose payload breaks its schema.

    code: the protocol's error code in the spelling of its version. path: JSON pointer. expected, got: bounded text.
    id, action, type: of the message.
    """

    def __init__(
        self,
        code: str,
        path: str,
        expected: str,
        got: str,
        *,
        id: str | None = None,
        action: str | None = None,
        type: int | None = None,
    ) -> None:
        self.code, self.path, self.expected, self.got = code, path, expected, got
        self.id, self.action, self.type = id, action, type
        super().__init__(f"{code}{path and f' at {path}'}: expected {expected}, got {got}")


class InvalidReply(MessageError):
    """A reply that does not answer the request. reason: unit, function, count, transaction, crc,
    length, protocol, echo, content."""

    def __init__(self, reason: str, expected: object, got: object) -> None:
        self.reason, self.expected, self.got = reason, expected, got
        super().__init__(f"{reason}: expected {expected}, got {got}")


class RefusedError(EvcoreError):
    """The peer understood and said no."""


# MODBUS Application Protocol V1.1b3, 7
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    7: "negative acknowledge",  # of earlier editions
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


class ModbusException(RefusedError):
    """The device answered with an exception code (MODBUS Application Protocol V1.1b3, 7)."""

    def __init__(self, code: int, function: int, unit: int, address: int | None = None) -> None:
        self.code, self.function, self.unit, self.address = code, function, unit, address
        at = "" if address is None else f", address {address}"
        super().__init__(f"exception {code} ({_EXCEPTIONS.get(code, 'unknown')}), unit {unit}, function {function}{at}")


class CallError(RefusedError):
    """The peer answered an OCPP CALL with a CALLERROR (OCPP-J 1.6, 4.2.3)."""

    def __init__(self, code: str, description: str = "", details: dict[str, Any] | None = None) -> None:
        self.code, self.description, self.details = code, description, details or {}
        super().__init__(f"{code}: {description}" if description else code)


class LinkError(EvcoreError, ConnectionError):
    """No connection, or it went away."""


class CallTimeout(LinkError, TimeoutError):
    """No answer to an OCPP CALL in time."""


class ModbusTimeout(LinkError, TimeoutError):
    """No (valid) Modbus reply in time."""


class ConfigError(EvcoreError, ValueError):
    """A setting is wrong: file, key path, expected, got."""

    def __init__(self, file: str, key: str, expected: str, got: str) -> None:
        self.file, self.key, self.expected, self.got = file, key, expected, got
        super().__init__(f"{file}: {key or '(file)'}: expected {expected}, got {got}")


class StoreError(EvcoreError):
    """A record could not be made durable: nothing may be acknowledged."""
