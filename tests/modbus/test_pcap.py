"""A capture of another implementation's traffic: every frame is read, each reply belongs to its request."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from evcore.core.modbus import ReadRequest, Request, tcp_size
from evcore.errors import InvalidReply, ModbusException

KNOWN = {1, 2, 3, 4, 5, 6, 15, 16, 22, 23}


def segments(file: Path) -> Iterator[tuple[tuple[int, int], bytes]]:
    """((source port, destination port), payload) of each TCP packet, by hand: pcap, Ethernet, IPv4, TCP."""
    data = file.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at < len(data):
        size = struct.unpack_from(order + "4I", data, at)[2]
        packet = data[at + 16 : at + 16 + size]
        at += 16 + size
        if packet[12:14] != b"\x08\x00" or packet[23] != 6:
            continue
        ip = packet[14:]
        tcp = ip[(ip[0] & 15) * 4 : int.from_bytes(ip[2:4], "big")]
        payload = tcp[(tcp[12] >> 4) * 4 :]
        if payload:
            yield struct.unpack_from(">HH", tcp), payload


@pytest.fixture
def adus(shared_data) -> list[tuple[bool, bytes]]:
    """(is a request, frame), in order."""
    found, streams = [], {}
    for ports, payload in segments(shared_data / "modbus" / "modbus_example.pcap"):
        stream = streams.setdefault(ports, bytearray())
        stream += payload
        while size := tcp_size(stream):
            found.append((ports[1] == 502, bytes(stream[:size])))
            del stream[:size]
    assert all(not rest for rest in streams.values())
    return found


def test_each_of_the_48_frames_has_its_boundary_in_its_header(adus):
    assert len(adus) == 48
    assert sum(is_request for is_request, _ in adus) == 24


def test_each_reply_answers_its_own_request_and_no_other(adus):
    asked: dict[int, Request] = {}
    answered = refused = strangers = 0
    for is_request, adu in adus:
        transaction, unit, pdu = int.from_bytes(adu[:2], "big"), adu[6], adu[7:]
        if is_request:
            if pdu[0] in KNOWN:
                request = Request(unit, pdu)
                assert request.to_tcp(transaction) == adu
                asked[transaction] = request
            continue
        if transaction not in asked:
            continue
        request = asked.pop(transaction)
        try:
            data = request.check_tcp(adu, transaction)
        except ModbusException:
            refused += 1
            continue
        answered += 1
        assert adu.endswith(data)
        for other in asked.values():
            with pytest.raises((InvalidReply, ModbusException)):
                other.check_tcp(adu, transaction)
            strangers += 1
        with pytest.raises(InvalidReply):
            ReadRequest(unit ^ 1, 3, 0, 1).check_tcp(adu, transaction)
    assert answered + refused >= 10
    assert not asked
