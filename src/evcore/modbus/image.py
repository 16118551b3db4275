"""A register image: values by name, shown as the coils and registers of a Modbus server. Sans-I/O.

    image = Image([Register("power", 100, "float32"), Register("limit", 102, "uint16", writable=True, most=32)])
    image.set("power", 7_360.0, now)

Masters read bytes that are ready made. A write is checked whole before a part of it is done.
"""

from __future__ import annotations

import bisect
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from evcore.core.modbus import Layout, Point, Value
from evcore.modbus.asked import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Illegal, Mask, pack_bits

Table = Literal["holding", "input", "coil", "discrete"]

_INTS = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}
_FLOATS = {"float32": "f", "float64": "d"}
_ORDERS = {"ABCD": (False, False), "CDAB": (True, False), "BADC": (False, True), "DCBA": (True, True)}
_SIZES = {"16": 1, "32": 2, "64": 4}


@dataclass(frozen=True, slots=True)
class Register:
    """One value and where it stands.

    address: 0-based, as on the wire. type: int16 ... uint64, float32, float64, string, or bit (tables coil, discrete).
    order: of the bytes, as in `Point`. scale: value = raw * scale. length: registers of a string. missing: the raw
    integer that means "no value"; by default the lowest of a signed type and the highest of an unsigned one, as in
    SunSpec; floats show NaN, strings are empty, bits off. writable: by masters; least, most, one_of: what they may
    write.
    max_age_ns: a value that is not set again for so long becomes missing. unit, about: for people.
    """

    name: str
    address: int
    type: str = "uint16"
    order: str = "ABCD"
    scale: float | str | Fraction = 1
    length: int = 1
    missing: int | None = None
    table: Table = "holding"
    writable: bool = False
    least: float | None = None
    most: float | None = None
    one_of: tuple[int, ...] = ()
    max_age_ns: int | None = None
    unit: str = ""
    about: str = ""

    @property
    def size(self) -> int:
        """Registers, or 1 for a bit."""
        if self.type == "string":
            return self.length
        return _SIZES.get(self.type[-2:], 1)

    @property
    def sentinel(self) -> int | None:
        """The raw integer that means "no value"; None for what is no integer."""
        if self.type not in _INTS or self.missing is not None:
            return self.missing
        bits = 16 * self.size
        return 1 << bits - 1 if self.type.startswith("int") else (1 << bits) - 1


@dataclass(slots=True)
class _Cell:
    """A register with what is needed to show and read it."""

    register: Register
    scale: Fraction
    layout: Layout | None
    value: Value = None
    time: int = 0

    def encode(self, value: Value) -> bytes:
        """The bytes that show `value`; those of "no value" where it is None, or more than the type can hold. Raises
        TypeError (not of this type)."""
        shown = self.try_encode(value)
        return self._none() if shown is None else shown

    def try_encode(self, value: Value) -> bytes | None:
        """The bytes that show `value`; None where there are none."""
        one = self.register
        if value is None:
            return None
        if one.type == "bit":
            return b"\1" if value else b"\0"
        if one.type == "string":
            if not isinstance(value, str):
                raise TypeError(f"{one.name}: expected a text, got {type(value).__name__}")
            text = value.encode("utf-8", "replace")
            room = 2 * one.length
            return text[:room].decode("utf-8", "ignore").encode().ljust(room, b"\0")  # no half character at the end
        if not isinstance(value, int | float):
            raise TypeError(f"{one.name}: expected a number, got {type(value).__name__}")
        if not math.isfinite(value):
            return None
        if one.type in _FLOATS:
            try:
                return _ordered(struct.pack(f">{_FLOATS[one.type]}", float(value / self.scale)), one.order)
            except OverflowError:
                return None
        raw = round(Fraction(value) / self.scale)
        bits = 16 * one.size
        unsigned = one.sentinel if one.sentinel is not None else -1
        try:
            data = struct.pack(f">{_INTS[one.type]}", raw)
        except struct.error:
            return None
        return None if raw % (1 << bits) == unsigned else _ordered(data, one.order)

    def _none(self) -> bytes:
        one = self.register
        if one.type in _FLOATS:
            return _ordered(struct.pack(f">{_FLOATS[one.type]}", math.nan), one.order)
        if one.sentinel is not None:
            return _ordered(one.sentinel.to_bytes(2 * one.size, "big"), one.order)
        return bytes(1 if one.type == "bit" else 2 * one.size)

    def decode(self, data: bytes) -> Value:
        return bool(data[0]) if self.layout is None else self.layout.decode(data)[0]

    def accept(self, data: bytes) -> Value:
        """What a master writes here. Raises Illegal (exception 3)."""
        one, value = self.register, self.decode(data)
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = -math.inf if one.least is None else one.least
            high = math.inf if one.most is None else one.most
            if not low <= value <= high or (one.one_of and value not in one.one_of):
                raise Illegal(ILLEGAL_VALUE, f"{one.name}: expected {_allowed(one)}, got {value}")
        elif value is None:
            raise Illegal(ILLEGAL_VALUE, f"{one.name}: expected {_allowed(one)}, got no value")
        return value


