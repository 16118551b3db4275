"""The other functions: requests and replies as the examples of MODBUS Application Protocol V1.1b3, by its clauses; what
is asked again; custom functions."""

from __future__ import annotations

import asyncio

import pytest

from evcore.core.modbus import ReadRequest, Request, WriteRequest, crc16
from evcore.errors import InvalidReply, ModbusException
from evcore.modbus import CountedReply, EchoReply, FixedReply, functions, register_function
from evcore.modbus.calls import Calls


def rtu(hex_text: str) -> bytes:
    body = b"\x11" + bytes.fromhex(hex_text)
    return body + crc16(body).to_bytes(2, "little")


EXAMPLES = [
    (functions.ReadExceptionStatus(17), "07", "07 6D", [True, False, True, True, False, True, True, False]),
    (functions.Diagnostics(17, 0, b"\xa5\x37"), "08 0000 A537", "08 0000 A537", b"\xa5\x37"),
    (functions.Diagnostics(17, 11), "08 000B 0000", "08 000B 0012", b"\0\x12"),
    (functions.GetCommEventCounter(17), "0B", "0B FFFF 0108", functions.CommEvents(True, 0x108)),
    (
        functions.GetCommEventLog(17),
        "0C",
        "0C 08 0000 0108 0121 20 00",
        functions.CommEvents(False, 0x108, 0x121, b"\x20\0"),
    ),
    (functions.ReportServerId(17), "11", "11 03 42 FF 07", b"\x42\xff\x07"),
    (
        functions.ReadFileRecord(17, [functions.FileRecord(4, 1, 2), functions.FileRecord(3, 9, 2)]),
        "14 0E 06 0004 0001 0002 06 0003 0009 0002",
        "14 0C 05 06 0DFE 0020 05 06 33CD 0040",
        [[0x0DFE, 0x20], [0x33CD, 0x40]],
    ),
    (
        functions.WriteFileRecord(17, [functions.FileData(4, 7, [0x06AF, 0x04BE, 0x100D])]),
        "15 0D 06 0004 0007 0003 06AF 04BE 100D",
        "15 0D 06 0004 0007 0003 06AF 04BE 100D",
        None,
    ),
    (functions.MaskWriteRegister(17, 4, 0xF2, 0x25), "16 0004 00F2 0025", "16 0004 00F2 0025", None),
    (
        functions.ReadWriteRegisters(17, 3, 6, 14, [255, 255, 255]),
        "17 0003 0006 000E 0003 06 00FF 00FF 00FF",
        "17 0C 00FE 0ACD 0001 0003 000D 00FF",
        [0xFE, 0xACD, 1, 3, 0xD, 0xFF],
    ),
    (functions.ReadFifoQueue(17, 0x4DE), "18 04DE", "18 0006 0002 01B8 1284", [0x1B8, 0x1284]),
    (
        functions.ReadDeviceIdentification(17),
        "2B 0E 01 00",
        "2B 0E 01 01 00 00 02" + "00 03 414243" + "01 00",
        functions.DeviceIdentification(1, {0: b"ABC", 1: b""}),
    ),
]


@pytest.mark.parametrize(("request_", "pdu", "reply", "parsed"), EXAMPLES)
def test_requests_and_replies_are_those_of_the_specification(request_, pdu, reply, parsed):
    assert request_.pdu == bytes.fromhex(pdu)
    frame = rtu(reply)
    data = request_.check(frame)
    assert request_.parse(data) == parsed
    assert len(data) + request_.reply_around == len(frame) <= request_.reply_size
    assert request_.find(b"\xff" + frame + b"\0") == (1 + len(frame), data)
    tcp = b"\0\7\0\0" + (len(frame) - 2).to_bytes(2, "big") + frame[:-2]
    assert request_.check_tcp(tcp, 7) == data
    for at in range(len(frame)):
        assert request_.find(frame[:at] + frame[at + 1 :], True)[1] is None
    with pytest.raises(ModbusException) as caught:
        request_.check(rtu(f"{request_.function | 0x80:02x} 07"))
    assert "negative acknowledge" in str(caught.value)


def test_what_writes_and_what_has_an_address():
    assert [e[0].function for e in EXAMPLES if e[0].is_write] == [21, 22, 23]
    assert {e[0].function: e[0].address for e in EXAMPLES if e[0].address} == {22: 4, 23: 3, 24: 0x4DE}
    assert not ReadRequest(1, 3, 0, 1).is_write
    assert [WriteRequest(1, code, 0, [1]).is_write for code in (5, 6, 15, 16)] == [True] * 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: functions.Diagnostics(1, 4),
        lambda: functions.Diagnostics(1, 9),
        lambda: functions.Diagnostics(1, 11, b"\0\1"),
        lambda: functions.Diagnostics(1, 0, b""),
        lambda: functions.Diagnostics(1, 0, b"abc"),
        lambda: functions.Diagnostics(1, 0, bytes(252)),
        lambda: functions.ReadFileRecord(1, []),
        lambda: functions.ReadFileRecord(1, [functions.FileRecord(0, 0, 1)]),
        lambda: functions.ReadFileRecord(1, [functions.FileRecord(1, 9999, 2)]),
        lambda: functions.ReadFileRecord(1, [functions.FileRecord(1, 0, 122)]),
        lambda: functions.ReadFileRecord(1, [functions.FileRecord(1, 0, 1)] * 36),
        lambda: functions.WriteFileRecord(1, [functions.FileData(1, 0, [])]),
        lambda: functions.WriteFileRecord(1, [functions.FileData(1, 0, [0] * 123)]),
        lambda: functions.WriteFileRecord(1, [functions.FileData(1, 0, [65536])]),
        lambda: functions.MaskWriteRegister(1, 65536, 0, 0),
        lambda: functions.ReadWriteRegisters(1, 0, 126, 0, [1]),
        lambda: functions.ReadWriteRegisters(1, 0, 1, 0, [1] * 122),
        lambda: functions.ReadWriteRegisters(1, 0, 1, 65535, [1, 2]),
        lambda: functions.ReadFifoQueue(1, -1),
        lambda: functions.ReadDeviceIdentification(1, 5),
        lambda: functions.ReadDeviceIdentification(1, 1, 256),
        lambda: Request(1, b""),
        lambda: Request(1, b"\x2b\x0d\x01\x00"),
    ],
)
def test_what_is_beyond_the_specification_is_never_sent(make):
    with pytest.raises(ValueError, match=r"expected .* got"):
        make()


