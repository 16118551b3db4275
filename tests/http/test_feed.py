"""The live feed's numbered stream, without sockets."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.backends.http import feed as room
from evcore.backends.http.feed import Client, Feed, merge_patch
from evcore.model import Event, Evse, Payment, Sample, Session, Station, Vehicle, wire

EVSE = Evse("CP1", 1, "Available")


def apply(target: Any, patch: Any) -> Any:
    """JSON Merge Patch as RFC 7396, section 2 writes it down; nothing of ours."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply(result.get(name), value)
    return result


class Copy:
    """What a page would do with the messages."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.events: list[str] = []
        self.seq = 0

    def read(self, messages: Any) -> None:
        for raw in messages:
            message = json.loads(raw)
            assert message["seq"] >= self.seq
            self.seq = message["seq"]
            match message["t"]:
                case "snap":
                    self.state = {**self.state, **message["d"]} if "since" in message else message["d"]
                    self.state = {key: value for key, value in self.state.items() if value is not None}
                case "d":
                    value = apply(self.state.get(message["k"]), message["v"])
                    self.state.pop(message["k"], None)
                    if value is not None:
                        self.state[message["k"]] = value
                case "e":
                    self.events.append(message["d"]["text"])


def subscribed(feed: Feed, *patterns: str) -> tuple[Client, Copy]:
    client, copy = Client(), Copy()
    feed.subscribe(client, patterns or ("*",))
    copy.read(feed.take(client))
    return client, copy


def first(feed: Feed, since: int) -> dict[str, Any]:
    client = Client()
    feed.subscribe(client, ("*",), since)
    return json.loads(feed.take(client)[0])


def event(text: str) -> Event:
    return Event("CP1", "fault.raised", 1, text=text)


def test_a_snapshot_is_all_that_was_published_before():
    feed = Feed()
    feed.publish(EVSE)
    feed.publish(Station("CP1", True))
    _, copy = subscribed(feed)
    assert copy.state == {"evse/CP1/1": wire(EVSE), "charger/CP1": wire(Station("CP1", True))}


def test_a_delta_is_what_changed_and_null_is_what_went():
    feed = Feed()
    feed.publish(replace(EVSE, charging="Charging", fault="x"))
    client, _ = subscribed(feed)
    feed.publish(replace(EVSE, fault="x", status="Occupied"))
    (message,) = map(json.loads, feed.take(client))
    assert message == {"t": "d", "seq": 2, "k": "evse/CP1/1", "v": {"charging": None, "status": "Occupied"}}


def test_many_changes_between_two_batches_are_one_message_and_events_are_all_there():
    feed = Feed()
    client, copy = subscribed(feed)
    for n in range(50):
        feed.publish(Sample("m", "Voltage", 230.0 + n, "V", n))
        feed.publish(event(str(n)))
    messages = list(feed.take(client))
    assert len(messages) == 51
    copy.read(messages)
    assert copy.events == [str(n) for n in range(50)]
    assert copy.state["sample/m/0/Voltage"]["value"] == 279.0


def test_a_change_and_its_opposite_between_two_batches_are_nothing():
    feed = Feed()
    feed.publish(EVSE)
    client, _ = subscribed(feed)
    feed.publish(replace(EVSE, status="Occupied"))
    feed.publish(EVSE)
    assert list(feed.take(client)) == []


def test_a_client_gets_only_what_it_asked_for():
    feed = Feed()
    client, copy = subscribed(feed, "charger/*", "event/fault.*", "evse/CP1/1")
    feed.publish(Station("CP1", True))
    feed.publish(EVSE)
    feed.publish(replace(EVSE, id=11))
    feed.publish(event("yes"))
    feed.publish(Event("CP1", "session.started", 1, text="no"))
    copy.read(feed.take(client))
    assert (set(copy.state), copy.events) == ({"charger/CP1", "evse/CP1/1"}, ["yes"])


def test_a_client_that_does_not_read_is_marked_and_holds_no_more_than_the_limit():
    feed = Feed()
    client, _ = subscribed(feed)
    for n in range(room.WAITING + 1):
        feed.publish(event(str(n)))
    assert client.too_slow
    assert len(feed.take(client)) == room.WAITING


def test_a_few_large_events_are_too_many_too():
    feed = Feed()
    client, _ = subscribed(feed)
    for _ in range(9):
        feed.publish(event("x" * (1 << 20)))
    assert client.too_slow


def test_a_client_that_subscribes_again_and_again_gets_one_snapshot():
    feed = Feed()
    feed.publish(EVSE)
    client, _ = subscribed(feed)
    for _ in range(9):
        feed.subscribe(client, ("*",))
        feed.publish(event("between"))
    (message,) = map(json.loads, feed.take(client))
    assert (message["t"], message["seq"]) == ("snap", feed.seq)


def test_replies_wait_for_no_batch_and_survive_a_new_subscription():
    feed = Feed()
    client, _ = subscribed(feed)
    client.reply(b"{}")
    feed.subscribe(client, ("*",))
    assert client.urgent
    assert feed.take(client)[0] == b"{}"


def test_ended_sessions_leave_the_feed_oldest_first_but_never_an_active_one(monkeypatch):
    monkeypatch.setattr(room, "FINISHED", 3)
    feed = Feed()
    client, copy = subscribed(feed)
    feed.publish(Session("live", "CP1", 1, "0", "active", 1))
    for n in range(6):
        feed.publish(Session(f"s{n}", "CP1", 1, str(n), "active", 1))
        copy.read(feed.take(client))
        feed.publish(Session(f"s{n}", "CP1", 1, str(n), "ended", 1))
        copy.read(feed.take(client))
    assert set(copy.state) == set(feed.entities) == {f"session/{name}" for name in ("live", "s3", "s4", "s5")}


def test_a_settled_payment_that_changes_again_is_still_there(monkeypatch):
    monkeypatch.setattr(room, "FINISHED", 1)
    feed = Feed()
    payment = Payment("p", "psp", "captured", "CP1", 1, 100, "EUR", 1, 1)
    for one in (payment, replace(payment, id="q"), replace(payment, id="r", state="charging")):
        feed.publish(one)
    assert set(feed.entities) == {"payment/q", "payment/r"}


def test_after_lost_events_nobody_catches_up_over_the_gap_and_everybody_gets_a_snapshot():
    feed = Feed()
    client, _ = subscribed(feed)
    feed.publish(event("1"))
    feed.lost()
    assert [json.loads(message)["t"] for message in feed.take(client)] == ["snap"]
    assert "since" not in first(feed, since=1)


def test_a_number_from_the_future_gets_a_snapshot():
    feed = Feed()
    assert "since" not in first(feed, since=1)


json_values = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abcd"), json_values, max_size=4)


@settings(max_examples=200)
@given(objects, objects)
def test_a_merge_patch_makes_the_one_from_the_other(before, after):
    assert apply(before, merge_patch(before, after)) == after


items = st.one_of(
    st.builds(
        lambda id, status: Evse("CP1", id, status), st.integers(1, 3), st.sampled_from(["Available", "Occupied"])
    ),
    st.builds(
        lambda n, state: Session(f"s{n}", "CP1", 1, str(n), state, 1),
        st.integers(0, 5),
        st.sampled_from(["active", "ended"]),
    ),
    st.builds(
        lambda limits: Vehicle("car", "gbt27930", "charging", limits=limits),
        st.dictionaries(st.sampled_from("ab"), st.floats(0, 3)),
    ),
    st.integers(0, 99).map(lambda n: event(str(n))),
)
steps = st.lists(st.one_of(items, st.sampled_from(["batch", "break", "half"])), max_size=60)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_through_batches_breaks_and_half_sent_batches_the_copy_is_exact(steps):
    """The client resumes at the seq of the last message that it got, whatever was on its way then."""
    feed, sent = Feed(), []
    ring, finished = room.RING, room.FINISHED
    room.RING, room.FINISHED = 8, 2
    try:
        client, copy = subscribed(feed)
        for step in steps:
            match step:
                case "batch":
                    copy.read(feed.take(client))
                case "break" | "half":
                    if step == "half":
                        messages = list(feed.take(client))
                        copy.read(messages[: len(messages) // 2])
                    feed.clients.discard(client)
                    client = Client()
                    feed.subscribe(client, ("*",), since=copy.seq)
                    answer = feed.take(client)
                    if "since" not in json.loads(answer[0]):
                        copy.events = list(sent)  # too long ago: the events are gone, and it is told so
                    copy.read(answer)
                case _:
                    feed.publish(step)
                    if isinstance(step, Event):
                        sent.append(step.text)
        copy.read(feed.take(client))
    finally:
        room.RING, room.FINISHED = ring, finished
    assert copy.events == sent
    assert copy.state == {key: json.loads(json.dumps(wire(entity.item))) for key, entity in feed.entities.items()}