@dataclass(slots=True)
class _Space:
    """One table: spans of addresses with what they hold. width: bytes an address."""

    width: int
    starts: list[int] = field(default_factory=list)
    data: list[bytearray] = field(default_factory=list)

    def fill(self, spans: Iterable[tuple[int, int]]) -> None:
        """spans: (first address, number), any order; those that touch become one."""
        merged: list[list[int]] = []
        for start, count in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], start + count)
            else:
                merged.append([start, start + count])
        self.starts = [start for start, _ in merged]
        self.data = [bytearray(self.width * (end - start)) for start, end in merged]

    def find(self, address: int, count: int) -> tuple[bytearray, int]:
        """The span that holds all of it, and where in its bytes. Raises Illegal (exception 2)."""
        n = bisect.bisect_right(self.starts, address) - 1
        if n >= 0:
            data, at = self.data[n], self.width * (address - self.starts[n])
            if at + self.width * count <= len(data):
                return data, at
        raise Illegal(ILLEGAL_ADDRESS, f"not all of {address}..{address + count - 1} exists")


class Image:
    """registers: any order; two that overlap are refused. spans: further registers (first, number) that may be read,
    as 0: they let a master read a whole block at once. separate_inputs: input registers (function 4) are others than
    holding registers (function 3), those of table "input"; otherwise both functions read the same.

    Raises ValueError (which register, what is wrong).
    """

    def __init__(
        self,
        registers: Iterable[Register],
        *,
        spans: Iterable[tuple[int, int]] = (),
        separate_inputs: bool = False,
    ) -> None:
        self.registers = tuple(registers)
        self._cells: dict[str, _Cell] = {}
        holding = _Space(2)
        self._spaces: dict[Table, _Space] = {
            "holding": holding,
            "input": _Space(2) if separate_inputs else holding,
            "coil": _Space(1),
            "discrete": _Space(1),
        }
        taken: dict[tuple[Table, int], str] = {}
        for one in self.registers:
            if one.name in self._cells:
                raise ValueError(f"{one.name}: the name is used twice")
            if one.table == "input" and not separate_inputs:
                raise ValueError(f"{one.name}: table input needs separate_inputs")
            self._cells[one.name] = _cell(one)
            for address in range(one.address, one.address + one.size):
                if (other := taken.setdefault((one.table, address), one.name)) != one.name:
                    raise ValueError(f"{one.name}: address {address} is that of {other}")
        for table, space in self._spaces.items():
            own = [(one.address, one.size) for one in self.registers if one.table == table]
            if table == "holding":
                own += spans
            if own:
                space.fill(own)
        self._writable = {(r.table, r.address): self._cells[r.name] for r in self.registers if r.writable}
        for cell in self._cells.values():
            self._show(cell, None)

    def set(self, name: str, value: Value, now: int = 0) -> bool:
        """Show `value` from now on (monotonic ns). None, and a number that the type cannot hold, are shown as "no
        value"; False for the latter. Raises KeyError, TypeError (a text for a number or the other way)."""
        cell = self._cells[name]
        shown = cell.try_encode(value)
        cell.value, cell.time = None if shown is None else value, now
        self._show(cell, shown)
        return value is None or shown is not None

    def get(self, name: str) -> Value:
        """What was set or written last; None: no value."""
        return self._cells[name].value

    def expire(self, now: int) -> list[str]:
        """Values older than their `max_age_ns` become missing; which."""
        old = [
            cell
            for cell in self._cells.values()
            if cell.register.max_age_ns is not None
            and cell.value is not None
            and now - cell.time > cell.register.max_age_ns
        ]
        for cell in old:
            cell.value = None
            self._show(cell, None)
        return [cell.register.name for cell in old]

    # --- as masters see it; all raise Illegal ---

    def read_bits(self, table: Table, address: int, count: int) -> bytes:
        """Packed as in a reply."""
        data, at = self._spaces[table].find(address, count)
        return pack_bits(data[at : at + count])

    def read_registers(self, table: Table, address: int, count: int) -> bytes:
        data, at = self._spaces[table].find(address, count)
        return bytes(data[at : at + 2 * count])

    def write_bits(self, address: int, bits: tuple[int, ...], now: int = 0) -> dict[str, Value]:
        """All or nothing; what has been written, by name."""
        return self._write("coil", address, bytes(bits), len(bits), now)

    def write_registers(self, address: int, values: tuple[int, ...], now: int = 0) -> dict[str, Value]:
        """All or nothing: every register must be part of a writable value, and every value written whole."""
        return self._write("holding", address, struct.pack(f">{len(values)}H", *values), len(values), now)

    def mask(self, mask: Mask, now: int = 0) -> dict[str, Value]:
        """Function 22."""
        before = int.from_bytes(self.read_registers("holding", mask.address, 1), "big")
        return self.write_registers(mask.address, (mask.apply(before),), now)

    def _write(self, table: Table, address: int, data: bytes, count: int, now: int) -> dict[str, Value]:
        space = self._spaces[table]
        space.find(address, count)
        width, at = space.width, 0
        accepted: list[tuple[_Cell, Value, bytes]] = []
        while at < count:
            cell = self._writable.get((table, address + at))
            if cell is None or at + cell.register.size > count:
                raise Illegal(ILLEGAL_ADDRESS, f"{address + at} is not a whole value that may be written")
            part = data[width * at : width * (at + cell.register.size)]
            accepted.append((cell, cell.accept(part), part))
            at += cell.register.size
        for cell, value, part in accepted:
            cell.value, cell.time = value, now
            self._show(cell, part)
        return {cell.register.name: value for cell, value, _ in accepted}

    def _show(self, cell: _Cell, data: bytes | None) -> None:
        one = cell.register
        span, at = self._spaces[one.table].find(one.address, one.size)
        shown = cell.encode(None) if data is None else data
        span[at : at + len(shown)] = shown


