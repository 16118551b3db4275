"""WebSocket frames to whole messages (RFC 6455, 5.4, 7.4.1, 8.1), under a limit. Sans-I/O."""

from __future__ import annotations

import zlib

from evcore.errors import MessageError
from evcore.ocpp.deflate import Deflate, TooBig

CONTINUATION, TEXT, BINARY = 0, 1, 2
_EMPTY = 64  # fragments of one message that hold nothing: bytes are limited, these would never end


class Violation(MessageError):
    """The peer broke RFC 6455: the connection is closed with `code`. reason: short and stable."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(f"{reason} ({code})")


class Joiner:
    """Joins the fragments of one connection. limit: bytes of a message, inflated. deflate: as negotiated."""

    __slots__ = ("_compressed", "_empty", "_limit", "_parts", "deflate")

    def __init__(self, limit: int, deflate: Deflate | None = None) -> None:
        self._limit, self.deflate = limit, deflate
        self._parts: bytearray | None = None
        self._compressed = False
        self._empty = 0

    def feed(self, opcode: int, payload: bytes, fin: bool, compressed: bool, reserved: bool) -> bytes | None:
        """A data frame; the message when it is whole. OCPP is text (OCPP-J 1.6, 3.1). Raises Violation."""
        if reserved or (compressed and (self.deflate is None or opcode == CONTINUATION)):
            raise Violation(1002, "reserved_bit")
        if opcode == BINARY:
            raise Violation(1003, "binary")
        if (opcode == CONTINUATION) != (self._parts is not None):
            raise Violation(1002, "continuation")
        if self._parts is None:
            if fin:
                return self._whole(payload, compressed)
            self._parts, self._compressed = bytearray(), compressed
        self._empty += not payload
        if len(self._parts) + len(payload) > self._limit or self._empty > _EMPTY:
            raise Violation(1009, "too_big")
        self._parts += payload
        if not fin:
            return None
        self._empty = 0
        message, self._parts = bytes(self._parts), None
        return self._whole(message, self._compressed)

    def _whole(self, message: bytes, compressed: bool) -> bytes:
        if len(message) > self._limit:
            raise Violation(1009, "too_big")
        if compressed and self.deflate is not None:
            try:
                message = self.deflate.inflate(message, self._limit)
            except TooBig:
                raise Violation(1009, "too_big") from None
            except zlib.error:
                raise Violation(1007, "deflate") from None
        return whole(message, self._limit)


def whole(message: bytes, limit: int) -> bytes:
    """The message of a plain text frame that is no fragment, as nearly all are. Raises Violation."""
    if len(message) > limit:
        raise Violation(1009, "too_big")
    if not message.isascii():
        try:
            message.decode("utf-8")
        except UnicodeDecodeError:
            raise Violation(1007, "utf8") from None
    return message
