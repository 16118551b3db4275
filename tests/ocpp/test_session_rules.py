"""The rules table of OCPP-J, row by row, for both roles and all versions. Sources: docs/ocpp-session.md."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from one_session import SECOND, every_role, every_version, feed, make, own, sent, theirs

from evcore.errors import CallTimeout, FrameError, LinkError
from evcore.ocpp import Codec
from evcore.ocpp.events import Anomaly, Called, Notified, Outcome
from evcore.ocpp.message_ids import new_id
from evcore.ocpp.rules import RULES, Priority, priority_of
from evcore.ocpp.session import Session

STREAM = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}


# Message ids


def test_ids_fit_and_no_two_are_equal_in_any_session_nor_any_process() -> None:
    def draw() -> set[str]:
        code = "from evcore.ocpp.message_ids import new_id; print(*[new_id() for _ in range(100)])"
        return set(
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
        )

    here = {new_id() for _ in range(1000)}
    sessions = {Session(Codec("1.6"), "csms").call("ClearCache", {}, 0) for _ in range(100)}
    elsewhere, again = draw(), draw()
    together = here | sessions | elsewhere | again
    assert len(together) == 1000 + 100 + 100 + 100
    assert max(map(len, together)) <= 36


def test_a_forked_process_draws_other_ids() -> None:
    code = (
        "import os\nfrom evcore.ocpp.message_ids import new_id\nnew_id()\n"
        "child = os.fork() == 0\nid = new_id()\nif not child: os.wait()\nprint(id, flush=True)"
    )
    ids = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert len(ids) == len(set(ids)) == 2


@every_version
@every_role
def test_an_id_of_more_than_36_characters_is_neither_taken_nor_sent(version: str, role: str) -> None:
    session = make(version, role)
    action, payload, _ = theirs(role)
    [event] = feed(session, [2, "x" * 37, action, payload])
    assert isinstance(event, Anomaly)
    assert [message[1] for message in sent(session)] == ([] if version == "1.6" else ["-1"])
    assert isinstance(feed(session, [2, "x" * 36, action, payload])[0], Called)
    with pytest.raises(FrameError):
        session.call(*own(role)[:2], 0, id="y" * 37)
    assert session.call(*own(role)[:2], 0, id="y" * 36) == "y" * 36
    with pytest.raises(ValueError, match="in use"):
        session.call(*own(role)[:2], 0, id="y" * 36)


@every_version
def test_a_call_that_comes_again_under_its_id_gets_the_one_answer_and_is_handled_once(version: str) -> None:
    session = make(version)
    call = [2, "a", "DataTransfer", {"vendorId": "v"}]
    assert isinstance(feed(session, call)[0], Called)
    [joined] = feed(session, call)
    assert (joined.reason, joined.answered) == ("repeated_id", False)
    session.answer("a", {"status": "Accepted"}, 0)
    first = sent(session)
    [repeated] = feed(session, call)
    assert (repeated.reason, repeated.answered) == ("repeated_id", True)
    assert sent(session) == first == [[3, "a", {"status": "Accepted"}]]


@every_version
def test_another_call_under_the_same_id_is_handled_and_told(version: str) -> None:
    session = make(version)
    for vendor in "vw":
        events = feed(session, [2, "a", "DataTransfer", {"vendorId": vendor}])
        session.answer("a", {"status": "Accepted"}, 0)
    assert [(type(event), getattr(event, "reason", "")) for event in events] == [(Anomaly, "reused_id"), (Called, "")]
    assert len(sent(session)) == 2


@every_version
def test_a_charger_with_one_id_for_all_heartbeats_is_told_the_time_each_time(version: str) -> None:
    session = make(version)
    for second in range(3):
        assert any(isinstance(event, Called) for event in feed(session, [2, "0", "Heartbeat", {}]))
        session.answer("0", {"currentTime": f"2026-11-23T18:00:0{second}Z"}, 0)
    assert [message[2]["currentTime"][-3:] for message in sent(session)] == ["00Z", "01Z", "02Z"]


@every_version
def test_a_call_that_was_refused_may_be_tried_again_under_its_id(version: str) -> None:
    session = make(version)
    for _ in range(2):
        assert isinstance(feed(session, [2, "a", "DataTransfer", {"vendorId": "v"}])[-1], Called)
        session.refuse("a", "InternalError", "later")
    assert [message[:3] for message in sent(session)] == [[4, "a", "InternalError"]] * 2


@every_version
def test_repeated_ids_can_be_refused_instead(version: str) -> None:
    session = make(version, rules=replace(RULES[version], repeated="refuse"))
    call = [2, "a", "DataTransfer", {"vendorId": "v"}]
    feed(session, call)
    session.answer("a", {"status": "Accepted"}, 0)
    assert [event.answered for event in feed(session, call)] == [True]
    assert [message[:3] for message in sent(session)][1:] == [[4, "a", "ProtocolError"]]


def test_what_is_kept_of_answered_calls_is_bounded() -> None:
    session = make("1.6")
    for n in range(50):
        feed(session, [2, f"a{n}", "DataTransfer", {"vendorId": "v", "data": "x" * 20_000}])
        session.answer(f"a{n}", {"status": "Accepted"}, 0)
        session.to_send()
    assert session._theirs._last_data == b""
    assert not session._theirs.waiting


# One CALL at a time


@every_version
@every_role
def test_one_call_is_outstanding_whatever_comes_meanwhile(version: str, role: str) -> None:
    session = make(version, role)
    action, payload, answer = own(role)
    ids = [session.call(action, payload, 0) for _ in range(3)]
    assert [message[1] for message in sent(session)] == ids[:1]
    their_action, their_payload, our_answer = theirs(role)
    feed(session, [2, ids[0], their_action, their_payload])  # theirs crosses ours, under the very same id
    session.answer(ids[0], our_answer, 0)
    assert sent(session) == [[3, ids[0], our_answer]]
    for n, id in enumerate(ids):
        [event] = feed(session, [3, id, answer])
        assert (event.id, event.outcome, event.payload) == (id, Outcome.ANSWERED, answer)
        assert [message[1] for message in sent(session)] == ids[n + 1 : n + 2]


@every_version
def test_what_times_out_makes_room_and_its_late_answer_ends_nothing_else(version: str) -> None:
    session = make(version, call_timeout=SECOND)
    first, second = (session.call("ClearCache", {}, 0, timeout=n * SECOND) for n in (1, 9))
    [event] = session.poll(SECOND)
    assert (event.id, event.outcome, type(event.error)) == (first, Outcome.TIMED_OUT, CallTimeout)
    assert [message[1] for message in sent(session)] == [first, second]
    [late] = feed(session, [3, first, {"status": "Accepted"}], SECOND)
    assert late.reason == "late_answer"
    [late] = feed(session, [4, first, "GenericError", "", {}], SECOND)
    assert late.reason == "late_answer"
    [event] = feed(session, [3, second, {"status": "Accepted"}], SECOND)
    assert event.outcome is Outcome.ANSWERED


def test_a_send_needs_not_wait_and_is_not_waited_for() -> None:
    session = make("2.1", "station")
    session.call("Heartbeat", {}, 0)
    session.send("NotifyPeriodicEventStream", STREAM)
    assert [message[0] for message in sent(session)] == [2, 6]
    assert session.poll(0) == []


# Whose turn it is


def test_calls_go_by_priority_and_then_by_age() -> None:
    session = make("1.6")
    session.call("ClearCache", {}, 0)
    waiting = [
        ("GetConfiguration", {}, None),
        ("GetDiagnostics", {"location": "ftp://h/"}, Priority.BULK),
        ("UnlockConnector", {"connectorId": 1}, None),
        ("Reset", {"type": "Soft"}, None),
        ("RemoteStopTransaction", {"transactionId": 1}, None),
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}, Priority.URGENT),
    ]
    for action, payload, priority in waiting:
        session.call(action, payload, 0, priority=priority)
    order = []
    for _ in range(7):
        [message] = sent(session)
        order.append(message[2])
        feed(session, [4, message[1], "GenericError", "", {}])
    assert order == [
        "ClearCache",
        "UnlockConnector",
        "RemoteStopTransaction",
        "TriggerMessage",
        "GetConfiguration",
        "Reset",
        "GetDiagnostics",
    ]


def test_messages_of_transactions_keep_their_order_among_all_others() -> None:
    for action in ("StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent", "StatusNotification"):
        assert priority_of(action) is Priority.NORMAL, action
    assert priority_of("BootNotification") < priority_of("Authorize") < priority_of("Heartbeat")


def test_a_start_cannot_overtake_the_limit_that_was_set_before_it_nor_a_reset_the_settings() -> None:
    assert priority_of("SetChargingProfile") == priority_of("RemoteStartTransaction")
    assert priority_of("SetChargingProfile") == priority_of("RequestStartTransaction")
    assert priority_of("Reset") == priority_of("ChangeConfiguration") == priority_of("SetVariables")


# No payload, unknown actions, broken calls


@every_version
@every_role
def test_a_payload_of_null_is_the_empty_one(version: str, role: str) -> None:
    session = make(version, role)
    action, _, _ = theirs(role)
    [event] = feed(session, [2, "a", action, None])
    assert (type(event), event.payload) == (Called, {})


@every_version
@every_role
def test_an_unknown_action_is_not_implemented_and_what_the_handler_says_goes_out_as_it_is(
    version: str, role: str
) -> None:
    session = make(version, role)
    [event] = feed(session, [2, "a", "Teleport", {}])
    assert (event.reason, event.answered) == ("payload_NotImplemented", True)
    action, payload, _ = theirs(role)
    feed(session, [2, "b", action, payload])
    assert session.refuse("b", "NotSupported", "not here", {"why": [1]})
    assert [message[:3] for message in sent(session)] == [[4, "a", "NotImplemented"], [4, "b", "NotSupported"]]


@every_version
def test_the_description_of_an_error_has_at_most_255_characters_and_nonsense_costs_nothing(version: str) -> None:
    session = make(version)
    details: list[Any] = [{"a": 1}, None, {"b": object()}, [1, 2], "words"]
    for n, detail in enumerate(details):
        feed(session, [2, f"a{n}", "Heartbeat", {}])
        assert session.refuse(f"a{n}", "GenericError", "x" * 300 + "\ud800", detail)
    feed(session, [2, "z", "Heartbeat", {}])
    session.refuse("z", ["no", "code"], 5)  # type: ignore[arg-type]
    answers = sent(session)
    assert [len(message) for message in answers] == [5] * 6
    assert [len(message[3]) for message in answers[:-1]] == [255] * 5
    assert [message[4] for message in answers] == [{"a": 1}, {}, {}, {}, {}, {}]


@every_version
def test_what_stands_for_the_answer_to_another_call_is_not_sent(version: str) -> None:
    """A broken message under the id of a CALL that is in work: a CALLERROR would be taken for that one's answer."""
    session = make(version)
    feed(session, [2, "a", "DataTransfer", {"vendorId": "v"}])
    for broken in ([2, "a", "DataTransfer", {"vendorId": 5}], [2, "a", "DataTransfer"], [2, "a", "Teleport", {}]):
        [event] = feed(session, broken)
        assert not event.answered
    assert session.to_send() == []
    assert session.answer("a", {"status": "Accepted"}, 0)


