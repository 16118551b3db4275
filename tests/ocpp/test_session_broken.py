"""What is no call, and results that please nobody, in the rules table of OCPP-J. Sources: docs/ocpp-session.md."""

from __future__ import annotations

from dataclasses import replace

import pytest
from one_session import every_role, every_version, feed, make, own, sent

from evcore.errors import FrameError
from evcore.ocpp.events import Anomaly, Finished, Outcome, ResultRefused
from evcore.ocpp.rules import RULES

TIME = {"currentTime": "2026-11-23T18:00:00Z"}
STREAM = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}


# What is no call at all: Rules.unreadable, Rules.unknown_type

UNREADABLE = [
    b"",
    b"nonsense",
    b"\xff\xfe",
    b"{}",
    b"[]",
    b"null",
    b'[2,5,"Heartbeat",{}]',
    b'[2,"","Heartbeat",{}]',
    b'[2,null,"Heartbeat"]',
]


@pytest.mark.parametrize("message", UNREADABLE)
@every_version
@every_role
def test_what_cannot_be_named_is_answered_under_minus_one_in_2_x_and_in_1_6_if_wanted(
    message: bytes, version: str, role: str
) -> None:
    session = make(version, role)
    [event] = feed(session, message)
    assert event.answered == (version != "1.6")
    assert [answer[:3] for answer in sent(session)] == ([[4, "-1", "RpcFrameworkError"]] if event.answered else [])
    other = make(version, role, rules=replace(RULES[version], unreadable="GenericError"))
    feed(other, message)
    assert [answer[:3] for answer in sent(other)] == [[4, "-1", "GenericError"]]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b'[2,"a","Heart', "FormatViolation"),
        (b'[2,"a","Heartbeat",{}] trailing', "FormatViolation"),
        (b'[2,"a","Heartbeat",{"a":NaN}]', "FormatViolation"),
        (b'[2,"a","Heartbeat",[]]', "FormatViolation"),
        (b'[2,"a","Heartbeat"]', "RpcFrameworkError"),
        (b'[2,"a","Heartbeat",{},5]', "RpcFrameworkError"),
        (b'[2,"a",5,{}]', "RpcFrameworkError"),
        (b'[2,"a","DataTransfer",{"n":18446744073709551616}]', "PropertyConstraintViolation"),
        (b'[2,"a","DataTransfer",{"n":' + b"[" * 40 + b"]" * 40 + b"}]", "InternalError"),
    ],
)
@every_version
@every_role
def test_a_broken_call_with_an_id_is_answered_with_what_is_wrong(
    message: bytes, code: str, version: str, role: str
) -> None:
    session = make(version, role)
    [event] = feed(session, message)
    assert event.answered
    if version == "1.6":
        code = "FormationViolation" if code in ("FormatViolation", "RpcFrameworkError") else code
    assert [answer[:3] for answer in sent(session)] == [[4, "a", code]]


@every_role
def test_the_bytes_of_invalid_json_never_come_back(role: str) -> None:
    session = make("2.0.1", role)
    feed(session, b'[2,"a","Heartbeat",{"secret-of-mine":')
    [answer] = session.to_send()
    assert b"secret-of-mine" not in answer


@every_version
@every_role
def test_a_type_number_nobody_knows_is_ignored_but_by_2_0_1(version: str, role: str) -> None:
    session = make(version, role)
    for message, id in (([7, "a", {}], "a"), ([7, 5, {}], "-1"), (["2", "a", "Heartbeat", {}], "a")):
        [event] = feed(session, message)
        assert event.answered == (version == "2.0.1")
        answers = [[4, id, "MessageTypeNotSupported"]] if event.answered else []
        assert [message[:3] for message in sent(session)] == answers
    quiet = make(version, role, rules=replace(RULES[version], unknown_type=None))
    feed(quiet, [7, "a", {}])
    assert quiet.to_send() == []


NEVER_ANSWERED = [
    b'[3,"zz",{}]',
    b'[3,"zz"]',
    b'[3,"zz",{"a":]',
    b'[4,"zz","GenericError","",{}]',
    b'[4,"zz"]',
    b'[4,"-1","RpcFrameworkError","",{}]',
    b'[5,"zz","GenericError","",{}]',
    b'[5,"zz"]',
    b'[6,"zz","NotifyPeriodicEventStream",{}]',
    b'[6,"zz","Teleport",{}]',
    b'[6,"zz"]',
]


