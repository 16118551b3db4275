"""Frames are found in the logs of the programs that people run, and explained as the codec judges them."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp_cases import Cases

from evcore.errors import MessageError
from evcore.ocpp import Codec, Limits
from evcore.ocpp.action_words import WORDS, facts_of
from evcore.ocpp.explain import explain, judge, unanswered
from evcore.ocpp.frame_log import Found, find_frames, seconds_between
from evcore.ocpp.schemas import VERSIONS, schemas_of

# One line each of the logs of lbbrhzn/ocpp (Home Assistant), evcc (two versions), SteVe, mobilityhouse/ocpp's own
# logging, an Alfen's log, a time in brackets as candump writes it, and JSON lines with the frame as text or as a list.
LINES: list[tuple[str, str | None, str, str]] = [
    (
        '2025-04-17 13:15:54.909 INFO (MainThread) [ocpp] 0312209: receive message [2, "0800", "Heartbeat", {}]',
        "received", "0312209", "2025-04-17 13:15:54.909",
    ),
    (
        '2025-04-17 13:15:54 INFO (MainThread) [ocpp] GRS-1: send [2,"0800","Heartbeat",{}]',
        "sent", "GRS-1", "2025-04-17 13:15:54",
    ),
    ('[ocpp  ] TRACE 2024/07/30 21:05:18 send zjb: [2,"610","Heartbeat",{}]', "sent", "zjb", "2024/07/30 21:05:18"),
    (
        '[ocpp  ] TRACE 2023/09/02 12:49:19 received JSON message from Wall-E: [2,"401","Heartbeat",{}]',
        "received", "Wall-E", "2023/09/02 12:49:19",
    ),
    (
        "[INFO ] 2026-02-04 07:51:08,226 de.rwth.idsg.steve.ocpp.ws.WebSocketLogger (qtp332357514-25) - "
        '[chargeBoxId=1234, sessionId=2b449b97-11ac] Sending: [2,"3","Heartbeat",{}]',
        "sent", "1234", "2026-02-04 07:51:08,226",
    ),
    ('INFO:ocpp:2108011897A: receive message [2,"6e44","Heartbeat",{}]', "received", "2108011897A", ""),
    ('2022-01-17T18:46:47.718Z:COM:ocpp_rpc.c:663:-> [2,"72","Heartbeat",{}]', "sent", "", "2022-01-17T18:46:47.718Z"),
    ('(1700000000.123456) CP-01 <- [2,"77","Heartbeat",{}]', "received", "CP-01", "(1700000000.123456)"),
    (
        '{"time":"2026-01-01T00:00:00Z","station":"CP-9","direction":"in","message":"[2,\\"78\\",\\"Heartbeat\\",{}]"}',
        "received", "CP-9", "2026-01-01T00:00:00Z",
    ),
    (
        '{"time":"2026-01-01T00:00:00Z","station":"CP-9","direction":"out","message":[2,"79","Heartbeat",{}]}',
        "sent", "CP-9", "2026-01-01T00:00:00Z",
    ),
    ('[2,"80","Heartbeat",{}]', None, "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("line", "direction", "station", "time"), LINES)
def test_a_frame_is_found_in_the_log_of_any_program(line: str, direction: str | None, station: str, time: str) -> None:
    (found,) = find_frames(f"some words before\n{line}\nand after\n")
    assert json.loads(found.data)[2] == "Heartbeat"
    assert (found.line, found.direction, found.station, found.time) == (2, direction, station, time)


def test_a_json_array_of_frames_is_read_frame_by_frame() -> None:
    text = '[[2,"1","Heartbeat",{}],\n [3,"1",{"currentTime":"2026-01-01T00:00:00Z"}], [2,"1","Heartbeat",{}]]'
    assert [json.loads(found.data)[0] for found in find_frames(text)] == [2, 3, 2]


def test_a_frame_over_many_lines_is_one_though_it_is_broken() -> None:
    """lbbrhzn/ocpp#2032."""
    text = (
        'receive message [2,"1","MeterValues",{\n  "connectorId":1,\n  "transactionId":,\n  "meterValue":[]\n}]\nnext'
    )
    (found,) = find_frames(text)
    assert found.data.endswith(b"[]\n}]")