class Device(Calls):
    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[bytes] = []

    async def request(self, request: Request) -> bytes:
        self.asked.append(request.pdu)
        return request.check(rtu(self.replies.pop(0)))


def test_a_device_that_identifies_itself_in_parts_is_asked_until_all_is_there():
    device = Device("2B 0E 02 82 FF 01 01 00 02 4142", "2B 0E 02 82 00 00 02 01 01 43 04 01 44")
    known = asyncio.run(device.read_device_identification(17, 2))
    assert device.asked == [b"\x2b\x0e\x02\x00", b"\x2b\x0e\x02\x01"]
    assert known == functions.DeviceIdentification(0x82, {0: b"AB", 1: b"C", 4: b"D"})
    assert (known.text("vendor_name"), known.text("product_name"), known.text("revision")) == ("AB", "D", None)


def test_a_device_that_leads_back_to_what_it_has_told_is_left():
    device = Device("2B 0E 02 82 FF 03 01 00 00", "2B 0E 02 82 FF 03 01 00 00")
    with pytest.raises(InvalidReply, match="an object after 3"):
        asyncio.run(device.read_device_identification(17, 2))


def test_every_call_sends_its_request_and_gives_what_the_reply_means():
    async def all_of_them() -> None:
        assert await Device("07 01").read_exception_status(17) == [True] + [False] * 7
        assert await Device("08 0002 1234").diagnostics(17, 2) == b"\x12\x34"
        assert (await Device("0B 0000 0001").get_comm_event_counter(17)).events == 1
        assert (await Device("0C 06 0000 0001 0002").get_comm_event_log(17)).messages == 2
        assert await Device("11 01 05").report_server_id(17) == b"\5"
        assert await Device("14 04 03 06 0007").read_file_record(17, [functions.FileRecord(1, 0, 1)]) == [[7]]
        await Device("15 09 06 0001 0000 0001 0007").write_file_record(17, [functions.FileData(1, 0, [7])])
        await Device("16 0004 00F2 0025").mask_write_register(17, 4, 0xF2, 0x25)
        assert await Device("17 02 0009").read_write_registers(17, 0, 1, 0, [1]) == [9]
        assert await Device("18 0002 0000").read_fifo_queue(17, 0) == []
        assert await Device("06 0001 0002").write_register(17, 1, 2) is None

    asyncio.run(all_of_them())


def test_custom_functions_are_taken_once_they_are_registered():
    with pytest.raises(ValueError, match="or one registered"):
        Request(17, b"\x64\1\2")
    register_function(100, reply=FixedReply(2))
    register_function(100, reply=FixedReply(2))
    register_function(101, reply=CountedReply(1))
    register_function(102, reply=EchoReply(2))
    assert Request(17, b"\x64\1\2").check(rtu("64 0304")) == b"\3\4"
    assert Request(17, b"\x65").check(rtu("65 09 02 AABB")) == b"\x09\x02\xaa\xbb"
    assert Request(17, b"\x66\1\2\3").check(rtu("66 0102")) == b"\1\2"
    for wrong in ("64 03", "64 030405", "65 0304"):
        with pytest.raises(InvalidReply):
            Request(17, b"\x64\1\2").check(rtu(wrong))
    with pytest.raises(InvalidReply, match="echo: expected 0102, got 0103"):
        Request(17, b"\x66\1\2\3").check(rtu("66 0103"))
    with pytest.raises(ValueError, match="registered already"):
        register_function(100, reply=FixedReply(3))
    with pytest.raises(ValueError, match="pdu"):
        Request(17, b"\x66\1")  # shorter than its echo


@pytest.mark.parametrize("code", [0, 128, 1, 8, 11, 17, 24, 43])
def test_a_code_of_the_specification_cannot_be_taken(code):
    with pytest.raises(ValueError, match="code: expected"):
        register_function(code, reply=FixedReply(1))


@pytest.mark.parametrize("reply", [FixedReply(0), FixedReply(253), CountedReply(252), CountedReply(-1), EchoReply(0)])
def test_a_reply_that_no_frame_holds_cannot_be_registered(reply):
    with pytest.raises(ValueError, match="reply: expected"):
        register_function(103, reply=reply)


def test_a_false_header_of_a_reply_without_known_length_holds_the_reply_up_until_the_line_is_silent():
    request, frame = functions.ReportServerId(17), rtu("11 03 42 FF 07")  # unit 17, function 17: its own false header
    assert request.find(b"\x11" + frame) == (0, None)
    assert request.find(b"\x11" + frame, last=True) == (9, b"\x42\xff\x07")
