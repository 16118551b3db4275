"""The bus in virtual time: windows, order, circuits, late replies, echo. Whatever a peer does, a request ends once."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.core.modbus import ReadRequest, Request, WriteRequest, crc16
from evcore.errors import LinkError, ModbusException, ModbusTimeout
from evcore.modbus.bus import Bus
from evcore.modbus.client import Answered, Broken, Failed
from evcore.sim import VirtualClock

MS = 1_000_000
S = 1000 * MS


def read(address: int = 0, unit: int = 1, count: int = 1) -> ReadRequest:
    return ReadRequest(unit, 3, address, count)


def answer_tcp(frame: bytes) -> bytes:
    """The reply to a read of holding registers: each register holds its address."""
    address, count = int.from_bytes(frame[8:10], "big"), int.from_bytes(frame[10:12], "big")
    data = b"".join((address + i).to_bytes(2, "big") for i in range(count))
    return frame[:4] + (3 + len(data)).to_bytes(2, "big") + frame[6:8] + bytes([len(data)]) + data


def answer_rtu(frame: bytes) -> bytes:
    if frame[1] != 3:
        body = frame[:6]
    else:
        address, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        data = b"".join((address + i).to_bytes(2, "big") for i in range(count))
        body = frame[:2] + bytes([len(data)]) + data
    return body + crc16(body).to_bytes(2, "little")


def right(event: Answered) -> bool:
    request = event.request
    wanted = b"".join((request.address + i).to_bytes(2, "big") for i in range(len(event.data) // 2))
    return request.function != 3 or event.data == wanted


class Peer:
    """A device or line in virtual time. answer(frame, now) -> (when, bytes)s."""

    def __init__(self, answer):
        self.answer, self.out, self.now, self.asked = answer, [], 0, []

    def receive(self, frame, now):
        self.asked.append((now, frame))
        for order, (when, data) in enumerate(self.answer(frame, now)):
            heapq.heappush(self.out, (when, len(self.asked), order, data))

    def poll(self, now):
        self.now = now
        return []

    def to_send(self):
        due = []
        while self.out and self.out[0][0] <= self.now:
            due.append(heapq.heappop(self.out)[-1])
        return due

    def next_deadline(self):
        return self.out[0][0] if self.out else None


def drive(bus: Bus, answer) -> tuple[VirtualClock, Peer, list]:
    clock, peer, events = VirtualClock(), Peer(answer), []
    clock.add(bus, events.append)
    clock.add(peer)
    clock.connect(bus, peer)
    clock.connect(peer, bus)
    return clock, peer, events


def test_the_window_is_probed_up_and_replies_may_come_in_any_order():
    chance = random.Random(1)
    bus = Bus("tcp")
    clock, _, events = drive(bus, lambda frame, now: [(now + chance.randrange(1, 20) * MS, answer_tcp(frame))])
    ids = [bus.submit(read(i), 0) for i in range(200)]
    clock.advance(20 * S)
    assert sorted(event.id for event in events) == ids
    assert all(isinstance(event, Answered) and right(event) for event in events)
    assert bus.statistics(clock.now).window == 16
    assert bus.counters.sent == 200


def test_a_device_that_answers_only_the_last_of_a_burst_loses_nothing_and_is_asked_one_by_one_for_good():
    bus = Bus("tcp", retries=0)
    clock, peer, events = drive(bus, lambda frame, now: [(now + MS, frame)])
    send = peer.to_send

    def only_the_last():
        due = send()
        return [answer_tcp(due[-1])] if due else []

    peer.to_send = only_the_last
    ids = [bus.submit(read(i), 0) for i in range(30)]
    clock.advance(20 * S)
    assert sorted(event.id for event in events) == ids
    assert all(isinstance(event, Answered) and right(event) for event in events)
    assert bus.statistics(clock.now).window == 1
    assert bus.counters.timeouts == 1
    bus.lost(clock.now, "closed")
    assert bus.statistics(clock.now).window == 1


def test_a_given_window_is_kept_to():
    bus = Bus("tcp", window=4)
    for i in range(10):
        bus.submit(read(i), 0)
    bus.poll(0)
    assert len(bus.to_send()) == 4
    for wrong in (0, 17, "many", 1.5):
        with pytest.raises(ValueError, match="window"):
            Bus("tcp", window=wrong)


def test_a_write_is_never_under_way_together_with_another_request_to_its_unit():
    bus = Bus("tcp", window=8)
    bus.submit(read(0), 0)
    bus.submit(WriteRequest(1, 6, 0, [1]), 0)
    bus.submit(read(0, unit=2), 0)
    bus.poll(0)
    assert [frame[6] for frame in bus.to_send()] == [1, 2]
    bus.receive(answer_tcp(read(0).to_tcp(1)), MS)
    bus.poll(MS)
    assert [frame[7] for frame in bus.to_send()] == [6]


def test_writes_go_before_reads_but_a_read_waits_no_longer_than_its_patience():
    bus = Bus("rtu", timeout_s=1)
    clock, peer, events = drive(bus, lambda frame, now: [(now + 40 * MS, answer_rtu(frame))])
    bus.submit(read(0), 0)
    reads = [bus.submit(read(i, unit=2), 0) for i in range(3)]

    def write() -> None:
        bus.submit(WriteRequest(3, 6, 0, [1]), clock.now)
        clock.at(clock.now + 20 * MS, write)

    clock.at(1, write)
    clock.advance(2 * S)
    assert peer.asked[1][1][1] == 6
    done = [event.id for event in events]
    assert set(reads) <= set(done)
    assert all(isinstance(event, Answered) for event in events)


def test_who_queues_many_does_not_shut_others_out():
    bus = Bus("rtu")
    _, peer, _ = drive(bus, lambda frame, now: [])
    for i in range(100):
        bus.submit(read(i), 0)
    bus.submit(read(0, unit=2), MS)
    clock, peer, _ = drive(bus, lambda frame, now: [(now + 10 * MS, answer_rtu(frame))])
    bus.receive(answer_rtu(read(0).to_rtu()), 20 * MS)
    clock.advance(S)
    assert 2 in [frame[0] for _, frame in peer.asked[:4]]


def test_a_dead_unit_fails_at_once_but_for_one_probe_a_period_and_comes_back_with_its_first_reply():
    alive = False
    bus = Bus("rtu", timeout_s=0.1, retries=1)
    clock, peer, events = drive(bus, lambda frame, now: [(now + MS, answer_rtu(frame))] if alive else [])
    for _ in range(2000):
        bus.submit(read(0), clock.now)
        clock.advance(50 * MS)
    assert all(isinstance(event, Failed) and isinstance(event.error, ModbusTimeout) for event in events)
    assert "circuit open" in str(events[-1].error)
    assert len(peer.asked) < 12  # of 2000, in 100 s: 4, then at 1, 2, 4, ... 30 s
    alive = True
    bus.forget(1)
    bus.submit(read(7), clock.now)
    clock.advance(S)
    assert isinstance(events[-1], Answered)
    assert not bus.statistics(clock.now).units[1].circuit_open


def test_one_dead_one_slow_and_one_noisy_among_ten_and_the_other_seven_keep_their_period():
    chance = random.Random(4)

    def answer(frame, now):
        reply, unit = answer_rtu(frame), frame[0]
        if unit == 8:
            return []
        if unit == 9:  # around the time-out
            return [(now + chance.randrange(90, 130) * MS, reply)]
        if unit == 10 and chance.random() < 0.5:
            at = chance.randrange(len(reply))
            return [(now + 15 * MS, reply[:at] + bytes([reply[at] ^ 0x10]) + reply[at + 1 :])]
        return [(now + 15 * MS, reply)]

    bus = Bus("rtu", baudrate=115200, timeout_s=0.1, retries=1)
    clock, _, events = drive(bus, answer)
    got: dict[int, list[int]] = {unit: [] for unit in range(1, 11)}

    def poll(unit: int) -> None:
        bus.submit(read(0, unit=unit, count=20), clock.now)
        clock.at(clock.now + S, lambda: poll(unit))

    seen = 0
    for unit in range(1, 11):
        clock.at(unit, lambda unit=unit: poll(unit))
    for _ in range(6000):
        clock.advance(10 * MS)
        for event in events[seen:]:
            if isinstance(event, Answered):
                assert right(event)
                got[event.request.unit].append(clock.now)
        seen = len(events)
    for unit in range(1, 8):
        assert len(got[unit]) >= 59
        gaps = [after - before for before, after in zip(got[unit], got[unit][1:], strict=False)]
        assert max(gaps) < 1.6 * S, (unit, max(gaps))
    assert len(got[10]) > 30
    assert bus.statistics(clock.now).units[8].circuit_open


@pytest.mark.parametrize("code", [5, 6])
def test_a_busy_device_is_asked_again_later_and_not_for_ever(code):
    busy = 3

    def answer(frame, now):
        nonlocal busy
        busy -= 1
        refusal = frame[:4] + b"\0\3" + frame[6:7] + bytes([0x83, code])
        return [(now + MS, refusal if busy >= 0 else answer_tcp(frame))]

    bus = Bus("tcp", retries=0)
    clock, peer, events = drive(bus, answer)
    bus.submit(read(3), 0)
    clock.advance(10 * S)
    assert [type(event) for event in events] == [Answered]
    assert peer.asked[1][0] - peer.asked[0][0] >= 100 * MS
    busy = 1000
    bus.submit(read(3), clock.now)
    clock.advance(10 * S)
    assert isinstance(events[-1].error, ModbusException)
    assert bus.counters.busy == 3 + 5


def test_an_echo_never_confirms_a_write_on_a_line_known_to_echo():
    dead = False
    bus = Bus("rtu", timeout_s=0.1, retries=0)

    def answer(frame, now):
        return [(now + MS, frame)] + ([] if dead else [(now + 30 * MS, answer_rtu(frame))])

    clock, _, events = drive(bus, answer)
    write = WriteRequest(1, 6, 4, [9])
    for request in (read(0), write):
        bus.submit(request, clock.now)
        clock.advance(S)
    assert [type(event) for event in events] == [Answered, Answered]
    dead = True
    for request in (read(0), write):
        bus.submit(request, clock.now)
        clock.advance(S)
    assert [type(event.error) for event in events[2:]] == [ModbusTimeout, ModbusTimeout]
    told = Bus("rtu", timeout_s=0.1, retries=0, echo=True)
    clock, _, events = drive(told, answer)
    told.submit(write, 0)
    clock.advance(S)
    assert [type(event.error) for event in events] == [ModbusTimeout]


def test_after_a_timeout_another_count_is_asked_at_once_and_the_same_only_after_the_quarantine():
    bus = Bus("rtu+tcp", timeout_s=0.1, retries=0)
    bus.submit(read(0), 0)
    bus.submit(read(50), 0)
    bus.submit(read(60, count=2), 0)
    bus.to_send()
    bus.poll(100 * MS)
    assert bus.to_send() == [read(60, count=2).to_rtu()]
    late, own = answer_rtu(read(0).to_rtu()), answer_rtu(read(60, count=2).to_rtu())
    bus.receive(late + own, 120 * MS)
    (event,) = bus.poll(120 * MS)
    assert right(event)
    assert bus.counters.late == 1
    assert bus.to_send() == [read(50).to_rtu()]  # what was owed has come


def test_the_line_is_drained_for_as_long_as_the_unit_has_ever_taken():
    bus = Bus("rtu+tcp", timeout_s=0.1, retries=0)
    bus.submit(read(0), 0)
    bus.poll(100 * MS)
    bus.receive(answer_rtu(read(0).to_rtu()), 150 * MS)  # late: 150 ms
    bus.submit(read(1), 200 * MS)
    bus.submit(read(1, unit=2), 200 * MS)
    bus.poll(300 * MS)
    bus.to_send()
    assert bus.next_deadline() == 350 * MS
    bus.poll(350 * MS)
    assert bus.to_send() == [read(1, unit=2).to_rtu()]


def test_a_late_refusal_is_not_taken_for_that_of_another_request():
    bus = Bus("rtu+tcp", timeout_s=0.1, retries=0)
    bus.submit(read(0), 0)
    bus.submit(read(50, count=2), 0)
    bus.poll(100 * MS)
    body = b"\x01\x83\x02"
    bus.receive(body + crc16(body).to_bytes(2, "little"), 110 * MS)
    assert bus.poll(110 * MS) == []
    bus.receive(answer_rtu(read(50, count=2).to_rtu()), 120 * MS)
    (event,) = bus.poll(120 * MS)
    assert right(event)


def test_spacing_and_the_rest_after_connecting_are_kept():
    bus = Bus("tcp", spacing_s=0.05, connect_delay_s=0.2)
    bus.opened(0)
    clock, peer, events = drive(bus, lambda frame, now: [(now + MS, answer_tcp(frame))])
    for i in range(3):
        bus.submit(read(i), 0)
    bus.tune(2, spacing_s=0, timeout_s=3, retries=0)
    clock.advance(S)
    times = [when for when, _ in peer.asked]
    assert times == [200 * MS, 251 * MS, 302 * MS]
    assert len(events) == 3


def test_statistics_tell_latencies_and_how_busy_the_line_is():
    bus = Bus("tcp")
    bus.opened(0)
    clock, _, _ = drive(bus, lambda frame, now: [(now + 10 * MS, answer_tcp(frame))])
    for _ in range(10):
        bus.submit(read(0), clock.now)
        clock.advance(100 * MS)
    told = bus.statistics(clock.now)
    assert told.utilisation == pytest.approx(0.1)
    assert told.units[1].answered == sum(told.units[1].latency) == 10
    assert told.units[1].worst_s == told.units[1].latency_s(0.5) == pytest.approx(0.01)


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["good", "good", "good", "none", "late", "twice", "noise", "flip", "other", "refuse", "busy"]),
        st.integers(1, 2500),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=120, deadline=None)
@given(
    framing=st.sampled_from(["tcp", "rtu", "rtu+tcp"]),
    faults=FAULTS,
    asked=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 60), st.integers(1, 3)), min_size=1, max_size=30),
    window=st.sampled_from([1, 4, "auto"]),
    retries=st.integers(0, 2),
)
def test_whatever_the_peer_does_each_request_ends_once_in_bounded_time_and_nothing_wrong_is_delivered(
    framing, faults, asked, window, retries
):
    step = 0

    def answer(frame, now):
        nonlocal step
        kind, after = faults[step % len(faults)]
        step += 1
        reply = answer_tcp(frame) if framing == "tcp" else answer_rtu(frame)
        at = now + 5 * MS
        match kind:
            case "none":
                return []
            case "late":  # within what the quarantine covers
                return [(now + (100 + after % 90) * MS, reply)]
            case "twice" if framing == "tcp":  # a serial device that does is beyond what can be told
                return [(at, reply), (at + after * MS // 10, reply)]
            case "noise" if framing != "tcp":
                return [(at, bytes([after % 256]) + reply)]
            case "flip" if framing != "tcp":
                return [(at, bytes([*reply[:-1], reply[-1] ^ 1]))]
            case "other":
                if framing == "tcp":
                    return [(at, b"\0\0" + reply[2:])]
                return [(at, answer_rtu(bytes([9]) + frame[1:]))]
            case "refuse" | "busy":
                code = 2 if kind == "refuse" else 6
                if framing == "tcp":
                    return [(at, frame[:4] + b"\0\3" + frame[6:7] + bytes([0x83, code]))]
                body = bytes([frame[0], 0x83, code])
                return [(at, body + crc16(body).to_bytes(2, "little"))]
        return [(at, reply)]

    bus = Bus(framing, timeout_s=0.1, retries=retries, window=window)
    clock, _, events = drive(bus, answer)
    ids = []
    for i, (unit, address, count) in enumerate(asked):
        request: Request = read(address, unit, count)
        clock.at(i * 7 * MS, lambda request=request: ids.append(bus.submit(request, clock.now)))
    clock.advance(len(asked) * 10 * S)
    assert not any(isinstance(event, Broken) for event in events)
    assert sorted(event.id for event in events) == sorted(ids)
    assert all(right(event) for event in events if isinstance(event, Answered))
    assert bus.next_deadline() is None
    bus.submit(read(0), clock.now)
    bus.lost(clock.now, "unplugged")
    assert [type(event.error) for event in bus.poll(clock.now)] == [LinkError]
