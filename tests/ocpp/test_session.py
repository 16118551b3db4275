"""The RPC engine with a clock of its own: OCPP-J 1.6 section 4, 2.0.1 and 2.1 Part 4 section 4."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_session import SECOND, VERSIONS, feed, make, sent

from evcore.errors import CallError, CallTimeout, LinkError, PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.events import Anomaly, Called, Finished, Notified, Outcome, Repaired
from evcore.ocpp.policy import Policy
from evcore.ocpp.session import Session

NOW = "2026-11-23T18:00:00Z"
BOOT_16 = {"chargePointModel": "M", "chargePointVendor": "V"}
BOOT_2 = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
ACCEPTED = {"status": "Accepted", "currentTime": "2026-11-23T18:00:00Z", "interval": 300}


def test_a_call_is_an_event_and_its_answer_goes_out() -> None:
    session = make()
    [event] = feed(session, [2, "a", "Heartbeat", {}])
    assert isinstance(event, Called)
    assert (event.id, event.action, event.payload, event.raw_payload) == ("a", "Heartbeat", {}, b"{}")
    assert session.answer("a", {"currentTime": "2026-11-23T18:00:00Z"}, 0)
    assert sent(session) == [[3, "a", {"currentTime": "2026-11-23T18:00:00Z"}]]
    assert not session.answer("a", {}, 0), "answered twice"


def test_an_answer_that_breaks_its_schema_goes_out_as_internal_error() -> None:
    session = make()
    feed(session, [2, "a", "Heartbeat", {}])
    assert session.answer("a", {"current": object()}, 0)
    assert sent(session) == [[4, "a", "InternalError", "the answer could not be made", {}]]
    assert [event.reason for event in session.poll(0) if isinstance(event, Anomaly)] == ["invalid_answer"]


def test_what_is_mended_in_own_messages_is_told_as_it_is_sent() -> None:
    ids = (f"m{n}" for n in itertools.count(1))
    codec = Codec("2.1", policy=Policy(out="lenient"))
    session = Session(codec, "csms", accepted=True, new_id=lambda: next(ids))
    session.call("ClearCache", {}, 0)
    session.call("DataTransfer", {"vendorId": 7}, 0)
    assert [session.poll(0), len(session.to_send())] == [[], 1], "it waits for its turn"
    told = [event for event in feed(session, [3, "m1", {"status": "Accepted"}]) if isinstance(event, Repaired)]
    [waiting] = sent(session)
    session.send("NotifyPeriodicEventStream", {"id": "3", "pending": 0, "basetime": NOW, "data": [{"t": 0, "v": 5}]})
    told += [event for event in session.poll(0) if isinstance(event, Repaired)]
    feed(session, [2, "a", "DataTransfer", {"vendorId": "V"}])
    assert session.answer("a", {"status": "accepted"}, 0)
    told += [event for event in session.poll(0) if isinstance(event, Repaired)]
    assert waiting[3] == {"vendorId": "7"}
    assert [(event.id, event.action, event.direction) for event in told] == [
        ("m2", "DataTransfer", "out"),
        ("m3", "NotifyPeriodicEventStream", "out"),
        ("a", "DataTransfer", "out"),
    ]
    assert all(event.repairs for event in told)


def test_one_call_at_a_time_and_the_next_when_it_is_answered() -> None:
    session = make()
    first = session.call("Reset", {"type": "Soft"}, 0)
    second = session.call("ClearCache", {}, 0)
    assert [message[1] for message in sent(session)] == [first]
    assert feed(session, [3, first, {"status": "Accepted"}]) == [
        Finished(first, "Reset", Outcome.ANSWERED, {"status": "Accepted"})
    ]
    assert [message[1] for message in sent(session)] == [second]


def test_calls_of_both_sides_may_cross() -> None:
    session = make()
    mine = session.call("Reset", {"type": "Soft"}, 0)
    [called] = feed(session, [2, mine, "Heartbeat", {}])
    assert isinstance(called, Called)
    assert session.answer(mine, {"currentTime": "2026-11-23T18:00:00Z"}, 0)
    assert [event.outcome for event in feed(session, [3, mine, {"status": "Accepted"}])] == [Outcome.ANSWERED]


def test_a_refusal_carries_the_peers_words() -> None:
    session = make()
    id = session.call("Reset", {"type": "Soft"}, 0)
    [event] = feed(session, [4, id, "NotSupported", "no", {"a": 1}])
    assert event.outcome is Outcome.REFUSED
    assert isinstance(event.error, CallError)
    assert (event.error.code, event.error.description, event.error.details) == ("NotSupported", "no", {"a": 1})


def test_a_call_that_breaks_its_schema_is_not_queued() -> None:
    session = make()
    with pytest.raises(PayloadError):
        session.call("Reset", {"type": "Sideways"}, 0)
    assert session.to_send() == []


def test_an_unanswered_call_times_out_once_the_next_goes_and_the_late_answer_is_counted() -> None:
    session = make(call_timeout=10 * SECOND)
    first = session.call("Reset", {"type": "Soft"}, 0)
    second = session.call("ClearCache", {}, 5 * SECOND)
    assert session.next_deadline() == 10 * SECOND
    assert session.poll(10 * SECOND - 1) == []
    [event] = session.poll(10 * SECOND)
    assert (event.id, event.outcome) == (first, Outcome.TIMED_OUT)
    assert isinstance(event.error, CallTimeout)
    assert [message[1] for message in sent(session)] == [first, second]
    assert session.next_deadline() == 20 * SECOND, "its time began when it was sent"
    [late] = feed(session, [3, first, {"status": "Accepted"}], 11 * SECOND)
    assert isinstance(late, Anomaly)
    assert late.reason == "late_answer"


def test_a_call_that_never_had_its_turn_times_out_in_the_queue() -> None:
    session = make(call_timeout=10 * SECOND)
    session.call("Reset", {"type": "Soft"}, 0, timeout=60 * SECOND)
    waiting = session.call("ClearCache", {}, 0)
    session.to_send()
    assert [(event.id, event.outcome) for event in session.poll(10 * SECOND)] == [(waiting, Outcome.TIMED_OUT)]
    assert session.to_send() == []


def test_the_queue_is_bounded() -> None:
    session = make(queue=2)
    for _ in range(3):
        session.call("ClearCache", {}, 0)
    with pytest.raises(LinkError):
        session.call("ClearCache", {}, 0)


def test_a_cancelled_call_still_holds_the_line_until_the_peer_answered() -> None:
    session = make()
    first, second = session.call("Reset", {"type": "Soft"}, 0), session.call("ClearCache", {}, 0)
    assert session.cancel(first)
    assert not session.cancel(first)
    assert [event.outcome for event in session.poll(0)] == [Outcome.CANCELLED]
    assert [message[1] for message in sent(session)] == [first]
    assert [event.reason for event in feed(session, [3, first, {"status": "Accepted"}])] == ["late_answer"]
    assert [message[1] for message in sent(session)] == [second]


def test_an_answer_that_nobody_asked_for_is_counted_and_breaks_nothing() -> None:
    session = make()
    id = session.call("Reset", {"type": "Soft"}, 0)
    session.to_send()
    for message in ([3, "other", {}], [4, "other", "GenericError", "", {}]):
        assert [event.reason for event in feed(session, message)] == ["unknown_answer"]
    assert session.to_send() == []
    assert [event.outcome for event in feed(session, [3, id, {"status": "Accepted"}])] == [Outcome.ANSWERED]


def test_when_the_connection_ends_every_call_ends_and_nothing_more_goes_out() -> None:
    session = make()
    ids = [session.call("ClearCache", {}, 0) for _ in range(3)]
    feed(session, [2, "a", "Heartbeat", {}])
    session.close(0)
    session.close(0)
    assert [(event.id, event.outcome) for event in session.poll(0)] == [(id, Outcome.DISCONNECTED) for id in ids]
    assert not session.answer("a", {"currentTime": "2026-11-23T18:00:00Z"}, 0)
    assert feed(session, [2, "b", "Heartbeat", {}]) == []
    assert session.to_send() == []
    with pytest.raises(LinkError):
        session.call("ClearCache", {}, 0)


def test_a_message_id_repeated_before_its_answer_is_answered_once() -> None:
    session = make()
    feed(session, [2, "a", "Heartbeat", {}])
    assert [event.reason for event in feed(session, [2, "a", "Heartbeat", {}])] == ["repeated_id"]
    session.answer("a", {"currentTime": "2026-11-23T18:00:00Z"}, 0)
    assert len(sent(session)) == 1


def test_a_peer_that_asks_without_waiting_is_refused_beyond_the_bound() -> None:
    session = make(unanswered=2)
    events = [event for n in range(3) for event in feed(session, [2, f"c{n}", "Heartbeat", {}])]
    assert [type(event) for event in events] == [Called, Called, Anomaly]
    assert [message[:3] for message in sent(session)] == [[4, "c2", "InternalError"]]


def test_beyond_the_bound_an_action_that_never_waits_is_heard() -> None:
    session = make(unanswered=1, at_once=("Heartbeat",))
    transfer = {"vendorId": "v"}
    calls = ([2, "a", "DataTransfer", transfer], [2, "b", "DataTransfer", transfer], [2, "c", "Heartbeat", {}])
    events: list[Any] = [event for call in calls for event in feed(session, call)]
    assert [(type(event), event.id) for event in events] == [(Called, "a"), (Anomaly, "b"), (Called, "c")]


# The reply table: protocols of OCPP-J 1.6 section 4.2.3, 2.0.1 and 2.1 Part 4 sections 4.2 to 4.4.

SILENT = None
TABLE = [
    (b"nonsense", "frame_json", SILENT, ("-1", "RpcFrameworkError"), ("-1", "RpcFrameworkError")),
    (b"{}", "frame_array", SILENT, ("-1", "RpcFrameworkError"), ("-1", "RpcFrameworkError")),
    (b"\xff", "frame_json", SILENT, ("-1", "RpcFrameworkError"), ("-1", "RpcFrameworkError")),
    (b'[2,5,"Heartbeat",{}]', "frame_idtype", SILENT, ("-1", "RpcFrameworkError"), ("-1", "RpcFrameworkError")),
    (
        b'[2,"%s","Heartbeat",{}]' % (b"x" * 37),
        "frame_length",
        SILENT,
        ("-1", "RpcFrameworkError"),
        ("-1", "RpcFrameworkError"),
    ),
    (
        b'[2,"a","Heartbeat"]',
        "frame_arity",
        ("a", "FormationViolation"),
        ("a", "RpcFrameworkError"),
        ("a", "RpcFrameworkError"),
    ),
    (
        b'[2,"a","Heartbeat",[]]',
        "frame_payload",
        ("a", "FormationViolation"),
        ("a", "FormatViolation"),
        ("a", "FormatViolation"),
    ),
    (b'[9,"a",{}]', "frame_type", SILENT, ("a", "MessageTypeNotSupported"), SILENT),
    (b'[3,"zz"]', "frame_arity", SILENT, SILENT, SILENT),
    (b'[4,"zz"]', "frame_arity", SILENT, SILENT, SILENT),
    (
        b'[2,"a","Teleport",{}]',
        "payload_NotImplemented",
        ("a", "NotImplemented"),
        ("a", "NotImplemented"),
        ("a", "NotImplemented"),
    ),
]


@pytest.mark.parametrize(("message", "reason", "v16", "v201", "v21"), TABLE)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_no_call_is_answered_as_its_version_says(
    message: bytes, reason: str, v16: Any, v201: Any, v21: Any, version: str
) -> None:
    session = make(version)
    expected = {"1.6": v16, "2.0.1": v201, "2.1": v21}[version]
    [event] = feed(session, message)
    assert isinstance(event, Anomaly)
    assert (event.reason, event.answered) == (reason, expected is not None)
    assert [(m[0], m[1], m[2]) for m in sent(session)] == ([] if expected is None else [(4, *expected)])


def test_a_broken_send_is_never_answered() -> None:
    session = make("2.1")
    assert [event.reason for event in feed(session, [6, "a", "NotifyPeriodicEventStream", {}])] == [
        "payload_OccurrenceConstraintViolation"
    ]
    assert session.to_send() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_payload_against_its_schema_is_answered_in_the_spelling_of_the_version(version: str) -> None:
    session = make(version)
    feed(session, [2, "a", "BootNotification", {}])
    spelling = "OccurenceConstraintViolation" if version == "1.6" else "OccurrenceConstraintViolation"
    assert [message[:3] for message in sent(session)] == [[4, "a", spelling]]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_invalid_result_costs_its_call_and_only_2_1_says_so(version: str) -> None:
    session = make(version)
    id = session.call("ClearCache", {}, 0)
    session.to_send()
    events = feed(session, [3, id, {"status": "Perhaps"}])
    assert [event.outcome for event in events if isinstance(event, Finished)] == [Outcome.INVALID]
    answers = [[5, id, "PropertyConstraintViolation"]] if version == "2.1" else []
    assert [message[:3] for message in sent(session)] == answers


def test_a_broken_answer_ends_its_call_at_once_instead_of_by_timeout() -> None:
    session = make()
    id = session.call("Reset", {"type": "Soft"}, 0)
    assert Outcome.INVALID in [getattr(event, "outcome", None) for event in feed(session, [4, id, "GenericError"])]
    assert session.next_deadline() is None


def test_a_result_error_about_no_answer_of_ours_is_counted_and_not_answered() -> None:
    session = make("2.1")
    assert [event.reason for event in feed(session, [5, "a", "TypeConstraintViolation", "", {}])] == ["unknown_answer"]
    assert session.to_send() == []


def test_a_send_is_an_event_and_goes_out_beside_a_call() -> None:
    payload = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}
    session = make("2.1", "station")
    session.call("Heartbeat", {}, 0)
    session.send("NotifyPeriodicEventStream", payload)
    assert [message[0] for message in sent(session)] == [2, 6]
    [event] = feed(make("2.1"), [6, "s", "NotifyPeriodicEventStream", payload])
    assert isinstance(event, Notified)
    assert (event.id, event.action, event.payload) == ("s", "NotifyPeriodicEventStream", payload)
    assert event.size > len(str(payload)) // 2


# The boot gate


@pytest.mark.parametrize("version", VERSIONS)
def test_before_the_boot_is_accepted_a_csms_answers_security_error(version: str) -> None:
    session = make(version, accepted=False)
    assert [event.reason for event in feed(session, [2, "a", "Heartbeat", {}])] == ["not_accepted"]
    assert [message[:3] for message in sent(session)] == [[4, "a", "SecurityError"]]
    boot = BOOT_16 if version == "1.6" else BOOT_2
    for status, passes in (("Pending", False), ("Rejected", False), ("Accepted", True)):
        feed(session, [2, f"b{status}", "BootNotification", boot])
        session.answer(f"b{status}", ACCEPTED | {"status": status}, 0)
        assert isinstance(feed(session, [2, f"h{status}", "Heartbeat", {}])[0], Called) == passes


def test_b02_fr_09_what_was_triggered_may_come_before_the_boot_is_accepted_once() -> None:
    session = make("2.0.1", accepted=False)
    id = session.call("TriggerMessage", {"requestedMessage": "Heartbeat"}, 0)
    feed(session, [3, id, {"status": "Accepted"}])
    assert isinstance(feed(session, [2, "a", "Heartbeat", {}])[0], Called)
    assert isinstance(feed(session, [2, "b", "Heartbeat", {}])[0], Anomaly)


def test_a_station_is_silent_until_its_boot_is_accepted_and_the_boot_goes_first() -> None:
    session = make(role="station", accepted=False)
    session.call("Heartbeat", {}, 0)
    assert session.to_send() == []
    boot = session.call("BootNotification", BOOT_16, 0)
    assert [message[1] for message in sent(session)] == [boot]
    feed(session, [3, boot, ACCEPTED | {"status": "Pending"}])
    assert session.to_send() == []
    boot = session.call("BootNotification", BOOT_16, 0)
    feed(session, [3, boot, ACCEPTED])
    assert [message[2] for message in sent(session)] == ["BootNotification", "Heartbeat"]


@pytest.mark.parametrize(("version", "answers"), [("1.6", []), ("2.0.1", [[4, "a", "SecurityError"]])])
def test_b03_fr_08_a_rejected_station_answers_nothing_but_security_error(version: str, answers: list[Any]) -> None:
    session = make(version, "station", accepted=False)
    boot = session.call("BootNotification", BOOT_16 if version == "1.6" else BOOT_2, 0)
    feed(session, [3, boot, ACCEPTED | {"status": "Rejected"}])
    session.to_send()
    reset = {"type": "Soft"} if version == "1.6" else {"type": "Immediate"}
    assert [event.reason for event in feed(session, [2, "a", "Reset", reset])] == ["not_accepted"]
    assert [message[:3] for message in sent(session)] == answers


# Properties

STEPS = st.lists(
    st.one_of(
        st.just(("call",)),
        st.tuples(st.just("cancel"), st.integers(0, 12)),
        st.tuples(st.just("answer"), st.integers(0, 12), st.sampled_from([3, 4, 5, 9])),
        st.tuples(st.just("invalid"), st.integers(0, 12)),
        st.tuples(st.just("wait"), st.integers(0, 15 * SECOND)),
        st.tuples(st.just("noise"), st.binary(max_size=20)),
        st.just(("close",)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, version=st.sampled_from(VERSIONS))
def test_each_call_ends_exactly_once_whatever_the_peer_does(steps: list[Any], version: str) -> None:
    session = make(version, queue=4, call_timeout=10 * SECOND)
    asked: list[str] = []
    ended: list[str] = []
    on_wire: list[str] = []
    now = 0
    for step in steps:
        asked += list(_play(session, step, asked, now))
        if step[0] == "wait":
            now += step[1]
        ended += [event.id for event in session.poll(now) if isinstance(event, Finished)]
        on_wire += [message[1] for message in sent(session) if message[0] == 2]
        assert len(session._calls) <= 4
    session.close(now)
    ended += [event.id for event in session.poll(now) if isinstance(event, Finished)]
    assert sorted(ended) == sorted(asked)
    assert len(set(on_wire)) == len(on_wire), "a call went out twice"


def _play(session: Session, step: Any, asked: list[str], now: int) -> Iterator[str]:
    def nth(n: int) -> str:
        return asked[n % len(asked)] if asked else "none"

    match step:
        case ("call",):
            try:
                yield session.call("ClearCache", {}, now)
            except LinkError:
                return
        case ("cancel", n):
            session.cancel(nth(n))
        case ("answer", n, type):
            rest: list[Any] = ["GenericError", "", {}] if type in (4, 5) else [{"status": "Accepted"}]
            session.receive(json.dumps([type, nth(n), *rest]).encode(), now)
        case ("invalid", n):
            session.receive(json.dumps([3, nth(n), {"status": 5}]).encode(), now)
        case ("noise", data):
            session.receive(data, now)
        case ("close",):
            session.close(now)
