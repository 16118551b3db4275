"""Requests as a server reads them: what a PDU asks, how long it must be, and which rule it breaks.

Source: MODBUS Application Protocol V1.1b3, 6; the order of the checks is that of its state diagrams: function
(exception 1), quantity and value (3), address (2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from evcore.errors import RefusedError

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, FAILURE = 1, 2, 3, 4
BUSY, NO_PATH, NO_ANSWER = 6, 10, 11

PDU_MAX = 253  # V1.1b3, 4.1
_FIXED = {1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 6: 5, 7: 1, 8: 5, 11: 1, 12: 1, 17: 1, 22: 7, 24: 3}
_COUNTED = {15: 5, 16: 5, 20: 1, 21: 1, 23: 9}  # where the byte count stands
_READ_MOST = {1: 2000, 2: 2000, 3: 125, 4: 125}
_ADDRESSES = 65_536


class Illegal(RefusedError):
    """A request that is answered with exception `code`. why: for people."""

    def __init__(self, code: int, why: str) -> None:
        self.code, self.why = code, why
        super().__init__(f"exception {code}: {why}")


@dataclass(frozen=True, slots=True)
class Read:
    """Functions 1 to 4: `count` bits or registers."""

    function: int
    address: int
    count: int

    def encode(self) -> bytes:
        return struct.pack(">BHH", self.function, self.address, self.count)


@dataclass(frozen=True, slots=True)
class Write:
    """Functions 5, 6, 15, 16. values: bits (0, 1) or registers."""

    function: int
    address: int
    values: tuple[int, ...]

    def encode(self) -> bytes:
        count = len(self.values)
        if self.function == 5:
            return struct.pack(">BHH", 5, self.address, 0xFF00 * self.values[0])
        if self.function == 6:
            return struct.pack(">BHH", 6, self.address, self.values[0])
        if self.function == 15:
            bits = pack_bits(self.values)
            return struct.pack(">BHHB", 15, self.address, count, len(bits)) + bits
        return struct.pack(f">BHHB{count}H", 16, self.address, count, 2 * count, *self.values)

    @property
    def echo(self) -> bytes:
        """What confirms it (6.5, 6.6, 6.11, 6.12)."""
        return (
            self.encode() if self.function < 15 else struct.pack(">BHH", self.function, self.address, len(self.values))
        )


@dataclass(frozen=True, slots=True)
class Mask:
    """Function 22: register = (register & and_mask) | (or_mask & ~and_mask) (6.16)."""

    address: int
    and_mask: int
    or_mask: int

    function = 22

    def apply(self, register: int) -> int:
        return (register & self.and_mask) | (self.or_mask & ~self.and_mask & 0xFFFF)

    def encode(self) -> bytes:
        return struct.pack(">BHHH", 22, self.address, self.and_mask, self.or_mask)


@dataclass(frozen=True, slots=True)
class ReadWrite:
    """Function 23: writes first, then reads (6.17)."""

    address: int
    count: int
    write_address: int
    values: tuple[int, ...]

    function = 23

    def encode(self) -> bytes:
        size = len(self.values)
        head = (23, self.address, self.count, self.write_address, size, 2 * size)
        return struct.pack(f">BHHHHB{size}H", *head, *self.values)


@dataclass(frozen=True, slots=True)
class Other:
    """Any other function; data: what follows its code."""

    function: int
    data: bytes

    def encode(self) -> bytes:
        return bytes([self.function]) + self.data


Asked = Read | Write | Mask | ReadWrite | Other


def pdu_size(pdu: bytes | memoryview) -> int | None:
    """How long the PDU that begins here must be, by its own fields. 0: more bytes are needed to say so. None: the
    function has no length of its own (custom ones, 43 but for 43/14)."""
    if not pdu:
        return 0
    function = pdu[0]
    if function in _FIXED:
        return _FIXED[function]
    if (at := _COUNTED.get(function)) is not None:
        return at + 1 + pdu[at] if len(pdu) > at else 0
    if function == 43:
        if len(pdu) < 2:
            return 0
        return 4 if pdu[1] == 14 else None
    return None


def parse(pdu: bytes) -> Asked:
    """What a PDU of the right size asks. Raises Illegal (exception 3) where a quantity or value is none, or 2 where it
    goes beyond address 65535."""
    function = pdu[0]
    if function in _READ_MOST:
        address, count = struct.unpack(">HH", pdu[1:])
        _check_range(address, count, _READ_MOST[function])
        return Read(function, address, count)
    if function == 5:
        address, value = struct.unpack(">HH", pdu[1:])
        if value not in (0, 0xFF00):
            raise Illegal(ILLEGAL_VALUE, f"coil: expected 0 or 0xff00, got {value:#06x}")
        return Write(5, address, (value // 0xFF00,))
    if function == 6:
        address, value = struct.unpack(">HH", pdu[1:])
        return Write(6, address, (value,))
    if function == 15:
        address, count, size = struct.unpack(">HHB", pdu[1:6])
        _check_quantity(count, 1968, size, (count + 7) // 8)
        _check_end(address, count)
        return Write(15, address, tuple(pdu[6 + i // 8] >> i % 8 & 1 for i in range(count)))
    if function == 16:
        address, count, size = struct.unpack(">HHB", pdu[1:6])
        _check_quantity(count, 123, size, 2 * count)
        _check_end(address, count)
        return Write(16, address, struct.unpack(f">{count}H", pdu[6:]))
    if function == 22:
        return Mask(*struct.unpack(">HHH", pdu[1:]))
    if function == 23:
        address, count, write_address, write_count, size = struct.unpack(">HHHHB", pdu[1:10])
        _check_quantity(write_count, 121, size, 2 * write_count)
        _check_range(address, count, 125)
        _check_end(write_address, write_count)
        return ReadWrite(address, count, write_address, struct.unpack(f">{write_count}H", pdu[10:]))
    return Other(function, bytes(pdu[1:]))


def refusal(function: int, code: int) -> bytes:
    """The PDU of an exception (7)."""
    return bytes([function | 0x80, code])


def pack_bits(bits: tuple[int, ...] | list[int] | list[bool] | bytes | bytearray) -> bytes:
    """Bits, the first one lowest in the first byte (6.1)."""
    out = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        if bit:
            out[i // 8] |= 1 << i % 8
    return bytes(out)


def _check_quantity(count: int, most: int, size: int, expected: int) -> None:
    if not 1 <= count <= most:
        raise Illegal(ILLEGAL_VALUE, f"quantity: expected 1..{most}, got {count}")
    if size != expected:
        raise Illegal(ILLEGAL_VALUE, f"byte count: expected {expected}, got {size}")


def _check_range(address: int, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise Illegal(ILLEGAL_VALUE, f"quantity: expected 1..{most}, got {count}")
    _check_end(address, count)


def _check_end(address: int, count: int) -> None:
    if address + count > _ADDRESSES:
        raise Illegal(ILLEGAL_ADDRESS, f"addresses end at 65535, got {address} + {count}")
