"""The two packets that go by the thousand, PUBLISH out and PUBACK in. paho packs and reads all others.

paho builds a message object with a lock and two property objects for each of these and takes forty times as long.
MQTT 5.0 sections 2.1.4, 3.3, 3.4; MQTT 3.1.1 is the same without properties.
"""

from __future__ import annotations

import struct

_PUBACK = 0x40
_LONGEST_PUBACK = 65_536
_FOR_EVER = 1 << 62


def topic_head(topic: str) -> bytes:
    """The topic as a PUBLISH begins with. Raises ValueError (longer than 65535 bytes)."""
    encoded = topic.encode()
    if len(encoded) > 65535:
        raise ValueError(f"topic: expected at most 65535 bytes, got {len(encoded)}")
    return struct.pack("!H", len(encoded)) + encoded


def expiry_property(seconds: int) -> bytes:
    """The properties of a PUBLISH that the broker may drop after `seconds` (MQTT 5.0, 3.3.2.3.3)."""
    return struct.pack("!BBI", 5, 0x02, seconds)


def correlation_property(data: bytes | None) -> bytes:
    """The properties of an answer; none for None (MQTT 5.0, 3.3.2.3.6)."""
    if data is None:
        return b"\x00"
    return _length(3 + len(data)) + struct.pack("!BH", 0x09, len(data)) + data


def put_publish(out: bytearray, flags: int, head: bytes, payload: bytes) -> None:
    """Append a PUBLISH. flags: QoS << 1 | retain. head: all between length and payload."""
    out.append(0x30 | flags)
    length = len(head) + len(payload)
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    out.append(length)
    out += head
    out += payload


def _length(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class AckFilter:
    """Takes the PUBACKs out of a broker's bytes; all others go on to paho, which judges them."""

    def __init__(self) -> None:
        self._begun = b""  # of a packet of which the length, or of a PUBACK of which the end is missing
        self._passing = 0  # bytes that are still paho's

    def feed(self, data: bytes) -> tuple[bytes, list[tuple[int, int]]]:
        """(bytes for paho, PUBACKs as packet id and reason code). Any cut of the bytes gives the same in sum."""
        if self._begun:
            data, self._begun = self._begun + data, b""
        passed, acks = bytearray(), []
        at, end = 0, len(data)
        while at < end:
            if self._passing:
                piece = data[at : at + self._passing]
                passed += piece
                self._passing -= len(piece)
                at += len(piece)
                continue
            header, length = _measure(data, at)
            if header == 0 or (data[at] == _PUBACK and header > 0 and at + header + length > end):
                self._begun = data[at:]
                break
            if header < 0 or (data[at] == _PUBACK and length < 2):
                self._passing = _FOR_EVER  # no MQTT: paho will say so
            elif data[at] != _PUBACK:
                self._passing = header + length
            else:
                body = at + header
                acks.append((data[body] << 8 | data[body + 1], data[body + 2] if length > 2 else 0))
                at = body + length
        return bytes(passed), acks


def _measure(data: bytes, at: int) -> tuple[int, int]:
    """Length of the fixed header, and of what follows it, of the packet at `at`; 0 for a header that is not whole,
    -1 for one that no packet has: a length of more than four bytes, or a PUBACK of more than 65536."""
    value = 0
    for count, byte in enumerate(data[at + 1 : at + 5]):
        value |= (byte & 127) << 7 * count
        if byte < 128:
            return (-1 if data[at] == _PUBACK and value > _LONGEST_PUBACK else count + 2), value
    return (-1 if len(data) >= at + 5 else 0), 0