def test_a_frame_that_an_error_says_again_or_that_is_shortened_is_not_counted_twice() -> None:
    """lbbrhzn/ocpp#176 and #442: the frame lacks its end."""
    text = """
2022-03-25 13:10:47 DEBUG (MainThread) [websockets.server] < TEXT '[3,"189c","GetC...erValuesSampledData"]}]' [96 bytes]
2022-03-25 13:10:47 INFO (MainThread) [ocpp] GRS-1: receive message [3,"189c",{"configurationKey":[]
2022-03-25 13:10:47 ERROR (MainThread) [ocpp] Unable to parse message: '[3,"189c",{"configurationKey":[]', it doesn't
"""
    (found,) = find_frames(text)
    assert found.data == b'[3,"189c",{"configurationKey":[]'
    assert found.line == 3


def test_bytes_that_are_no_utf8_reach_the_codec_as_they_were() -> None:
    data = b'[2,"1","DataTransfer",{"vendorId":"caf\xe9"}]'
    (found,) = find_frames(data.decode("utf-8", "surrogateescape"))
    assert found.data == data


def test_a_frame_that_does_not_end_costs_what_its_length_says() -> None:
    text = '[2,"1","DataTransfer",{"data":"' + '\\"' * 100_000  # a square law would take hours
    (found,) = find_frames(text)
    assert found.data == text.encode()


@given(st.text(max_size=300), st.sampled_from([line for line, *_ in LINES]), st.integers(0, 200))
def test_any_text_is_read_and_explained_without_an_error(text: str, line: str, cut: int) -> None:
    for whole in (text, line[:cut] + text + line[cut:], line[:cut]):
        for frame in explain(find_frames(whole)):
            assert len(frame.facts) < 30


def test_an_answer_is_paired_with_its_call_of_the_same_station_the_other_way() -> None:
    log = """\
2026-11-23 10:00:00.000 A: receive message [2,"7","Heartbeat",{}]
2026-11-23 10:00:00.100 B: receive message [2,"7","Authorize",{"idTag":"X"}]
2026-11-23 10:00:00.200 A: send [2,"7","GetConfiguration",{}]
2026-11-23 10:00:00.250 A: send [3,"7",{"currentTime":"2026-11-23T10:00:00Z"}]
2026-11-23 10:00:00.300 B: send [3,"7",{"idTagInfo":{"status":"Accepted"}}]
2026-11-23 10:00:01.450 A: receive message [3,"7",{"configurationKey":[]}]
2026-11-23 10:00:02.000 A: receive message [2,"8","BootNotification",{"chargePointModel":"m","chargePointVendor":"v"}]
2026-11-23 10:00:02.000 A: receive message [3,"9",{}]
"""
    frames = explain(find_frames(log))
    assert [frame.answers for frame in frames] == [None, None, None, 1, 2, 3, None, None]
    assert [frame.answered for frame in frames] == [4, 5, 6, None, None, None, None, None]
    assert [frame.after for frame in frames[3:6]] == [0.25, 0.2, 1.25]
    assert [frame.action for frame in frames[3:]] == [
        "Heartbeat",
        "Authorize",
        "GetConfiguration",
        "BootNotification",
        None,
    ]
    assert [call.found.line for call in unanswered(frames)] == [7]
    assert list(frames[0].verdicts) == ["1.6"], "GetConfiguration is known to 1.6 only"
    assert not frames[7].verdicts["1.6"].judged
    assert all(frame.valid for frame in frames)


def test_every_violation_is_told_and_what_the_lenient_mode_would_mend() -> None:
    message = (
        b'[2,"1","MeterValues",{"connectorId":"1","extra":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z",'
        b'"sampledValue":[{"value":5,"unit":"Hz","measurand":"Frequency"}]}]}]'
    )
    (frame,) = explain([Found(1, message)], versions=["1.6"])
    verdict = frame.verdicts["1.6"]
    assert {(one.code, one.path) for one in verdict.violations} == {
        ("TypeConstraintViolation", "/connectorId"),
        ("FormationViolation", "/extra"),
        ("TypeConstraintViolation", "/meterValue/0/sampledValue/0/value"),
        ("PropertyConstraintViolation", "/meterValue/0/sampledValue/0/unit"),
    }
    assert {repair.name for repair in verdict.repairs} == {
        "text_number",
        "unknown_left_out",
        "number_text",
        "enum_spelling",
    }
    assert verdict.lenient


