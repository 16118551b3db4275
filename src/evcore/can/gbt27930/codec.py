"""GB/T 27930 payloads to values and back, by the tables of `messages`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from evcore.can.frames import Frame
from evcore.can.gbt27930.messages import MESSAGES, Field, Layout
from evcore.can.j1939 import make_id
from evcore.errors import FrameError, PayloadError

Value = int | float | str | bytes | list[Any] | None


def decode(name: str, data: bytes) -> dict[str, Value]:
    """The values of one payload, by field name. None: absent (filled with ones) or not a value of its kind.

    name: of the message, "BCL". A short payload gives the fields that it holds, a long one those that are known;
    whether its length is legal says `length_fault`. Raises FrameError: no such message.
    """
    layout = _layout(name)
    values: dict[str, Value] = {}
    for field in layout.fields:
        end = len(data) if field.size == 0 else field.byte - 1 + (field.size if not field.bits else _bytes(field))
        if end <= len(data):
            values[field.name] = _read(field, data[field.byte - 1 : end])
    return values


def length_fault(name: str, data: bytes) -> str:
    """ "" or what is wrong with the length of this payload."""
    layout = _layout(name)
    if layout.lengths and len(data) not in layout.lengths:
        return f"expected {' or '.join(map(str, sorted(layout.lengths)))} bytes, got {len(data)}"
    if not layout.lengths and not 1 <= len(data) <= layout.longest:
        return f"expected 1 to {layout.longest} bytes, got {len(data)}"
    return ""


def encode(name: str, values: Mapping[str, Any], *, length: int = 0) -> bytes:
    """A payload; what is not in `values`, or None, is filled with ones. length: another legal one than the standard's.

    Raises FrameError (no such message), PayloadError (no such field, or a value that does not fit it).
    """
    layout = _layout(name)
    fields = {field.name: field for field in layout.fields}
    size = length or (layout.lengths[0] if layout.lengths else 0)
    raw = int.from_bytes(b"\xff" * size, "little")
    for key, value in values.items():
        field = fields.get(key)
        if field is None:
            raise PayloadError("field", f"/{name}/{key}", f"one of {', '.join(fields)}", key)
        if value is None:
            continue
        if field.size == 0:
            return _write_list(layout, field, value)
        at = 8 * (field.byte - 1) + field.bit - 1
        if at + field.width > 8 * size:
            raise PayloadError("field", f"/{name}/{key}", f"a field of {size} bytes", key)
        mask = (1 << field.width) - 1
        raw = raw & ~(mask << at) | _write(layout, field, value) << at
    return raw.to_bytes(size, "little")


def frame_id(name: str) -> int:
    """The SocketCAN identifier of a message, bit 31 set."""
    layout = _layout(name)
    return make_id(layout.priority, layout.pgn, layout.destination, layout.source)


def frame(name: str, values: Mapping[str, Any], *, length: int = 0) -> Frame:
    """A message of up to 8 bytes as a frame; longer ones need the transport protocol (`j1939_node.Node.send`)."""
    return Frame(frame_id(name), encode(name, values, length=length))


def out_of_range(name: str, values: Mapping[str, Value]) -> dict[str, str]:
    """The numbers beyond the standard's range, by field name, with what was expected."""
    faults = {}
    for field in _layout(name).fields:
        value = values.get(field.name)
        if field.maximum is not None and isinstance(value, (int, float)) and value > field.maximum:
            faults[field.name] = f"{field.name}: expected at most {field.maximum:g} {field.unit}, got {value:g}"
    return faults


def _layout(name: str) -> Layout:
    try:
        return MESSAGES[name]
    except KeyError:
        raise FrameError("name", f"no message {name!r} in GB/T 27930", where="name") from None


def _bytes(field: Field) -> int:
    return (field.bit - 1 + field.bits + 7) // 8


