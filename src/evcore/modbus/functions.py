"""Requests of the functions that are neither a plain read nor a plain write, typed: `parse` reads the data bytes that
`check` and a client's `request` return. Sources: MODBUS Application Protocol V1.1b3, clauses as named.

All constructors raise ValueError (an argument beyond the clause's limits). A register is an int 0..65535.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evcore.core.modbus import Request, register_shape, unpack_registers
from evcore.errors import InvalidReply


def _words(name: str, *values: int) -> bytes:
    for value in values:
        if not 0 <= value <= 65535:
            raise ValueError(f"{name}: expected 0..65535, got {value}")
    return b"".join(value.to_bytes(2, "big") for value in values)


class ReadExceptionStatus(Request):
    """6.7, serial line only: eight outputs whose meaning is the device's."""

    def __init__(self, unit: int) -> None:
        super().__init__(unit, b"\x07")

    def parse(self, data: bytes) -> list[bool]:
        """Output 0, the lowest bit, first."""
        return [bool(data[0] >> bit & 1) for bit in range(8)]


class Diagnostics(Request):
    """6.8, serial line only. sub_function: 0 (query data come back), 1-3, 10-18, 20. data: what goes with it, two bytes
    but for sub-function 0. 4, listen only, is refused: it has no reply."""

    def __init__(self, unit: int, sub_function: int, data: bytes = b"\0\0") -> None:
        super().__init__(unit, b"\x08" + _words("sub_function", sub_function) + data)

    def parse(self, data: bytes) -> bytes:
        """What follows the sub-function: the request's data, or for 2 and 11-18 a register or counter of two bytes."""
        return data[2:]


@dataclass(frozen=True, slots=True)
class CommEvents:
    """busy: a command is still being worked on. events: of successful messages. messages, log: None, empty of
    function 11; log: one byte an event, the newest first (6.10)."""

    busy: bool
    events: int
    messages: int | None = None
    log: bytes = b""


class GetCommEventCounter(Request):
    """6.9, serial line only."""

    def __init__(self, unit: int) -> None:
        super().__init__(unit, b"\x0b")

    def parse(self, data: bytes) -> CommEvents:
        status, events = unpack_registers(data)
        return CommEvents(status != 0, events)


class GetCommEventLog(Request):
    """6.10, serial line only."""

    def __init__(self, unit: int) -> None:
        super().__init__(unit, b"\x0c")

    def parse(self, data: bytes) -> CommEvents:
        status, events, messages = unpack_registers(data[:6])
        return CommEvents(status != 0, events, messages, data[6:])


class ReportServerId(Request):
    """6.13, serial line only."""

    def __init__(self, unit: int) -> None:
        super().__init__(unit, b"\x11")

    def parse(self, data: bytes) -> bytes:
        """Identifier, run indicator (0xFF: on) and more, whose lengths are the device's."""
        return data


@dataclass(frozen=True, slots=True)
class FileRecord:
    """file: 1..65535. record: its first register, 0..9999. count: registers."""

    file: int
    record: int
    count: int


@dataclass(frozen=True, slots=True)
class FileData:
    """As FileRecord, with the registers themselves."""

    file: int
    record: int
    values: Sequence[int]


class ReadFileRecord(Request):
    """6.14: up to 35 records; what comes back has at most 245 bytes, two for each record and its registers."""

    def __init__(self, unit: int, records: Iterable[FileRecord]) -> None:
        self.records = tuple(records)
        groups = b"".join(b"\x06" + _words("records", r.file, r.record, r.count) for r in self.records)
        if len(groups) > 245:
            raise ValueError(f"records: expected at most 35, got {len(self.records)}")
        super().__init__(unit, bytes([20, len(groups)]) + groups)

    def parse(self, data: bytes) -> list[list[int]]:
        """The registers of each record, in the order asked."""
        result, at = [], 0
        for record in self.records:
            result.append(unpack_registers(data[at + 2 : at + 2 + 2 * record.count]))
            at += 2 + 2 * record.count
        return result


class WriteFileRecord(Request):
    """6.15: all records in at most 251 bytes, seven for each and its registers."""

    def __init__(self, unit: int, records: Iterable[FileData]) -> None:
        groups = b""
        for r in records:
            groups += b"\x06" + _words("records", r.file, r.record, len(r.values)) + _words("values", *r.values)
        if len(groups) > 251:
            raise ValueError(f"records: expected at most 251 bytes, got {len(groups)}")
        super().__init__(unit, bytes([21, len(groups)]) + groups)

    def parse(self, data: bytes) -> None:
        """The reply is the request."""


