"""The seam: frames and registers. What each wrong reply is called, and that our values are those of pymodbus."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.core.modbus import (
    Layout,
    Point,
    ReadRequest,
    Request,
    WriteRequest,
    crc16,
    decode_registers,
    tcp_size,
    unpack_bits,
    unpack_registers,
)
from evcore.errors import FrameError, InvalidReply, ModbusException

# MODBUS Application Protocol V1.1b3, 6.3; the CRCs are from another implementation.
REQUEST = bytes.fromhex("1103 006B 0003 7687")
REPLY = bytes.fromhex("1103 06 022B 0000 0064 C8BA")
READ = ReadRequest(0x11, 3, 0x6B, 3)


def rtu(hex_text: str) -> bytes:
    body = bytes.fromhex(hex_text)
    return body + crc16(body).to_bytes(2, "little")


def test_a_read_is_built_and_its_reply_read_as_in_the_specification():
    assert READ.to_rtu() == REQUEST
    assert READ.to_tcp(0x1501) == bytes.fromhex("1501 0000 0006 11 03006B0003")
    assert READ.registers(REPLY) == [0x022B, 0, 0x64]
    assert READ.registers_tcp(bytes.fromhex("1501 0000 0009 11 0306022B00000064"), 0x1501) == [0x022B, 0, 0x64]
    assert READ.reply_size == len(REPLY)
    assert repr(READ) == "ReadRequest(17, 3, 107, 3)"


def test_coils_and_writes_as_in_the_specification():
    coils = ReadRequest(1, 1, 0x13, 19)
    bits = coils.bits(rtu("01 01 03 CD6B05"))
    assert bits == [c == "1" for c in "1011001111010110101"]
    assert coils.bits_tcp(bytes.fromhex("0001 0000 0006 01 01 03 CD6B05"), 1) == bits
    for write, pdu in (
        (WriteRequest(1, 5, 0xAC, [True]), "0500ACFF00"),
        (WriteRequest(1, 6, 1, [3]), "0600010003"),
        (WriteRequest(1, 15, 0x13, [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]), "0F0013000A02CD01"),
        (WriteRequest(1, 16, 1, [0x0A, 0x0102]), "100001000204000A0102"),
    ):
        assert write.pdu == bytes.fromhex(pdu)
        write.confirm(rtu("01" + pdu[:10]))
        write.confirm_tcp(bytes.fromhex("0009 0000 0006 01" + pdu[:10]), 9)


# Each of the wrong replies that pymodbus 3.16.1 takes for the answer to a read of two registers.
@pytest.mark.parametrize(
    ("reason", "expected", "got", "reply"),
    [
        ("function", 3, 4, "0007 0000 0007 01 04 04 00010002"),
        ("count", 4, 2, "0007 0000 0005 01 03 02 0001"),
        ("count", 4, 8, "0007 0000 000B 01 03 08 0001000200030004"),
        ("count", 4, 3, "0007 0000 0006 01 03 03 000100"),
        ("transaction", 7, 0, "0000 0000 0007 01 03 04 00010002"),
        ("function", 3, 6, "0007 0000 0006 01 06 0000 0002"),
        ("unit", 1, 2, "0007 0000 0007 02 03 04 00010002"),
        ("length", 7, 6, "0007 0000 0006 01 03 04 00010002"),
        ("length", 6, 7, "0007 0000 0007 01 03 04 000100"),
        ("protocol", 0, 1, "0007 0001 0007 01 03 04 00010002"),
    ],
)
def test_a_wrong_tcp_reply_is_refused_by_name(reason, expected, got, reply):
    with pytest.raises(InvalidReply) as caught:
        ReadRequest(1, 3, 0, 2).registers_tcp(bytes.fromhex(reply), 7)
    assert (caught.value.reason, caught.value.expected, caught.value.got) == (reason, expected, got)


@pytest.mark.parametrize(
    ("reason", "reply"),
    [
        ("function", rtu("01 04 04 00010002")),
        ("count", rtu("01 03 02 0001")),
        ("count", rtu("01 03 08 0001000200030004")),
        ("count", rtu("01 03 03 000100")),
        ("unit", rtu("02 03 04 00010002")),
        ("function", rtu("01 06 0000 0002")),
        ("length", rtu("01 03 04 0001000200")),
        ("crc", rtu("01 03 04 00010002")[:-1] + b"\0"),
        ("length", b""),
    ],
)
def test_a_wrong_rtu_reply_is_refused_by_name(reason, reply):
    with pytest.raises(InvalidReply) as caught:
        ReadRequest(1, 3, 0, 2).registers(reply)
    assert caught.value.reason == reason


def test_a_write_is_confirmed_by_its_own_echo_only():
    with pytest.raises(InvalidReply, match="echo: expected 0001 0003, got 0001 0004"):
        WriteRequest(1, 6, 1, [3]).confirm(rtu("01 06 0001 0004"))


def test_an_exception_reply_is_a_refusal_and_names_what_was_asked():
    with pytest.raises(ModbusException) as caught:
        READ.registers(rtu("11 83 02"))
    assert (caught.value.code, caught.value.function, caught.value.unit, caught.value.address) == (2, 3, 0x11, 0x6B)
    used, outcome = READ.find(b"\xff" + rtu("11 83 02"))
    assert used == 6
    assert isinstance(outcome, ModbusException)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReadRequest(256, 3, 0, 1),
        lambda: ReadRequest(1, 5, 0, 1),
        lambda: ReadRequest(1, 3, -1, 1),
        lambda: ReadRequest(1, 3, 65536, 1),
        lambda: ReadRequest(1, 3, 65535, 2),
        lambda: ReadRequest(1, 3, 0, 126),
        lambda: ReadRequest(1, 1, 0, 2001),
        lambda: WriteRequest(1, 6, 0, [65536]),
        lambda: WriteRequest(1, 6, 0, [1, 2]),
        lambda: WriteRequest(1, 5, 0, [2]),
        lambda: WriteRequest(1, 16, 0, []),
        lambda: WriteRequest(1, 16, 0, [0] * 124),
        lambda: WriteRequest(1, 3, 0, [0]),
        lambda: Request(1, b"\x2b\x0e\x01\x00\x00"),
        lambda: ReadRequest(1, 1, 0, 8).registers(b""),
        lambda: unpack_registers(b"123"),
        lambda: unpack_bits(b"1", 9),
    ],
)
def test_what_is_beyond_the_specification_is_never_sent(make):
    with pytest.raises(ValueError):
        make()


@given(before=st.binary(max_size=300), after=st.binary(max_size=40), cut=st.integers(0, len(REPLY) - 1))
@settings(max_examples=200)
def test_noise_around_a_reply_loses_nothing_and_half_a_reply_is_none(before, after, cut):
    used, outcome = READ.find(before + REPLY + after, last=True)
    assert outcome == REPLY[3:9]
    assert used == len(before) + len(REPLY)
    assert READ.find(before + REPLY[:cut], last=True)[1] is None


def test_the_mbap_length_is_the_boundary():
    adu = bytes.fromhex("0007 0000 0007 01 03 04 00010002")
    assert [tcp_size(adu[:n]) for n in range(len(adu))] == [0] * len(adu)
    assert tcp_size(adu + adu) == len(adu)
    for broken in ("0007 0001", "0007 0000 0001", "0007 0000 00FF"):
        with pytest.raises(FrameError):
            tcp_size(bytes.fromhex(broken))


# --- Registers to values ---

FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip


def in_order(data: bytes, order: str) -> bytes:
    """Big-endian bytes to the register order, by reversing words and bytes, as the order's letters show it."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


