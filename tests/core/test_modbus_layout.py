"""Layouts: the types and options beyond plain numbers, held against plain Python; and decoding into given memory."""

from __future__ import annotations

import math
import struct
from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.core.modbus import Layout, Point, ReadRequest, crc16, crc16_many
from evcore.errors import InvalidReply, ModbusException


def reverse(data: bytes, order: str) -> bytes:
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    words = words[::-1] if order in ("CDAB", "DCBA") else words
    return b"".join(word[::-1] if order in ("BADC", "DCBA") else word for word in words)


def rtu(hex_text: str) -> bytes:
    body = bytes.fromhex(hex_text)
    return body + crc16(body).to_bytes(2, "little")


def test_every_float16_is_that_of_struct():
    layout = Layout([Point(0, "float16")])
    for bits in range(65536):
        raw = bits.to_bytes(2, "big")
        (expected,) = struct.unpack(">e", raw)
        (value,) = layout.decode(raw)
        if math.isfinite(expected):
            assert value == expected
            assert math.copysign(1, value) == math.copysign(1, expected)
        else:
            assert value is None


@given(
    digits=st.integers(0, 10**16 - 1),
    size=st.sampled_from([1, 2, 4]),
    order=st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    nibble=st.integers(0, 15),
    bad=st.integers(10, 15),
)
def test_decimal_digits_in_every_order_and_one_above_nine_is_missing(digits, size, order, nibble, bad):
    digits %= 10 ** (4 * size)
    text = f"{digits:0{4 * size}d}"
    layout = Layout([Point(0, f"bcd{16 * size}", order), Point(0, f"bcd{16 * size}", order, scale="0.01")])
    # above 2**53 rounded twice
    assert layout.decode(reverse(bytes.fromhex(text), order)) == [digits, float(digits) / 100]
    at = nibble % (4 * size)
    broken = f"{text[:at]}{bad:x}{text[at + 1 :]}"
    assert layout.decode(reverse(bytes.fromhex(broken), order)) == [None, None]


def test_a_text_with_one_character_a_register():
    registers = b"\0E\0M\0" + b"3\xff4\0 \0\0"
    layout = Layout([Point(0, "string_low", length=6), Point(0, "string_low", "BADC", length=2)])
    assert layout.decode(registers) == ["EM34", ""]
    assert Layout([Point(0, "string_low", "CDAB", length=2)]).decode(registers) == ["ME"]


@given(
    raw=st.integers(-(2**31), 2**31 - 1), power=st.integers(-32768, 32767), scale=st.sampled_from(["1", "0.1", "2.5"])
)
def test_a_scale_held_in_a_register_gives_the_nearest_double(raw, power, scale):
    layout = Layout([Point(0, "int32", scale=scale, scale_register=2)])
    assert layout.registers == 3
    (value,) = layout.decode(struct.pack(">ih", raw, power))
    if not -10 <= power <= 10:
        assert value is None
    elif scale == "1" or power <= 0:  # no product beyond 2**53: one rounding
        assert value == float(raw * Fraction(scale) * Fraction(10) ** power)
    else:
        assert value == pytest.approx(float(raw * Fraction(scale) * Fraction(10) ** power), rel=1e-15)


def test_a_missing_value_stays_missing_whatever_its_scale_and_the_scale_has_the_order_of_the_point():
    point = Point(1, "int16", "BADC", missing=-32768, scale_register=0)
    assert Layout([point]).decode(b"\xff\xff\x00\x80") == [None]
    assert Layout([point]).decode(b"\xff\xff\x08\x00") == [0.8]
    assert Layout([Point(0, "uint16", scale_register=5)]).registers == 6
    with pytest.raises(ValueError, match="expected 6, got 5"):
        Layout([Point(0, "uint16", scale_register=5)]).decode(bytes(10))


def test_known_numbers_become_words_and_unknown_ones_stay():
    states = {0: "idle", 2: "charging", -1: "fault"}
    layout = Layout(
        [
            Point(0, "uint16", values=states),
            Point(1, "int16", values=states, missing=7),
            Point(2, "bits", bit=3, values={0: "off", 1: "on"}),
            Point(2, "bits", bit=4, length=4, values={10: "ten"}),
            Point(3, "bcd16", values={12: "twelve"}),
        ]
    )
    assert layout.decode(bytes.fromhex("0002 FFFF 00A8 0012")) == ["charging", "fault", "on", "ten", "twelve"]
    assert layout.decode(bytes.fromhex("0003 0007 0000 00A0")) == [3, None, "off", 0, None]


@given(
    raw=st.integers(0, 2**64 - 1),
    named=st.sets(st.integers(0, 63)),
    kind=st.sampled_from(["uint16", "uint32", "uint64"]),
)
def test_flags_are_the_names_of_the_bits_that_are_set(raw, named, kind):
    width = int(kind[4:])
    raw %= 1 << width
    names = {bit: f"bit {bit}" for bit in named if bit < width}
    layout = Layout([Point(0, kind, flags=names, missing=(1 << width) - 1)])
    expected = tuple(names[bit] for bit in range(width) if raw >> bit & 1 and bit in names)
    assert layout.decode(raw.to_bytes(width // 8, "big")) == [None if raw == (1 << width) - 1 else expected]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (Point(0, "string", scale_register=1), "scale_register"),
        (Point(0, "uint16", scale_register=-1), "scale_register"),
        (Point(0, "uint16", values={1: "a"}, flags={1: "b"}), "values and flags"),
        (Point(0, "float32", values={1: "a"}), "values"),
        (Point(0, "string", values={1: "a"}), "values"),
        (Point(0, "uint16", scale=10, values={1: "a"}), "values"),
        (Point(0, "uint16", values={1: 1}), "values"),
        (Point(0, "int16", flags={1: "a"}), "flags"),
        (Point(0, "uint16", flags={16: "a"}), "flags"),
        (Point(0, "bits", length=4, flags={4: "a"}), "flags"),
        (Point(0, "uint16", scale_register=1, flags={0: "a"}), "flags"),
    ],
)
def test_a_wrong_point_is_named(point, message):
    with pytest.raises(ValueError, match=f"point 0: {message}: expected"):
        Layout([point])


