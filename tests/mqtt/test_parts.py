"""The parts that need no broker: topics, packets, delays, the socket that collects."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.backends.mqtt_delay import Delay
from evcore.backends.mqtt_link import Link
from evcore.backends.mqtt_packets import AckFilter, correlation_property, expiry_property, put_publish, topic_head
from evcore.backends.mqtt_publisher import Message, Publisher
from evcore.backends.mqtt_topics import Topics, decode_id, encode_id
from evcore.errors import LinkError
from evcore.local import LocalHub
from evcore.model import Event, Sample, Session, Station

TOPICS = Topics("my/site", "n1")


@given(st.text(alphabet=st.characters(codec=None), max_size=30))
def test_every_id_becomes_one_topic_level_and_comes_back(id):
    level = encode_id(id)
    assert decode_id(level) == id
    assert not set(level) & set("#+/$\0")
    level.encode("ascii")


def test_ids_read_as_they_are_where_mqtt_allows_it():
    assert encode_id("CP-1_a.b*c=d:e|f@g") == "CP-1_a.b*c=d:e|f@g"
    assert encode_id("a+b/c#d%e$f\0ü ") == "a%2Bb%2Fc%23d%25e%24f%00%C3%BC%20"


@given(st.text(max_size=20), st.sampled_from(["reset", "unlock"]))
def test_a_command_topic_is_read_back(target, name):
    topic = f"{TOPICS.root}/{encode_id(target)}/cmd/{name}"
    assert TOPICS.parse_command(topic) == (target, name)


@pytest.mark.parametrize(
    "topic", ["", "evcore", "evcore/v1/my%2Fsite", "evcore/v1/my%2Fsite/CP/cmd", "evcore/v1/other/CP/cmd/x",
              "evcore/v1/my%2Fsite/CP/cmd/x/y", "evcore/v1/my%2Fsite/CP/rsp/x"]
)  # fmt: skip
def test_another_topic_is_no_command(topic):
    assert TOPICS.parse_command(topic) is None


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200))
def test_percentiles_are_at_most_a_quarter_too_high_and_never_too_low(delays):
    delay = Delay()
    for value in delays:
        delay.add(value)
    summary = delay.summary()
    ordered = sorted(delays)
    for share, got in ((0.5, summary.p50), (0.99, summary.p99)):
        exact = ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
        assert exact <= got <= exact * 1.25 + 1
    assert (summary.count, summary.max) == (len(delays), max(delays))


def test_a_clock_that_is_ahead_counts_as_no_delay():
    delay = Delay()
    delay.add(-5)
    assert delay.summary().max == 0


def test_a_publish_is_packed_as_the_standard_says():
    out = bytearray()
    # MQTT 5.0, 3.3: type 3, QoS 0; length 15; topic "a/b"; 5 bytes of properties, message expiry interval 60; payload.
    put_publish(out, 0, topic_head("a/b") + expiry_property(60), b"1234")
    assert out == bytes.fromhex("30 0f 0003 612f62 05 02 0000003c 31323334")
    out.clear()
    # QoS 1, retain, packet id 0x4001, no properties; 300 bytes of payload make a length of two bytes: 308 = 0xb4 0x02.
    put_publish(out, 3, topic_head("a/b") + b"\x40\x01" + correlation_property(None), b"x" * 300)
    assert out == bytes.fromhex("33 b402 0003 612f62 4001 00") + b"x" * 300
    assert correlation_property(b"ab") == bytes.fromhex("05 09 0002 6162")
    assert correlation_property(b"x" * 200)[:5] == bytes.fromhex("cb01 09 00c8")


def test_a_topic_that_is_too_long_is_refused():
    assert len(topic_head("x" * 65535)) == 65537
    with pytest.raises(ValueError, match="65535"):
        topic_head("x" * 65536)


# PUBACKs of 3.1.1, of 5 with a reason, with a reason string (MQTT 5.0, 3.4); a PINGRESP, a SUBACK, a long PUBLISH.
STREAM = [
    (bytes.fromhex("40 02 4001"), (0x4001, 0)),
    (bytes.fromhex("d0 00"), None),
    (bytes.fromhex("40 03 4002 10"), (0x4002, 0x10)),
    (bytes.fromhex("90 03 0001 01"), None),
    (bytes.fromhex("40 09 4003 87 05 1f 0002 6e6f"), (0x4003, 0x87)),
    (bytes.fromhex("30 ac02 0001 61") + bytes(297), None),
    (bytes.fromhex("40 02 0000"), (0, 0)),
]


@given(st.permutations(STREAM), st.lists(st.integers(1, 40), max_size=60))
def test_pubacks_are_taken_out_of_the_stream_however_it_is_cut(packets, cuts):
    stream = b"".join(packet for packet, _ in packets)
    acks, rest, passed = AckFilter(), [], b""
    for cut in [*cuts, len(stream)]:
        got, found = acks.feed(stream[:cut])
        passed, stream = passed + got, stream[cut:]
        rest += found
    assert rest == [ack for _, ack in packets if ack is not None]
    assert passed == b"".join(packet for packet, ack in packets if ack is None)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_whatever_bytes_come_the_filter_invents_and_hoards_none(pieces):
    acks = AckFilter()
    passed = b"".join(acks.feed(piece)[0] for piece in pieces)
    stream = iter(b"".join(pieces))
    assert all(byte in stream for byte in passed), "a byte that never came, or in another order"


@pytest.mark.parametrize("bad", ["40 01 00", "40 00", "40 ffffffff", "40 ffff7f", "ff ffffffffff"])
def test_what_is_no_packet_is_left_to_paho_with_all_that_follows(bad):
    stream = bytes.fromhex(bad) + bytes.fromhex("40 02 4001")
    assert AckFilter().feed(stream) == (stream, [])


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


def test_a_full_socket_refuses_beyond_the_high_water_and_loses_nothing(pair):
    near, far = pair
    link = Link(near, high_water=100_000)
    sent = bytearray()
    while link.flush():
        while link.room:
            chunk = os.urandom(10_000)
            assert link.send(chunk) == len(chunk)
            sent += chunk
        with pytest.raises(BlockingIOError):
            link.send(b"x")
    assert link.out
    got = bytearray()
    while len(got) < len(sent):
        got += far.recv(65536)
        link.flush()
    assert got == sent
    assert link.room


def test_bytes_are_read_ahead_once_and_handed_out_in_pieces(pair):
    near, far = pair
    link = Link(near)
    far.sendall(b"abcdef")
    link.fill()
    assert (link.recv(1), link.recv(2), link.recv(100)) == (b"a", b"bc", b"def")
    assert not link.unread
    with pytest.raises(BlockingIOError):
        link.recv(1)
    far.sendall(b"tail")
    far.close()
    link.fill()
    link.fill()
    assert link.recv(4) == b"tail"
    assert link.unread
    with pytest.raises(ConnectionResetError):
        link.recv(1)
    assert link.end == "closed by the broker"


def test_a_packet_longer_than_allowed_ends_the_connection(pair):
    with pytest.raises(ConnectionAbortedError):
        Link(pair[0], max_packet=1000).recv(1001)


class Wire:
    """A connection that keeps what is published."""

    receive_maximum, max_packet, version = 10, 10_000, "5"

    def __init__(self) -> None:
        self.room, self.in_flight = True, 0
        self.told: list[tuple[str, bytes]] = []
        self.samples: list[bytes] = []
        self.waiting: list[Any] = []
        self.on_room = self.on_written = lambda: None

    def telemetry_head(self, topic: str, expiry_s: int) -> bytes:
        return topic.encode()

    def publish_telemetry(self, head: bytes, payload: bytes) -> None:
        self.samples.append(payload)

    def publish(self, topic, payload, done, *, retain=False, correlation=None) -> None:
        self.in_flight += 1
        self.told.append((topic, payload))
        self.waiting.append(done)


def publisher(hub: LocalHub, **options: Any) -> Publisher:
    return Publisher(
        hub, TOPICS, "n1", Delay(), **{"window": 5, "expiry_s": 60, "ring": 3, "told_elsewhere": (), **options}
    )


def sample(value: float) -> Sample:
    return Sample("CP1", "Voltage", value, "V", time.time_ns())


def test_telemetry_waits_in_a_ring_whose_oldest_go_and_are_counted():
    hub = LocalHub()
    out, wire = publisher(hub), Wire()
    for value in range(5):
        out.take(sample(float(value)))
    assert hub.counters()["evcore_mqtt_dropped_total", (("kind", "telemetry"),)] == 2
    out.attach(wire)  # type: ignore[arg-type]
    assert [b'"replay":true' in payload for payload in wire.samples] == [True] * 3
    assert b'"value":2.0' in wire.samples[0]
    out.take(sample(9.0))
    assert b"replay" not in wire.samples[3]
    wire.room = False
    out.take(sample(10.0))
    assert len(wire.samples) == 4
    wire.room = True
    wire.on_room()
    assert b'"value":10.0' in wire.samples[4]


def test_a_value_longer_than_the_broker_takes_is_left_out_and_counted():
    hub = LocalHub()
    out, wire = publisher(hub), Wire()
    out.attach(wire)  # type: ignore[arg-type]
    out.take(replace(sample(1.0), signed="x" * 10_000))
    out.take(sample(2.0))
    assert len(wire.samples) == 1
    assert hub.counters()["evcore_mqtt_dropped_total", (("kind", "telemetry"),)] == 1


def test_the_window_is_kept_and_states_are_conflated_while_they_wait():
    hub = LocalHub()
    out, wire = publisher(hub), Wire()
    out.attach(wire)  # type: ignore[arg-type]
    for number in range(20):
        out.take(Station(f"CP{number % 10}", True, last_seen_ns=number + 1))
    assert len(wire.told) == 5
    for _ in range(20):
        if wire.waiting:
            wire.in_flight -= 1
            wire.waiting.pop(0)(None)
            wire.on_room()
    topics = [topic for topic, _ in wire.told]
    assert len(topics) == 15, "five went out before they changed"
    assert len(set(topics)) == 10


def test_events_that_nobody_acknowledged_are_told_again_in_order_and_answers_are_not():
    out, wire = publisher(LocalHub()), Wire()
    out.attach(wire)  # type: ignore[arg-type]
    out.add(Message("answer", b"1"))
    for number in range(8):
        out.take(Event("CP1", f"e{number}", 1))
    wire.waiting[1](None)  # e0 is acknowledged
    for done in [wire.waiting[0], *wire.waiting[2:]]:
        done(LinkError("lost"))
    out.detach()
    again = Wire()
    again.receive_maximum = 100
    out.attach(again)  # type: ignore[arg-type]
    while again.waiting:
        again.in_flight -= 1
        again.waiting.pop(0)(None)
        again.on_room()
    assert [topic.rsplit("/", 1)[1] for topic, _ in again.told] == [f"e{n}" for n in range(1, 8)]


def test_an_old_session_does_not_replace_the_running_one():
    out, wire = publisher(LocalHub(), window=50), Wire()
    wire.receive_maximum = 50
    out.attach(wire)  # type: ignore[arg-type]
    out.take(Session("new", "CP1", 1, "2", "active", started_ns=200))
    out.take(Session("old", "CP1", 1, "1", "ended", started_ns=100))
    out.take(Session("new", "CP1", 1, "2", "ended", started_ns=200))
    assert [b'"new"' in payload for _, payload in wire.told] == [True, True]


def test_events_beyond_the_bound_drop_the_oldest_and_are_counted():
    hub = LocalHub()
    out = publisher(hub)
    for number in range(1005):
        out.take(Event("CP1", f"e{number}", 1))
    assert hub.counters()["evcore_mqtt_dropped_total", (("kind", "event"),)] == 5