@given(data=st.data(), kind=st.sampled_from(sorted(FORMATS)), order=st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]))
def test_every_type_in_every_order_agrees_with_struct(data, kind, order):
    size = struct.calcsize(FORMATS[kind])
    raw = data.draw(st.binary(min_size=size, max_size=size))
    (expected,) = struct.unpack(">" + FORMATS[kind], raw)
    (value,) = Layout([Point(3, kind, order)]).decode(b"\xee" * 6 + in_order(raw, order))
    if isinstance(expected, float) and not math.isfinite(expected):
        assert value is None
    else:
        assert value == expected
        assert type(value) is type(expected)


def test_values_agree_with_the_converters_of_pymodbus():
    mixin = pytest.importorskip("pymodbus.client.mixin").ModbusClientMixin
    registers = [0x4365, 0x8000, 0x1234, 0xFEDC, 0xBA98, 0x7654]
    data = b"".join(r.to_bytes(2, "big") for r in registers)
    for kind in FORMATS:
        words = struct.calcsize(FORMATS[kind]) // 2
        for order, name in (("ABCD", "big"), ("CDAB", "little")):
            theirs = mixin.convert_from_registers(registers[:words], mixin.DATATYPE[kind.upper()], word_order=name)
            assert decode_registers(data, Layout([Point(0, kind, order)])) == [theirs]


def test_a_decimal_scale_gives_the_nearest_double_not_a_product_of_noise():
    layout = Layout([Point(0, "uint16", scale=0.1), Point(0, "uint16", scale="0.001"), Point(0, "uint16", scale=10)])
    assert layout.decode((2301).to_bytes(2, "big")) == [230.1, 2.301, 23010.0]
    assert Layout([Point(0, "int16", add=-40.0)]).decode(b"\x00\x0a") == [-30.0]


def test_sentinels_texts_and_bits():
    layout = Layout(
        [
            Point(0, "int16", missing=-32768),
            Point(0, "uint16", missing=0x8000),
            Point(0, "uint16", missing=0x7FFF),
            Point(1, "string", length=3),
            Point(1, "string", "BADC", length=3),
            Point(1, "string", "CDAB", length=3),
            Point(4, "bits", bit=4, length=4),
            Point(4, "bits", bit=0),
            Point(4, "bits", bit=15),
        ]
    )
    assert layout.registers == 5
    assert len(layout) == 9
    assert layout.decode(b"\x80\x00SDM63 \x00\xa5") == [
        None, None, 0x8000, "SDM63", "DS6M 3", "3 M6SD", 0xA, True, False,
    ]  # fmt: skip
    assert READ.values(REPLY, Layout([Point(0, "uint16"), Point(1, "uint32")])) == [0x22B, 0x64]
    with pytest.raises(ValueError, match="expected 5, got 3"):
        READ.values(REPLY, layout)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (Point(0, "int8"), "point 0: type"),
        (Point(0, "int16", "BACD"), "point 0: order"),
        (Point(65535, "int32"), "point 0: offset"),
        (Point(-1, "int32"), "point 0: offset"),
        (Point(0, "string", length=126), "point 0: length"),
        (Point(0, "bits", bit=9, length=8), "point 0: length"),
        (Point(0, "bits", bit=16), "point 0: bit"),
        (Point(0, "int16", missing=65536), "point 0: missing"),
        (Point(0, "int16", scale="ten"), "point 0: "),
    ],
)
def test_a_wrong_point_is_named(point, message):
    with pytest.raises(ValueError, match=message):
        Layout([point])