class MaskWriteRegister(Request):
    """6.16: register = (register AND and_mask) OR (or_mask AND NOT and_mask)."""

    def __init__(self, unit: int, address: int, and_mask: int, or_mask: int) -> None:
        masks = _words("and_mask", and_mask) + _words("or_mask", or_mask)
        super().__init__(unit, b"\x16" + _words("address", address) + masks)

    def parse(self, data: bytes) -> None:
        """The reply is the request."""


class ReadWriteRegisters(Request):
    """6.17: 1..121 registers are written first, then 1..125 read."""

    def __init__(self, unit: int, read_address: int, count: int, write_address: int, values: Sequence[int]) -> None:
        if not 1 <= len(values) <= 121:
            raise ValueError(f"values: expected 1..121 of them, got {len(values)}")
        read = _words("read_address", read_address) + _words("count", count)
        write = _words("write_address", write_address) + _words("values", len(values))
        super().__init__(unit, b"\x17" + read + write + bytes([2 * len(values)]) + _words("values", *values))

    def parse(self, data: bytes) -> list[int]:
        return unpack_registers(data)


class ReadFifoQueue(Request):
    """6.18. address: of the queue's pointer."""

    def __init__(self, unit: int, address: int) -> None:
        super().__init__(unit, b"\x18" + _words("address", address))

    def parse(self, data: bytes) -> list[int]:
        """What is in the queue, at most 31 registers; they stay there."""
        return unpack_registers(data[2:])


OBJECTS = ("vendor_name", "product_code", "revision", "vendor_url", "product_name", "model_name", "application_name")


@dataclass(frozen=True, slots=True)
class DeviceIdentification:
    """conformity: 1 basic, 2 regular, 3 extended; + 0x80 if single objects can be asked for. objects: number -> bytes;
    0 to 6 are texts with the names of OBJECTS. next_object: where to go on, None if this is all (6.21)."""

    conformity: int
    objects: Mapping[int, bytes] = field(default_factory=dict)
    next_object: int | None = None

    def text(self, name: str) -> str | None:
        """The text of one of OBJECTS, None if the device has none."""
        value = self.objects.get(OBJECTS.index(name))
        return None if value is None else value.decode("utf-8", "replace")


class ReadDeviceIdentification(Request):
    """6.21. level: 1 basic (objects 0-2), 2 regular (to 127), 3 extended, 4 this one object. object_id: the first."""

    def __init__(self, unit: int, level: int = 1, object_id: int = 0) -> None:
        if not (1 <= level <= 4 and 0 <= object_id <= 255):
            raise ValueError(f"level, object_id: expected 1..4, 0..255, got {level}, {object_id}")
        self.level, self.object_id = level, object_id
        super().__init__(unit, bytes([43, 14, level, object_id]))

    def parse(self, data: bytes) -> DeviceIdentification:
        objects: dict[int, bytes] = {}
        at = 6
        for _ in range(data[5]):
            objects[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
            at += 2 + data[at + 1]
        return DeviceIdentification(data[2], objects, data[4] if data[3] else None)

    def following(self, part: DeviceIdentification) -> ReadDeviceIdentification | None:
        """The request for what comes after `part`, None if that was all. Raises InvalidReply (it leads back)."""
        if part.next_object is None:
            return None
        if part.next_object <= self.object_id:
            raise InvalidReply("content", f"an object after {self.object_id}", part.next_object)
        return ReadDeviceIdentification(self.unit, self.level, part.next_object)


# --- Functions of a manufacturer ---


@dataclass(frozen=True, slots=True)
class FixedReply:
    """`size` bytes, 1..252, after the function code."""

    size: int


@dataclass(frozen=True, slots=True)
class CountedReply:
    """`at` bytes, 0..251, after the function code, a byte count, so many bytes."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class EchoReply:
    """The first `size` bytes, 1..252, of the request after its function code, and nothing else."""

    size: int


def register_function(code: int, *, reply: FixedReply | CountedReply | EchoReply) -> None:
    """Make `Request(unit, pdu)` accept a function code of 1..127 that V1.1b3 does not define, and its replies only in
    the shape given. For the whole process; the same again does nothing. Raises ValueError (a code of the specification,
    one registered with another shape, a size that no reply has)."""
    match reply:
        case FixedReply(n):
            register_shape(code, "fixed", n)
        case CountedReply(n):
            register_shape(code, "counted", n)
        case EchoReply(n):
            register_shape(code, "echo", n)