def test_a_broken_frame_is_told_with_what_is_wrong_in_it_besides() -> None:
    message = b'[2,"1","StatusNotification",{"connectorId":1,"info":,"errorCode":"NoError","status":"Charging ","x":1}]'
    verdict = judge(message, "1.6", None)
    assert [one.code for one in verdict.violations] == ["json", "PropertyConstraintViolation", "FormationViolation"]
    assert verdict.violations[0].path == "byte 52"
    assert '"info":,' in verdict.violations[0].got
    assert [repair.name for repair in verdict.repairs] == ["empty_value", "enum_spelling", "unknown_left_out"]


def test_what_no_version_can_read_is_told_as_such() -> None:
    (frame,) = explain([Found(1, b'[2,"1","Heartbeat"]')])
    assert not frame.valid
    assert frame.verdicts["2.0.1"].violations[0].code == "arity"
    (frame,) = explain([Found(1, b'[2,"1","NoSuchAction",{}]')])
    assert {verdict.violations[0].code for verdict in frame.verdicts.values()} == {"NotImplemented"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_verdict_is_the_codecs_and_its_violation_comes_first(version: str) -> None:
    codec, kinds = (
        Codec(version, formats=True, limits=Limits(size=1 << 24, nodes=1 << 24)),
        {"request": 2, "response": 3, "send": 6},
    )
    for kind, action in sorted(schemas_of(version).messages)[::5]:
        schema = schemas_of(version).get(kind, action)
        assert schema is not None
        head: list[Any] = [kinds[kind], "1"] if kind == "response" else [kinds[kind], "1", action]
        for case in islice(Cases(schema, 11), 10):
            message = json.dumps(head).encode()[:-1] + b"," + case.text + b"]"
            violations = judge(message, version, action).violations
            try:
                codec.decode(message, action=action)
            except MessageError as error:
                code = getattr(error, "code", None) or getattr(error, "reason", None)
                assert violations[0].code == code
            else:
                assert violations == []


def test_every_action_has_its_words() -> None:
    known = {action for version in VERSIONS for _, action in schemas_of(version).messages}
    assert set(WORDS) == known


def test_facts_are_few_and_short_and_show_no_secret() -> None:
    assert facts_of({"key": "AuthorizationKey", "value": "4F43415F4F4354545F61646D696E5F74657374"}) == [
        "key AuthorizationKey",
        "value ***",
    ]
    assert facts_of({"basicAuthPassword": "secret"}) == ["basicAuthPassword ***"]
    assert facts_of({"location": "ftp://user:secret@host/file"}) == ["location ftp://***@host/file"]
    facts = facts_of({f"m{n}": "x" * 1000 for n in range(1000)})
    assert len(facts) == 9
    assert all(len(fact) < 130 for fact in facts)
    sample = {"value": "1.5", "measurand": "Power.Active.Import", "phase": "L1", "unit": "kW"}
    meter_value = [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [sample] * 6}]
    assert facts_of({"connectorId": 1, "meterValue": meter_value})[1:] == [
        *["Power.Active.Import L1 1.5 kW"] * 4,
        "2 more samples",
        "sampled 2026-01-01T00:00:00Z",
    ]


def test_times_of_different_kinds_are_not_subtracted() -> None:
    assert seconds_between("2026-11-23 10:00:00.5", "2026-11-23 10:00:01,75") == 1.25
    assert seconds_between("(1700000000.25)", "(1700000001.5)") == 1.25
    assert seconds_between("2026-11-23 10:00:00", "2026-11-23T10:00:00Z") is None
    assert seconds_between("", "2026-11-23T10:00:00Z") is None
    assert seconds_between("2026-11-23 10:00:01", "2026-11-23 10:00:00") is None