def _cell(one: Register) -> _Cell:
    bits = one.table in ("coil", "discrete")
    if bits != (one.type == "bit"):
        raise ValueError(f"{one.name}: table {one.table} does not hold {one.type}")
    if not bits and one.type not in _INTS and one.type not in _FLOATS and one.type != "string":
        raise ValueError(f"{one.name}: type: expected an int, float, string or bit, got {one.type}")
    if one.writable and one.table not in ("holding", "coil"):
        raise ValueError(f"{one.name}: no function writes to table {one.table}")
    if one.address < 0 or one.size < 1 or one.address + one.size > 65_536:
        raise ValueError(f"{one.name}: expected addresses 0..65535, got {one.address} + {one.size}")
    if one.order not in _ORDERS:
        raise ValueError(f"{one.name}: order: expected one of {', '.join(_ORDERS)}, got {one.order}")
    scale = one.scale if isinstance(one.scale, Fraction) else Fraction(str(one.scale))
    if scale <= 0:
        raise ValueError(f"{one.name}: scale: expected more than 0, got {one.scale}")
    if bits:
        return _Cell(one, scale, None)
    layout = Layout([Point(0, one.type, one.order, scale, missing=one.sentinel, length=one.length)])
    return _Cell(one, scale, layout)


def _ordered(data: bytes, order: str) -> bytes:
    """Big-endian bytes in the order on the wire."""
    words, swapped = _ORDERS[order]
    if words:
        data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))
    if swapped:
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    return data


def _allowed(one: Register) -> str:
    if one.one_of:
        return "one of " + ", ".join(str(number) for number in one.one_of)
    if one.least is None and one.most is None:
        return "a value"
    low, high = ("" if bound is None else f"{bound:g}" for bound in (one.least, one.most))
    return f"{low}..{high} {one.unit}".rstrip()