def test_a_send_is_an_event_with_its_time() -> None:
    [event] = feed(make("2.1"), [6, "s", "NotifyPeriodicEventStream", STREAM], 7)
    assert isinstance(event, Notified)
    assert (event.payload, event.received_ns) == (STREAM, 7)


def test_a_call_carries_what_a_handler_may_want_to_know() -> None:
    message = b'[2, "a", "DataTransfer", {"vendorId":"v"} ]'
    [event] = feed(make("1.6"), message, 11)
    assert (event.id, event.action, event.data, event.received_ns) == ("a", "DataTransfer", message, 11)
    assert event.raw_payload == b'{"vendorId":"v"}'
    assert event.size == len(event.raw_payload)
    assert event.frame.type == 2


# The end


@every_version
def test_a_new_session_of_the_same_station_knows_nothing_of_the_old_ones_calls(version: str) -> None:
    old, new = make(version), make(version, new_id=iter([f"n{n}" for n in range(9)]).__next__)
    id = old.call("ClearCache", {}, 0)
    feed(old, [2, "a", "DataTransfer", {"vendorId": "v"}])
    old.close(0)
    assert [event.outcome for event in old.poll(0)] == [Outcome.DISCONNECTED]
    assert not old.answer("a", {"status": "Accepted"}, 0)
    assert not old.refuse("a", "GenericError")
    assert not old.refuse_result(id, "GenericError")
    assert [event.reason for event in feed(new, [3, id, {"status": "Accepted"}])] == ["unknown_answer"]
    assert old.to_send() == new.to_send() == []
    for late in (lambda: old.call("ClearCache", {}, 0), lambda: old.send("NotifyPeriodicEventStream", STREAM)):
        with pytest.raises(LinkError):
            late()
