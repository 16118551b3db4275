"""Two nodes on a line that can lose frames; the listener beside them hears what they agree on."""

from __future__ import annotations

import random

import pytest

from evcore.can.frames import Frame
from evcore.can.j1939 import Listener, Message, TransferFault, make_id, parse_id
from evcore.can.j1939_node import Node

MS = 1_000_000
CAR, CHARGER = 0xF4, 0x56


class Line:
    """Carries frames between the nodes and the listener, each 1 ms later; `lose` says which never arrive."""

    def __init__(self, *nodes, lose=lambda frame: False):
        self.nodes, self.lose = nodes, lose
        self.ear, self.heard, self.frames, self.now = Listener(), [], [], 0
        self.events = {node.address: [] for node in nodes}

    def run(self, until: int):
        while self.now <= until:
            for node in self.nodes:
                self.events[node.address] += node.poll(self.now)
            sent = [frame for node in self.nodes for frame in node.to_send()]
            if not sent:
                due = [node.next_deadline() for node in self.nodes]
                self.now = max(self.now + 1, min([d for d in due if d is not None], default=until + 1))
                continue
            self.now += MS
            for frame in sent:
                self.frames.append(frame)
                if not self.lose(frame):
                    for receiver in (*self.nodes, self.ear):
                        receiver.receive(frame, self.now)
            self.heard += self.ear.poll(self.now)

    def texts(self):
        return [str(frame) for frame in self.frames]


@pytest.mark.parametrize("size", [0, 8, 9, 13, 49, 1785])
def test_a_message_arrives_at_the_node_and_at_the_listener(size):
    car, charger = Node(CAR), Node(CHARGER)
    line = Line(car, charger)
    data = bytes(i & 255 for i in range(size))
    car.send(0x1100, data, 0, destination=CHARGER, priority=7)
    line.run(5000 * MS)
    assert line.events == {CAR: [], CHARGER: [Message(0x1100, CAR, CHARGER, 7, data)]}
    assert line.heard == line.events[CHARGER]


def test_the_frames_of_a_transfer_are_those_of_a_real_bus():
    car, charger = Node(CAR), Node(CHARGER)
    line = Line(car, charger)
    car.send(0x0600, bytes.fromhex("9E01B80B4E008E176ECA032413"), 0, destination=CHARGER)
    line.run(1000 * MS)
    assert line.texts() == [
        "1CEC56F4#100D0002FF000600",
        "1CECF456#110201FFFF000600",
        "1CEB56F4#019E01B80B4E008E",
        "1CEB56F4#02176ECA032413FF",
        "1CECF456#130D0002FF000600",
    ]


def test_a_window_smaller_than_the_message_is_asked_for_piece_by_piece():
    car, charger = Node(CAR), Node(CHARGER, window=3)
    line = Line(car, charger)
    car.send(0x0200, bytes(49), 0, destination=CHARGER)
    line.run(1000 * MS)
    asked = [frame.data[1:3] for frame in line.frames if frame.data[0] == 0x11]
    assert asked == [b"\x03\x01", b"\x03\x04", b"\x01\x07"]
    assert [event.data for event in line.events[CHARGER]] == [bytes(49)]


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_lost_packet_is_asked_for_again(lost):
    gone = []

    def lose(frame: Frame) -> bool:
        if parse_id(frame.id).pgn == 0xEB00 and frame.data[0] == lost and not gone:
            gone.append(frame)
            return True
        return False

    car, charger = Node(CAR), Node(CHARGER)
    line = Line(car, charger, lose=lose)
    car.send(0x0200, bytes(range(49)), 0, destination=CHARGER)
    line.run(10_000 * MS)
    assert [event.data for event in line.events[CHARGER] if isinstance(event, Message)] == [bytes(range(49))]
    assert line.events[CAR] == []


def test_a_packet_that_never_comes_ends_in_an_abort_on_both_sides():
    car, charger = Node(CAR), Node(CHARGER)
    line = Line(car, charger, lose=lambda frame: parse_id(frame.id).pgn == 0xEB00 and frame.data[0] == 3)
    car.send(0x0200, bytes(49), 0, destination=CHARGER)
    line.run(20_000 * MS)
    assert line.frames[-1].data[0] == 0xFF
    assert [type(event) for event in line.events[CAR]] == [TransferFault]
    assert [type(event) for event in line.events[CHARGER]] == [TransferFault]
    assert car.next_deadline() is charger.next_deadline() is None


def test_nobody_there_is_a_timeout_after_t3_and_the_next_message_goes_on():
    car = Node(CAR)
    line = Line(car)
    car.send(0x0200, bytes(49), 0, destination=CHARGER)
    car.send(0x0600, bytes(13), 0, destination=CHARGER)
    line.run(1249 * MS)
    assert line.events[CAR] == []
    line.run(1260 * MS)
    (fault,) = line.events[CAR]
    assert (fault.kind, fault.pgn) == ("timeout", 0x0200)
    assert [frame.data[0] for frame in line.frames] == [0x10, 0xFF, 0x10]


def test_a_broadcast_keeps_50_ms_between_packets():
    car, charger = Node(CAR), Node(CHARGER)
    line = Line(car, charger)
    car.send(0xFECA, bytes(20), 0)
    line.run(149 * MS)
    assert line.events[CHARGER] == []
    line.run(200 * MS)
    assert [event.data for event in line.events[CHARGER]] == [bytes(20)]


def test_a_pause_between_packets_is_kept():
    car, charger = Node(CAR, gap_ns=10 * MS), Node(CHARGER)
    line = Line(car, charger)
    car.send(0x0200, bytes(49), 0, destination=CHARGER)
    line.run(50 * MS)
    assert line.events[CHARGER] == []
    line.run(100 * MS)
    assert len(line.events[CHARGER]) == 1


def test_too_many_waiting_messages_lose_the_oldest_and_say_so():
    car = Node(CAR)
    for number in range(20):
        car.send(0x0200, bytes([number]) * 9, 0, destination=CHARGER)
    assert [event.kind for event in car.poll(0)] == ["full"] * 3
    with pytest.raises(ValueError, match="1785"):
        car.send(0x0200, bytes(1786), 0, destination=CHARGER)


def test_what_is_for_others_and_an_echo_of_its_own_are_ignored():
    car = Node(CAR)
    car.receive(Frame(make_id(6, 0x2600, 0x57, CHARGER), b"\x01\x01\x00"), 0)
    car.receive(Frame(make_id(6, 0x2700, CAR, CAR), b"\x01\x01"), 0)
    car.receive(Frame(make_id(7, 0xEC00, CAR, CHARGER), bytes(3)), 0)
    assert [event.kind for event in car.poll(0)] == ["length"]


def test_any_loss_on_the_line_ends_without_an_error_and_without_a_wrong_message():
    source = random.Random(11)
    for _ in range(150):
        car, charger = Node(CAR, window=source.choice([1, 2, 255])), Node(CHARGER, window=source.choice([1, 3, 255]))
        line = Line(car, charger, lose=lambda frame: source.random() < 0.15)
        sent = [source.randbytes(source.randrange(9, 100)) for _ in range(3)]
        for data in sent:
            car.send(0x0200, data, 0, destination=CHARGER)
            charger.send(0x1200, data, 0, destination=CAR)
        line.run(60_000 * MS)
        for address in (CAR, CHARGER):
            arrived = [event.data for event in line.events[address] if isinstance(event, Message)]
            assert set(arrived) <= set(sent)
        assert car.next_deadline() is charger.next_deadline() is None
