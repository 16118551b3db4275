"""The parts that need no broker: topics, delays, the socket that collects."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.backends.mqtt_delay import Delay
from evcore.backends.mqtt_link import Link
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

    receive_maximum, version = 10, "5"

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