def _read(field: Field, data: bytes) -> Value:
    if field.kind == "bytes":
        return data
    if field.kind == "text":
        return _text(data)
    if field.kind in ("date", "time"):
        return _date(data) if field.kind == "date" else _time(data)
    if field.kind == "version":
        return f"{data[1] | data[2] << 8}.{data[0]}"
    if field.kind == "cells":
        words = [data[i] | data[i + 1] << 8 for i in range(0, len(data) - 1, 2)]
        return [{"voltage_v": (word & 0xFFF) / 100, "group": word >> 12} for word in words]
    if field.kind == "temperatures":
        return [byte - 50 for byte in data]
    mask = (1 << field.width) - 1
    raw = int.from_bytes(data, "little") >> (field.bit - 1) & mask
    if raw == mask and field.filled:
        return None
    if field.kind == "word":
        return field.words.get(raw, raw)
    return raw - field.zero if field.per == 1 else (raw - field.zero) / field.per


def _text(data: bytes) -> str | None:
    text = data.rstrip(b"\x00\xff ")
    return text.decode("ascii") if text and all(0x20 <= byte < 0x7F for byte in text) else None


def _date(data: bytes) -> str | None:
    try:
        return date(1985 + data[0], data[1], data[2]).isoformat()
    except ValueError:
        return None


def _time(data: bytes) -> str | None:
    """Seven BCD bytes: second, minute, hour, day, month, year (two, low byte first); local time of the charger."""
    try:
        second, minute, hour, day, month, low, high = (int(f"{byte:02x}") for byte in data)
        return datetime(100 * high + low, month, day, hour, minute, second).isoformat()
    except ValueError:
        return None


def _write(layout: Layout, field: Field, value: Any) -> int:
    try:
        raw = _raw(field, value)
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        raise PayloadError("value", f"/{layout.name}/{field.name}", f"a {field.kind}", repr(value)[:80]) from error
    if not 0 <= raw < 1 << field.width:
        low, high = (-field.zero / field.per, ((1 << field.width) - 1 - field.zero) / field.per)
        raise PayloadError("value", f"/{layout.name}/{field.name}", f"{low:g}..{high:g} {field.unit}", repr(value)[:80])
    return raw


def _raw(field: Field, value: Any) -> int:
    if field.kind in ("text", "bytes"):
        data = value.encode("ascii") if isinstance(value, str) else bytes(value)
        if len(data) > field.size:
            raise ValueError(f"{len(data)} bytes")
        return int.from_bytes(data.ljust(field.size, b"\xff"), "little")
    if field.kind == "version":
        major, minor = value.split(".")
        return int(minor) | int(major) << 8
    if field.kind == "date":
        day = date.fromisoformat(value)
        return (day.year - 1985) | day.month << 8 | day.day << 16
    if field.kind == "time":
        moment = datetime.fromisoformat(value)
        digits = (moment.second, moment.minute, moment.hour, moment.day, moment.month)
        parts = [*digits, moment.year % 100, moment.year // 100]
        return int.from_bytes(bytes(int(str(part), 16) for part in parts), "little")
    if isinstance(value, str):
        return {word: raw for raw, word in field.words.items()}[value]
    steps: int = round(value * field.per)
    return steps + field.zero


def _write_list(layout: Layout, field: Field, value: Any) -> bytes:
    try:
        if field.kind == "cells":
            words = (round(cell["voltage_v"] * 100) & 0xFFF | cell["group"] << 12 for cell in value)
            data = b"".join(word.to_bytes(2, "little") for word in words)
        else:
            data = bytes(value) if field.kind == "bytes" else bytes(celsius + 50 for celsius in value)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise PayloadError("value", f"/{layout.name}/{field.name}", field.kind, repr(value)[:80]) from error
    if not 1 <= len(data) <= layout.longest:
        raise PayloadError("value", f"/{layout.name}/{field.name}", f"1 to {layout.longest} bytes", str(len(data)))
    return data
