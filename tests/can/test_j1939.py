"""J1939-21, listening only: both directions heard, nothing sent. Frames of a real GB/T 27930 bus where named so."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.can.frames import ERROR, Frame
from evcore.can.j1939 import BROADCAST, Listener, Message, TransferFault, make_id, packets_of, parse_id

MS = 1_000_000
# BCP of a real car: 13 bytes in two packets (protocol log, 3257.6 s).
BCP = [
    "1CEC56F4#100D0002FF000600",
    "1CECF456#110201FFFF000600",
    "1CEB56F4#019E01B80B4E008E",
    "1CEB56F4#02176ECA032413FF",
    "1CECF456#130D0002FF000600",
]
BCP_DATA = bytes.fromhex("9E01B80B4E008E176ECA032413")


def hear(make_frame, texts, listener=None, step=10 * MS):
    listener = listener or Listener()
    events = []
    for i, text in enumerate(texts):
        listener.receive(make_frame(text), i * step)
        events += listener.poll(i * step)
    return events


@pytest.mark.parametrize(
    ("id", "parts"),
    [
        (0x1CEC56F4, (7, 0xEC00, 0x56, 0xF4)),
        (0x081E56F4, (2, 0x1E00, 0x56, 0xF4)),
        (0x18FEF100, (6, 0xFEF1, BROADCAST, 0x00)),  # PDU2: no destination
        (0x19F00325, (6, 0x1F003, BROADCAST, 0x25)),  # data page 1
    ],
)
def test_an_identifier_is_priority_pgn_destination_and_source(id, parts):
    assert parse_id(id) == parts
    assert make_id(*parts) == id | 0x8000_0000


def test_a_transfer_of_a_real_bus_is_one_message_with_its_last_packet(make_frame):
    assert hear(make_frame, BCP) == [Message(0x0600, 0xF4, 0x56, 7, BCP_DATA)]
    assert hear(make_frame, BCP[:4]) == [Message(0x0600, 0xF4, 0x56, 7, BCP_DATA)]


def test_a_broadcast_is_heard(make_frame):
    texts = ["1CECFF21#20090002FFCAFE00", "1CEBFF21#0101020304050607", "1CEBFF21#020809FFFFFFFFFF"]
    assert hear(make_frame, texts) == [Message(0xFECA, 0x21, 0xFF, 7, bytes(range(1, 10)))]


def test_both_directions_run_at_once(make_frame):
    back = [text.replace("F456", "XXXX").replace("56F4", "F456").replace("XXXX", "56F4") for text in BCP]
    mixed = [text for pair in zip(BCP, back, strict=True) for text in pair]
    assert [(event.source, event.data) for event in hear(make_frame, mixed)] == [(0xF4, BCP_DATA), (0x56, BCP_DATA)]


def test_a_packet_asked_for_again_takes_its_place(make_frame):
    texts = [BCP[0], BCP[1], BCP[3], "1CECF456#110101FFFF000600", BCP[2]]
    lost, whole = hear(make_frame, texts)
    assert (lost.kind, lost.detail) == ("sequence", "packet 2, expected 1")
    assert whole.data == BCP_DATA


def test_a_lost_packet_of_a_broadcast_loses_the_message_and_says_so(make_frame):
    texts = ["1CECFF21#20100003FFCAFE00", "1CEBFF21#0101020304050607", "1CEBFF21#030809FFFFFFFFFF"]
    (fault,) = hear(make_frame, texts)
    assert (fault.kind, fault.pgn, fault.source) == ("sequence", 0xFECA, 0x21)


def test_a_lost_packet_shows_with_the_acknowledgement(make_frame):
    fault = hear(make_frame, [BCP[0], BCP[1], BCP[2], BCP[4]])[-1]
    assert (fault.kind, fault.detail) == ("incomplete", "acknowledged, but not heard: packet 2")


@pytest.mark.parametrize(
    ("heard", "after_ms"),
    [(1, 1250), (2, 1250), (3, 750)],  # J1939-21, 5.10.2.4: T3, T2, T1
)
def test_a_transfer_that_stops_is_told_when_its_timer_runs_out(make_frame, heard, after_ms):
    listener = Listener()
    assert hear(make_frame, BCP[:heard], listener) == []
    due = listener.next_deadline()
    assert due == (heard - 1) * 10 * MS + after_ms * MS
    assert listener.poll(due - 1) == []
    (fault,) = listener.poll(due)
    assert (fault.kind, fault.pgn) == ("timeout", 0x0600)
    assert listener.next_deadline() is None


def test_a_receiver_that_holds_gets_more_time(make_frame):
    listener = Listener()
    hear(make_frame, [BCP[0], "1CECF456#1100FFFFFF000600"], listener)
    assert listener.next_deadline() == 10 * MS + 1050 * MS


def test_an_abort_ends_it_whatever_its_reason_and_side(make_frame):
    # Reason 0xFF is outside of the list and seen on a real bus.
    for abort in ("1CEC56F4#FFFFFFFFFF000600", "1CECF456#FF03FFFFFF000600"):
        listener = Listener()
        (fault,) = hear(make_frame, [*BCP[:3], abort], listener)
        assert fault.kind == "abort"
        assert listener.next_deadline() is None
    assert "reason 3 (timeout) by 56" in fault.detail


def test_a_second_announcement_replaces_the_first(make_frame):
    events = hear(make_frame, [*BCP[:3], *BCP])
    assert [getattr(event, "kind", "message") for event in events] == ["restarted", "message"]


@pytest.mark.parametrize(
    ("announcement", "kind"),
    [
        ("1CEC56F4#10080002FF000600", "size"),  # 8 bytes need no transfer
        ("1CEC56F4#10FA06FFFF000600", "size"),  # 1786 bytes
        ("1CEC56F4#100D0003FF000600", "size"),  # 13 bytes are two packets
        ("1CEC56F4#100D0002FF0006", "length"),
        ("1CEC56F4#", "length"),
    ],
)
def test_an_impossible_announcement_is_a_fault(make_frame, announcement, kind):
    (fault,) = hear(make_frame, [announcement])
    assert fault.kind == kind


def test_packets_of_nothing_are_told_once(make_frame):
    faults = hear(make_frame, [BCP[2], BCP[3], BCP[2]])
    assert [fault.kind for fault in faults] == ["unexpected"]


def test_a_short_last_packet_is_used_and_told(make_frame):
    told, whole = hear(make_frame, [BCP[0], BCP[1], BCP[2], "1CEB56F4#02176ECA032413"])
    assert (told.kind, whole.data) == ("length", BCP_DATA)
    assert [event.kind for event in hear(make_frame, [BCP[0], BCP[1], "1CEB56F4#019E01"])] == ["length", "sequence"]


def test_unknown_control_bytes_and_foreign_frames_are_ignored(make_frame):
    assert hear(make_frame, ["1CEC56F4#1500000000000600", "123#0102"]) == []
    listener = Listener()
    listener.receive(Frame(0x2000_0004 | ERROR, bytes(8)), 0)
    assert listener.poll(0) == []


def test_no_more_transfers_than_allowed_run_at_once(make_frame):
    listener = Listener(max_transfers=3)
    faults = hear(make_frame, [f"1CEC56{source:02X}#100D0002FF000600" for source in range(5)], listener, step=0)
    assert [fault.kind for fault in faults] == ["full", "full"]


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=9, max_size=1785))
def test_a_message_of_any_length_arrives_whole(data):
    listener = Listener()
    count = -(-len(data) // 7)
    start = bytes([0x20, len(data) & 255, len(data) >> 8, count, 255, 0xCA, 0xFE, 0])
    listener.receive(Frame(make_id(7, 0xEC00, 255, 1), start), 0)
    for packet in packets_of(data):
        assert len(packet) == 8
        listener.receive(Frame(make_id(7, 0xEB00, 255, 1), packet), 0)
    assert [event.data for event in listener.poll(0)] == [data]


def test_noise_never_raises_and_never_leaves_a_deadline_in_the_past():
    source = random.Random(3)
    listener = Listener(max_transfers=8)
    controls = [0x10, 0x11, 0x13, 0x20, 0xFF, 0x42]
    now = 0
    for _ in range(20_000):
        now += source.randrange(300) * MS
        pgn, pair = source.choice([0xEC00, 0xEB00]), source.sample(range(4), 2)
        data = bytearray(source.randbytes(source.choice([8, 8, 8, source.randrange(9)])))
        if data and pgn == 0xEC00:
            data[0] = source.choice(controls)
        elif data:
            data[0] = source.randrange(5)
        listener.receive(Frame(make_id(7, pgn, *pair), bytes(data)), now)
        for event in listener.poll(now):
            assert isinstance(event, (Message, TransferFault))
        due = listener.next_deadline()
        assert due is None or due > now