@pytest.mark.parametrize("message", NEVER_ANSWERED)
@every_version
@every_role
def test_only_calls_are_ever_answered(message: bytes, version: str, role: str) -> None:
    session = make(version, role)
    waiting = session.call(*own(role)[:2], 0)
    session.to_send()
    events = feed(session, message)
    assert [type(event) for event in events] == [Anomaly]
    if version == "2.0.1" and message[1:2] in b"56":  # to 2.0.1 these are unknown types
        assert [answer[2] for answer in sent(session)] == ["MessageTypeNotSupported"]
    assert session.to_send() == []
    assert feed(session, [3, waiting, own(role)[2]])[0].outcome is Outcome.ANSWERED, "it waited on"


def test_a_peer_that_could_not_read_us_is_told_apart() -> None:
    session = make("2.0.1")
    waiting = session.call("ClearCache", {}, 0)
    [event] = feed(session, [4, "-1", "RpcFrameworkError", "", {}])
    assert event.reason == "peer_could_not_read"
    assert feed(session, [3, waiting, {"status": "Accepted"}])[0].outcome is Outcome.ANSWERED


# Results that please nobody


@every_version
@every_role
def test_an_invalid_result_ends_its_call_and_is_refused_in_2_1(version: str, role: str) -> None:
    session = make(version, role)
    action, payload, answer = own(role)
    for broken in ([3, None, {"no": "such member"}], [3, None]):
        broken[1] = id = session.call(action, payload, 0)
        session.to_send()
        events = feed(session, broken)
        [end] = [event for event in events if isinstance(event, Finished)]
        assert (end.id, end.outcome) == (id, Outcome.INVALID)
        assert [message[:2] for message in sent(session)] == ([[5, id]] if version == "2.1" else [])
        assert [event.reason for event in feed(session, [3, id, answer])] == ["unknown_answer"], "it is over"


def test_a_peer_that_does_not_know_callresulterror_can_be_spared_it() -> None:
    session = make("2.1", rules=replace(RULES["2.1"], result_errors=False))
    id = session.call("ClearCache", {}, 0)
    session.to_send()
    feed(session, [3, id, {}])
    assert session.to_send() == []


def test_our_answer_refused_by_the_peer_is_an_event_for_whoever_gave_it_once() -> None:
    session = make("2.1")
    feed(session, [2, "a", "Heartbeat", {}])
    session.answer("a", TIME, 0)
    session.to_send()
    [event] = feed(session, [5, "a", "TypeConstraintViolation", "what?", {"n": 1}])
    assert isinstance(event, ResultRefused)
    assert (event.id, event.action, event.error.code, event.error.details) == (
        "a",
        "Heartbeat",
        "TypeConstraintViolation",
        {"n": 1},
    )
    assert [event.reason for event in feed(session, [5, "a", "GenericError", "", {}])] == ["unknown_answer"]
    assert session.to_send() == []


def test_who_asked_may_refuse_a_valid_result_once_as_in_i08() -> None:
    session = make("2.1", "station")
    id = session.call("Heartbeat", {}, 0)
    assert not session.refuse_result(id, "GenericError"), "not before it came"
    feed(session, [3, id, TIME])
    session.to_send()
    assert session.refuse_result(id, "PropertyConstraintViolation", "no such tariff", {"x": 1})
    assert not session.refuse_result(id, "GenericError")
    assert sent(session) == [[5, id, "PropertyConstraintViolation", "no such tariff", {"x": 1}]]


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_before_2_1_there_is_no_word_for_it_and_no_send(version: str) -> None:
    session = make(version, "station")
    id = session.call("Heartbeat", {}, 0)
    feed(session, [3, id, TIME])
    session.to_send()
    assert not session.refuse_result(id, "GenericError")
    with pytest.raises((FrameError, ValueError)):
        session.send("NotifyPeriodicEventStream", STREAM)
    assert session.to_send() == []


def test_what_is_kept_of_results_is_bounded() -> None:
    session = make("2.1")
    for n in range(100):
        feed(session, [2, f"a{n}", "Heartbeat", {}])
        session.answer(f"a{n}", TIME, 0)
    assert isinstance(feed(session, [5, "a99", "GenericError", "", {}])[0], ResultRefused)
    assert isinstance(feed(session, [5, "a0", "GenericError", "", {}])[0], Anomaly)
