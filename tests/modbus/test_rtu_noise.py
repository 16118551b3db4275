"""Replies on a bad line, against a reference finder that is written separately: plainly, from the reply formats of the
MODBUS Application Protocol V1.1b3 and bit-by-bit CRC, and with no regard for speed."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.core.modbus import ReadRequest, Request, WriteRequest, crc16
from evcore.errors import InvalidReply, ModbusException
from evcore.modbus.client import Answered, Failed, Master


def slow_crc(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def reference(line: bytes, request: Request) -> tuple[int, bytes | int] | None:
    """(end, data bytes or exception code) of the first reply in all that was heard."""
    pdu = request.pdu
    count = int.from_bytes(pdu[3:5], "big")
    if pdu[0] <= 4:
        size = (count + 7) // 8 if pdu[0] <= 2 else 2 * count
        good = bytes([request.unit, pdu[0], size])
    else:
        good, size = bytes([request.unit]) + pdu[:5], 0
    bad = bytes([request.unit, pdu[0] | 0x80])
    for start in range(len(line)):
        for header, length in ((good, len(good) + size + 2), (bad, 5)):
            frame = line[start : start + length]
            if len(frame) < length or not frame.startswith(header):
                continue
            if slow_crc(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
                outcome = frame[2] if header is bad else frame[3:-2] if pdu[0] <= 4 else frame[2:-2]
                return start + length, outcome
    return None


REQUESTS = [
    ReadRequest(1, 3, 0, 2),
    ReadRequest(3, 3, 0, 1),
    ReadRequest(2, 2, 0, 9),
    ReadRequest(247, 4, 100, 125),
    ReadRequest(4, 1, 5, 40),
    WriteRequest(6, 6, 0x0606, [0x0606]),
    WriteRequest(5, 5, 5, [True]),
    WriteRequest(16, 16, 0x1010, [1, 2]),
]


def reply_to(request: Request, chance: random.Random) -> bytes:
    pdu = request.pdu
    if chance.random() < 0.1:
        body = bytes([request.unit, pdu[0] | 0x80, chance.choice([1, 2, 3, 4, 6, 11])])
    elif pdu[0] <= 4:
        size = request.reply_size - 5
        # Registers made of header bytes and of small ones: what looks like a frame inside of a frame.
        data = bytes(chance.choice([request.unit, pdu[0], size, 0, chance.randrange(256)]) for _ in range(size))
        body = bytes([request.unit, pdu[0], size]) + data
    else:
        body = bytes([request.unit]) + pdu[:5]
    return body + crc16(body).to_bytes(2, "little")


def mutate(frame: bytes, chance: random.Random) -> bytes:
    data = bytearray(frame)
    for _ in range(chance.choice([0, 1, 1, 2, 3, 8])):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at:at] = bytes([chance.choice([0, 0xFF, frame[0], frame[1], chance.randrange(256)])])
            case 2 if len(data) > 1 and at < len(data):
                del data[at]
            case 3:
                data[at:at] = frame[: chance.randrange(len(frame))]
            case _:
                del data[at + 1 :]
    return bytes(data)


def test_20000_spoilt_lines_are_read_as_the_reference_reads_them():
    chance = random.Random(20261123)
    found = refused = 0
    for _ in range(20_000):
        request = chance.choice(REQUESTS)
        noise = bytes(chance.randrange(256) for _ in range(chance.choice([0, 0, 1, 3, 9])))
        line = noise + mutate(reply_to(request, chance), chance)
        if chance.random() < 0.3:
            line += reply_to(request, chance)
        expected = reference(line, request)
        used, outcome = request.find(line, True)
        if expected is None:
            assert outcome is None, line.hex()
        else:
            assert used == expected[0], line.hex()
            assert (outcome.code if isinstance(outcome, ModbusException) else outcome) == expected[1], line.hex()
            found += 1
            refused += isinstance(outcome, ModbusException)
    assert found > 8_000
    assert refused > 500


@settings(max_examples=150)
@given(
    index=st.integers(0, len(REQUESTS) - 1),
    seed=st.integers(0, 2**32),
    before=st.binary(max_size=40),
    after=st.binary(max_size=10),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_the_master_finds_every_reply_in_any_pieces_with_garbage_around_it(index, seed, before, after, cuts):
    request = REQUESTS[index]
    line = before + reply_to(request, random.Random(seed)) + after
    expected = reference(line, request)
    assert expected is not None
    master = Master("rtu")
    master.submit(request, 0)
    master.poll(0)
    edges = [0, *sorted(cut for cut in cuts if cut < len(line)), len(line)]
    for i, (begin, end) in enumerate(itertools.pairwise(edges)):
        master.receive(line[begin:end], i + 1)
    (event,) = master.poll(100) or master.poll(master.next_deadline())
    if isinstance(event, Answered):
        assert event.data == expected[1]
    else:
        assert isinstance(event, Failed)
        assert isinstance(event.error, ModbusException)
        assert event.error.code == expected[1]


def test_a_reply_damaged_in_up_to_three_bits_or_one_burst_of_16_is_never_accepted():
    chance = random.Random(7)
    for _ in range(10_000):
        request = chance.choice(REQUESTS[:4])
        frame = reply_to(request, chance)
        value = int.from_bytes(frame, "big")
        bits = 8 * len(frame)
        if chance.random() < 0.5:
            for bit in chance.sample(range(bits), chance.randint(1, 3)):
                value ^= 1 << bit
        else:
            width = chance.randint(1, 16)
            burst = chance.randrange(1 << width) | 1 | 1 << (width - 1)
            value ^= burst << chance.randrange(bits - width + 1)
        spoilt = value.to_bytes(len(frame), "big")
        with pytest.raises(InvalidReply):
            request.check(spoilt)


def test_time_grows_with_the_length_of_the_noise_only():
    """The worst noise is one header after the other; ten times as much of it is not a hundred times the work."""
    request = ReadRequest(1, 3, 0, 125)

    def seconds(n: int) -> float:
        noise = b"\x01\x03\xfa" * n
        best = 1e9
        for _ in range(5):
            begin = time.perf_counter()
            assert request.find(noise, True)[1] is None
            best = min(best, time.perf_counter() - begin)
        return best

    assert seconds(20_000) < 40 * seconds(2_000)
