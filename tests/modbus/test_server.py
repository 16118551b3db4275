"""The server's PDUs and frames. Golden bytes: the examples of MODBUS Application Protocol V1.1b3, 6, by hand."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.modbus import Device, Image, Register, Server, Written, crc16

ON_A_LINE = 20_000_000  # ns: longer than any silence


def image() -> Image:
    return Image(
        [
            Register("r107", 107, "uint16"),
            Register("r108", 108, "uint16"),
            Register("r109", 109, "uint16"),
            Register("set", 1, "uint16", writable=True),
            Register("set2", 2, "uint16", writable=True),
            Register("mask", 4, "uint16", writable=True),
            Register("power", 200, "float32", writable=True, least=0, most=1000),
            Register("swapped", 202, "uint32", order="CDAB"),
            Register("name", 204, "string", length=2),
            Register("temperature", 206, "int16", scale="0.1", max_age_ns=100),
            *(Register(f"c{n}", n, "bit", table="coil", writable=n < 180) for n in range(19, 200)),
            *(Register(f"d{n}", n, "bit", table="discrete") for n in range(196, 218)),
        ],
        spans=[(207, 3)],
    )


def ask(pdu: str, device: Device | None = None) -> str:
    reply, _ = (device or Device(image())).execute(bytes.fromhex(pdu), 0)
    return reply.hex(" ")


def mbap(pdu: bytes, transaction: int = 1, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def rtu(unit: int, pdu: bytes) -> bytes:
    body = bytes([unit]) + pdu
    return body + crc16(body).to_bytes(2, "little")


def test_the_examples_of_the_specification_are_answered_as_it_says():
    one = image()
    for name, value in (("r107", 0x022B), ("r108", 0), ("r109", 0x64)):
        one.set(name, value)
    device = Device(one, identity={0: "V", 1: "P", 2: "1"})
    assert ask("03 006B 0003", device) == "03 06 02 2b 00 00 00 64"  # 6.3
    assert ask("06 0001 0003", device) == "06 00 01 00 03"  # 6.6
    assert ask("10 0001 0002 04 000A 0102", device) == "10 00 01 00 02"  # 6.12
    assert ask("05 00AC FF00", device) == "05 00 ac ff 00"  # 6.5
    assert ask("0F 0013 000A 02 CD 01", device) == "0f 00 13 00 0a"  # 6.11
    assert ask("01 0013 000A", device) == "01 02 cd 01"
    one.set("mask", 0x12)
    assert ask("16 0004 00F2 0025", device) == "16 00 04 00 f2 00 25"  # 6.16
    assert one.get("mask") == 0x17
    assert ask("08 0000 A537", device) == "08 00 00 a5 37"  # 6.8
    assert ask("2B 0E 01 00", device) == "2b 0e 01 81 00 00 03 00 01 56 01 01 50 02 01 31"  # 6.21
    assert ask("2B 0E 04 01", device) == "2b 0e 04 81 00 00 01 01 01 50"
    assert ask("17 006B 0001 0001 0001 02 0007", device) == "17 02 02 2b"
    assert one.get("set") == 7


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ("63", 1),
        ("2B 0D 00", 1),
        ("14 07 06 0004 0001 0002", 1),
        ("08 0004 0000", 1),  # listen-only mode
        ("03 006B 0000", 3),
        ("03 006B 007E", 3),
        ("01 0000 07D1", 3),
        ("03 FFFF 0002", 2),
        ("03 006A 0001", 2),
        ("03 006B 0004", 2),
        ("05 00AC 0001", 3),
        ("05 00B4 FF00", 2),  # coil 180 is not writable
        ("06 006B 0001", 2),
        ("06 00C8 0001", 2),  # half a float
        ("10 00C9 0001 02 0000", 2),
        ("10 00C8 0002 04 7FC0 0000", 3),  # NaN
        ("10 00C8 0002 04 447A 2000", 3),  # 1000.5, and 1000 is the most
        ("10 0001 0002 05 0001 000200", 3),
        ("0F 0013 000A 01 CD", 3),
        ("10 0002 0002 04 0001 0002", 2),  # the second does not exist
        ("17 006A 0001 0001 0001 02 0007", 2),  # what cannot be read is not written either
        ("2B 0E 05 00", 3),
        ("2B 0E 04 09", 2),
    ],
)
def test_what_breaks_a_rule_gets_its_exception_and_changes_nothing(pdu, code):
    device = Device(image(), identity={0: "V"})
    before = {r.name: device.image.get(r.name) for r in device.image.registers}
    assert ask(pdu, device) == f"{bytes.fromhex(pdu)[0] | 0x80:02x} {code:02x}"
    assert before == {r.name: device.image.get(r.name) for r in device.image.registers}


def test_values_are_shown_in_their_type_and_missing_ones_as_sentinels():
    one = image()
    assert ask("03 00C8 0009", Device(one)) == "03 12 7f c0 00 00 ff ff ff ff 00 00 00 00 80 00 00 00 00 00"
    one.set("power", 1.5)
    one.set("swapped", 0x01020304)
    one.set("name", "abcdé")
    one.set("temperature", 21.57, 1000)
    assert ask("03 00C8 0007", Device(one)) == "03 0e 3f c0 00 00 03 04 01 02 61 62 63 64 00 d8"
    assert one.expire(1100) == []
    assert one.expire(1101) == ["temperature"]
    assert ask("04 00CE 0001", Device(one)) == "04 02 80 00"  # both functions read the same
    assert not one.set("temperature", 1e9)
    assert not one.set("power", math.inf)
    assert one.get("power") is None
    with pytest.raises(TypeError):
        one.set("power", "much")


@pytest.mark.parametrize(
    "bad",
    [
        [Register("a", 1), Register("a", 2)],
        [Register("a", 1, "uint32"), Register("b", 2)],
        [Register("a", 65535, "uint32")],
        [Register("a", 1, "bit")],
        [Register("a", 1, "bit", table="discrete", writable=True)],
        [Register("a", 1, "int8")],
        [Register("a", 1, order="XY")],
        [Register("a", 1, scale=0)],
    ],
)
def test_an_image_that_cannot_be_is_refused(bad):
    with pytest.raises(ValueError, match=r"^[ab]:"):
        Image(bad)


def test_pipelined_requests_are_answered_in_order_and_a_flood_in_turns():
    server = Server(Device(image()))
    server.receive(b"".join(mbap(bytes.fromhex("06 0001") + n.to_bytes(2, "big"), n) for n in range(40)), 0)
    seen = []
    while True:
        events = server.poll(0)
        assert len(events) <= 16
        seen += [event.values["set"] for event in events]
        if not server.more:
            break
    assert seen == list(range(40))
    assert [reply[:2] for reply in server.to_send()] == [n.to_bytes(2, "big") for n in range(40)]


WRITE = bytes.fromhex("06 0001 0007")


@pytest.mark.parametrize(
    ("segment", "why", "written"),
    [
        (struct.pack(">HHHB", 1, 0, 11, 1) + WRITE + WRITE, "length", 0),  # two PDUs behind one header
        (struct.pack(">HHHB", 1, 0, 18, 1) + WRITE + mbap(WRITE), "length", 0),  # a frame within a frame
        (struct.pack(">HHHB", 1, 0, 3, 1) + WRITE, "length", 0),  # shorter than the PDU
        (struct.pack(">HHHB", 1, 0, 4, 1) + bytes.fromhex("10 0001"), "length", 0),
        (struct.pack(">HHHB", 1, 0, 9, 1) + bytes.fromhex("10 0001 0001 03 0007"), "length", 0),
        (struct.pack(">HHHB", 1, 1, 6, 1) + WRITE, "protocol", 0),
        (struct.pack(">HHHB", 1, 0, 255, 1) + WRITE, "length", 0),
        (struct.pack(">HHHB", 1, 0, 1, 1) + WRITE, "length", 0),
        (mbap(WRITE) + b"\0\0\0\1" + mbap(WRITE), "protocol", 1),
    ],
)
def test_a_segment_that_two_readers_could_read_in_two_ways_ends_the_connection(segment, why, written):
    for cut in (len(segment), 1):
        server = Server(Device(image()))
        events: list[Written] = []
        for at in range(0, len(segment), cut):
            server.receive(segment[at : at + cut], 0)
            events += server.poll(0)
        assert server.broken is not None
        assert server.broken.reason == why
        assert len(events) == len(server.to_send()) == written


def test_another_unit_is_a_path_that_there_is_not():
    server = Server(Device(image()))
    server.receive(mbap(WRITE, unit=9), 0)
    assert server.poll(0) == []
    assert server.to_send() == [bytes.fromhex("0001 0000 0003 09 86 0A")]


def test_a_line_is_read_between_silences_and_others_are_left_alone():
    server = Server(Device(image()), "rtu", units=(5,))

    def burst(data: bytes, now: int) -> tuple[list[Written], list[bytes]]:
        server.receive(data[:3], now)
        assert server.poll(now) == []
        server.receive(data[3:], now + 1)
        assert server.next_deadline() is not None
        return server.poll(now + ON_A_LINE), server.to_send()

    events, replies = burst(rtu(5, WRITE), 0)
    assert [event.unit for event in events] == [5]
    assert replies == [rtu(5, WRITE)]
    assert burst(rtu(6, WRITE), 10**9) == ([], [])
    other = rtu(6, bytes.fromhex("03 04"))[:-2] + rtu(5, WRITE)[:2]
    reply_of_another = rtu(6, bytes([3, 8]) + rtu(5, WRITE))  # holds a request to us, CRC and all
    assert burst(reply_of_another, 2 * 10**9) == ([], [])
    assert burst(other, 3 * 10**9) == ([], [])
    events, replies = burst(rtu(6, bytes.fromhex("03 02 0001")) + rtu(5, WRITE), 4 * 10**9)  # read in one go
    assert len(events) == len(replies) == 1
    events, replies = burst(b"\0" + rtu(5, WRITE), 5 * 10**9)
    assert len(events) == len(replies) == 1
    events, replies = burst(rtu(0, WRITE), 6 * 10**9)  # broadcast
    assert len(events) == 1
    assert replies == []
    assert burst(bytes(200) + rtu(5, WRITE), 7 * 10**9) == ([], [])


def test_rtu_over_tcp_has_the_pdus_length_and_the_crc_as_boundary():
    server = Server(Device(image()), "rtu+tcp", units=(1,))
    for byte in rtu(1, WRITE) + rtu(1, WRITE):
        server.receive(bytes([byte]), 0)
        server.poll(0)
    assert server.to_send() == [rtu(1, WRITE)] * 2
    server.receive(rtu(1, WRITE)[:-1] + b"x" + rtu(1, WRITE), 0)
    assert server.poll(0) == []
    assert server.broken is not None
    assert server.to_send() == []


PDUS = st.one_of(
    st.binary(min_size=1, max_size=253),
    st.builds(
        lambda f, a, c: struct.pack(">BHH", f, a, c), st.integers(1, 6), st.integers(0, 220), st.integers(0, 130)
    ),
    st.builds(
        lambda a, v: struct.pack(f">BHHB{len(v)}H", 16, a, len(v), 2 * len(v), *v),
        st.integers(0, 220),
        st.lists(st.integers(0, 65535), min_size=1, max_size=5),
    ),
)


@given(st.lists(st.one_of(PDUS.map(mbap), st.binary(max_size=40)), max_size=6), st.integers(1, 300))
def test_any_bytes_get_right_replies_or_a_close_and_refused_writes_change_nothing(parts, cut):
    device = Device(image())
    server, data = Server(device), b"".join(parts)
    for at in range(0, len(data), cut):
        server.receive(data[at : at + cut], 0)
        while True:
            before = {r.name: device.image.get(r.name) for r in device.image.registers}
            events, replies = server.poll(0), server.to_send()
            for reply in replies:
                _, protocol, length, _ = struct.unpack(">HHHB", reply[:7])
                assert (protocol, length) == (0, len(reply) - 6)
                assert length <= 254
            if not events:
                after = {r.name: device.image.get(r.name) for r in device.image.registers}
                assert before == after
            if not server.more:
                break


@given(st.sampled_from(["rtu", "rtu+tcp"]), st.lists(st.one_of(PDUS.map(lambda p: rtu(1, p)), st.binary(max_size=20))))
def test_any_bytes_on_a_line_do_no_harm(framing, parts):
    server, now = Server(Device(image()), framing), 0
    for part in parts:
        server.receive(part, now)
        now += ON_A_LINE
        server.poll(now)
        for reply in server.to_send():
            assert crc16(reply) == 0
