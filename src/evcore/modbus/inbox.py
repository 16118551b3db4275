"""The server's end of a connection or line: requests out of bytes, replies into frames. Sans-I/O.

TCP: the MBAP length is the only boundary, and it must equal the length that the PDU gives itself. Where it does not,
two readers of the same bytes may see different requests (that is how requests are smuggled past filters), so nothing
that follows is believed: `broken` says why the connection must be closed.

RTU over TCP: the PDU's own length is the boundary and the CRC must confirm it; otherwise `broken`.

A serial line is shared, and its boundary is silence: what came between two silences is read as a chain of whole frames
with right CRCs, and the last of them is the request. Anything else is noise and is dropped, not searched for requests:
another device's data may look like one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from evcore.core.modbus import crc16
from evcore.errors import FrameError
from evcore.modbus.asked import PDU_MAX, pdu_size
from evcore.modbus.client import Framing, silence_ns

HELD_MAX = 1 << 20  # bytes not yet read; who feeds an inbox stops long before
_BURST_MAX = 2048
_NOISE_MAX = 3  # bytes that a transceiver may add before a frame when it begins to drive the line
_MBAP = struct.Struct(">HHHB")


@dataclass(frozen=True, slots=True)
class Received:
    """One request. transaction: of TCP, else 0."""

    transaction: int
    unit: int
    pdu: bytes


class Inbox:
    """framing: "tcp", "rtu+tcp" or "rtu" (with the baudrate of the line, for its silence).

    broken: why nothing more can be read, None while it can. dropped: bytes of a serial line that were no frames.
    """

    def __init__(self, framing: Framing = "tcp", *, baudrate: int = 9600) -> None:
        if framing not in ("tcp", "rtu", "rtu+tcp"):
            raise ValueError(f"framing: expected tcp, rtu or rtu+tcp, got {framing!r}")
        self.framing = framing
        self.broken: FrameError | None = None
        self.dropped = 0
        self._silence = silence_ns(baudrate) if framing == "rtu" else 0
        self._held = bytearray()
        self._at = 0  # bytes of it that are read
        self._quiet_at: int | None = None

    def receive(self, data: bytes, now: int) -> None:
        if self.broken is not None:
            return
        self._held += data
        if self.framing == "rtu":
            self._quiet_at = now + self._silence
            if len(self._held) > _BURST_MAX:
                self._drop(len(self._held))
        elif len(self._held) - self._at > HELD_MAX:
            self._break("limit", f"more than {HELD_MAX} bytes wait")

    def next(self, now: int) -> Received | None:
        """The next request, in the order of arrival; None while there is none."""
        if self.broken is not None:
            return None
        if self.framing == "rtu":
            return self._next_burst(now)
        found = self._next_tcp() if self.framing == "tcp" else self._next_rtu_tcp()
        if found is None or self._at == len(self._held):
            del self._held[: self._at]
            self._at = 0
        return found

    def next_deadline(self) -> int | None:
        """When a silence may have ended a serial frame."""
        return self._quiet_at

    def frame(self, request: Received, pdu: bytes) -> bytes:
        """The reply as it goes out."""
        if self.framing == "tcp":
            return _MBAP.pack(request.transaction, 0, 1 + len(pdu), request.unit) + pdu
        body = bytes([request.unit]) + pdu
        return body + crc16(body).to_bytes(2, "little")

    # --- inside ---

    def _break(self, reason: str, detail: str) -> None:
        self.broken = FrameError(reason, detail)
        self._held.clear()
        self._at = 0

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._held.clear()

    def _next_tcp(self) -> Received | None:
        held, at = self._held, self._at
        if len(held) - at < 6:
            return None
        transaction, protocol, length = struct.unpack_from(">HHH", held, at)
        if protocol != 0:
            self._break("protocol", f"expected 0, got {protocol}")
            return None
        if not 2 <= length <= 1 + PDU_MAX:
            self._break("length", f"expected 2..{1 + PDU_MAX}, got {length}")
            return None
        # The PDU's own length is looked at as soon as it can be: nobody need wait for what will be refused.
        pdu = bytes(held[at + 7 : at + 6 + length])
        own = pdu_size(pdu)
        if own and own != length - 1:
            self._break("length", f"function {pdu[0]} has {own} bytes, its header says {length - 1}")
            return None
        if len(held) - at < 6 + length:
            return None
        if own == 0:
            self._break("length", f"function {pdu[0]} has more than {length - 1} bytes")
            return None
        self._at = at + 6 + length
        return Received(transaction, held[at + 6], pdu)

    def _next_rtu_tcp(self) -> Received | None:
        frame = self._held[self._at : self._at + 3 + PDU_MAX]
        own = pdu_size(bytes(frame[1:]))
        if own is None:
            self._break("length", f"function {frame[1]} has no length of its own")
            return None
        if own > PDU_MAX:
            self._break("length", f"function {frame[1]}: expected at most {PDU_MAX} bytes, got {own}")
            return None
        if own == 0 or len(frame) < 3 + own:
            return None
        if crc16(frame[: 3 + own]) != 0:
            self._break("crc", f"unit {frame[0]}, function {frame[1]}")
            return None
        self._at += 3 + own
        return Received(0, frame[0], bytes(frame[1 : 1 + own]))

    def _next_burst(self, now: int) -> Received | None:
        if self._quiet_at is None or now < self._quiet_at:
            return None
        self._quiet_at = None
        burst = bytes(self._held)
        for noise in range(min(_NOISE_MAX, len(burst)) + 1):
            last = _last_of_chain(burst, noise)
            if last is not None:
                self._held.clear()
                self.dropped += noise
                return Received(0, burst[last], burst[last + 1 : -2])
        self._drop(len(burst))
        return None


def _last_of_chain(burst: bytes, at: int) -> int | None:
    """Where the last frame begins, if from `at` to the end there are only whole frames."""
    last = None
    while at < len(burst):
        pdu = burst[at + 1 : at + 3 + PDU_MAX]
        sizes = [size for size in (pdu_size(pdu), _reply_size(pdu)) if size]
        if last is None and not sizes and crc16(burst[at:]) == 0 and 4 <= len(burst) - at <= 3 + PDU_MAX:
            sizes = [len(burst) - at - 3]  # a function without a length of its own, alone between two silences
        size = next((s for s in sizes if at + 3 + s <= len(burst) and crc16(burst[at : at + 3 + s]) == 0), None)
        if size is None:
            return None
        last, at = at, at + 3 + size
    return last


def _reply_size(pdu: bytes) -> int:
    """Of another device's reply; 0 where that cannot be told."""
    if len(pdu) < 2:
        return 0
    if pdu[0] & 0x80:
        return 2
    if pdu[0] in (1, 2, 3, 4, 12, 17, 20, 21, 23):
        return 2 + pdu[1]
    return {7: 2, 8: 5, 11: 5, 15: 5, 16: 5, 22: 7}.get(pdu[0], 0)