# --- decode_into ---

POINTS = [
    Point(0, "float32"),
    Point(2, "int16", scale=0.1),
    Point(3, "string", length=1),
    Point(4, "uint16", missing=0xFFFF),
    Point(5, "bits", bit=2),
    Point(5, "uint16", flags={2: "hot"}),
    Point(5, "uint16", values={4: "four"}),
    Point(0, "uint64"),
]
DATA = bytes.fromhex("43660000 FFF6 4142 FFFF 0004")


def test_decode_into_writes_what_decode_gives_and_says_what_is_valid():
    layout = Layout(POINTS)
    out, valid = array("d", [7.0] * len(POINTS)), bytearray(b"\x07" * len(POINTS))
    assert layout.decode_into(DATA, out, valid) == 6
    assert list(valid) == [1, 1, 0, 0, 1, 1, 1, 1]
    assert math.isnan(out[2])
    assert math.isnan(out[3])
    assert [out[i] for i in (0, 1, 4, 5, 6)] == [230.0, -1.0, 1.0, 4.0, 4.0]
    assert out[7] == float(int.from_bytes(DATA[:8], "big"))


@given(data=st.binary(min_size=250, max_size=250))
def test_decode_into_agrees_with_decode(data):
    layout = Layout(
        [Point(2 * i, kind) for i, kind in enumerate(["float32", "int32", "uint32", "float64", "int64", "bcd32"])]
    )
    out, valid = array("d", bytes(8 * len(layout))), bytearray(len(layout))
    layout.decode_into(data, out, valid)
    for value, number, good in zip(layout.decode(data), out, valid, strict=True):
        assert good == (value is not None)
        if value is not None:
            assert number == float(value)


def test_decode_into_checks_the_reply_first_and_writes_nothing_if_it_is_wrong():
    layout = Layout([Point(0, "uint16"), Point(1, "uint16")], ReadRequest(1, 3, 0, 2))
    out, valid = array("d", [0.0, 0.0]), bytearray(2)
    assert layout.decode_into(rtu("01 03 04 00010002"), out, valid) == 2
    assert layout.decode_into(bytes.fromhex("0007 0000 0007 01 03 04 00030004"), out, valid, transaction_id=7) == 2
    assert list(out) == [3.0, 4.0]
    valid[:] = b"\0\0"
    with pytest.raises(InvalidReply, match="unit"):
        layout.decode_into(rtu("02 03 04 00010002"), out, valid)
    with pytest.raises(InvalidReply, match="transaction"):
        layout.decode_into(bytes.fromhex("0008 0000 0007 01 03 04 00030004"), out, valid, transaction_id=7)
    with pytest.raises(ModbusException):
        layout.decode_into(rtu("01 83 02"), out, valid)
    assert list(out) == [3.0, 4.0]
    assert valid == b"\0\0"


def test_memory_of_another_size_or_type_is_refused():
    layout = Layout([Point(0, "uint16"), Point(1, "uint16")])
    out, valid, data = array("d", [0.0, 0.0]), bytearray(2), bytes(4)
    for wrong in (array("d", [0.0]), array("q", [0, 0]), bytearray(16)):
        with pytest.raises(ValueError, match="out: expected 2 doubles"):
            layout.decode_into(data, wrong, valid)
    with pytest.raises(ValueError, match="valid: expected 2 bytes, got 3"):
        layout.decode_into(data, out, bytearray(3))
    with pytest.raises(BufferError):
        layout.decode_into(data, out, bytes(2))
    with pytest.raises(ValueError, match="registers: expected 2, got 1"):
        layout.decode_into(bytes(2), out, valid)
    with pytest.raises(ValueError, match="transaction_id"):
        layout.decode_into(data, out, valid, transaction_id=1)
    for request in (ReadRequest(1, 1, 0, 16), ReadRequest(1, 3, 0, 1)):
        with pytest.raises(ValueError, match="request: expected a read of at least 2 registers"):
            Layout([Point(0, "uint32")], request)
    out.append(0.0)  # nothing holds its memory any more


def test_doubles_of_numpy_are_written_in_place():
    numpy = pytest.importorskip("numpy")
    out, valid = numpy.zeros(2), numpy.zeros(2, bool)
    assert Layout([Point(0, "uint16"), Point(0, "uint16", missing=1)]).decode_into(b"\0\1", out, valid) == 1
    assert out[0] == 1
    assert valid.tolist() == [True, False]


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_the_crcs_of_many_frames_are_those_of_each(frames):
    assert crc16_many(frames) == crc16_many(iter(frames)) == [crc16(frame) for frame in frames]
