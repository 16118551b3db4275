"""The lenient mode: what it may do where, what it hands out, and what it costs."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from itertools import islice
from typing import Any

import pytest
from field_messages import CASES, NEVER, SAMPLE, call, meter
from hypothesis import given
from hypothesis import strategies as st
from ocpp_cases import Cases

from evcore.errors import FrameError, MessageError, PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.policy import Policy, Rule
from evcore.ocpp.repairs import Repair, default_names, table
from evcore.ocpp.schemas import VERSIONS, schemas_of


def test_an_empty_list_takes_the_item_with_it_that_must_hold_one() -> None:
    """evcc-io/evcc#25708: transactionData with a time and no sample."""
    message = call(
        "TransactionEvent",
        {
            "eventType": "Updated",
            "timestamp": "2025-11-30T13:14:01Z",
            "triggerReason": "MeterValuePeriodic",
            "seqNo": 1,
            "transactionInfo": {"transactionId": "T1"},
            "meterValue": [{"timestamp": "2025-11-30T13:14:01Z", "sampledValue": []}],
        },
    )
    frame = Codec("2.0.1", mode="lenient").decode(message)
    assert "meter_value" not in frame.payload
    assert [repair.path for repair in frame.repairs] == ["/meterValue/0", "/meterValue"]


def test_what_nothing_mends_is_let_through_only_where_the_policy_says_so() -> None:
    """evcc-io/evcc#15559: ABL eMH3 without chargingRateUnit."""
    message = (
        b'[3, "2383823729" ,{"status":"Accepted","connectorId":1,"chargingSchedule":{"duration":60,'
        b'"chargingSchedulePeriod":[{"startPeriod":0,"limit":-1.0}]}}]\n'
    )
    with pytest.raises(PayloadError):
        Codec("1.6", mode="lenient").decode(message, action="GetCompositeSchedule")
    policy = Policy(actions={"GetCompositeSchedule": Rule("lenient", {"let_through"})})
    frame = Codec("1.6", policy=policy).decode(message, action="GetCompositeSchedule")
    assert frame.payload["charging_schedule"]["charging_schedule_period"] == [{"start_period": 0, "limit": -1.0}]
    assert frame.repairs == (
        Repair("let_through", "/chargingSchedule/chargingRateUnit", "nothing", "handed on as it is"),
    )


def test_a_valid_message_is_as_it_came_whatever_the_mode() -> None:
    message = meter(value="1750", measurand="Energy.Active.Import.Register", unit="Wh")
    frames = [Codec("1.6", mode=mode).decode(message) for mode in ("strict", "lenient", "off")]
    assert frames[0] == frames[1] == frames[2]
    for frame in frames:
        assert frame.repairs is frames[0].repairs == ()
        assert frame.mended is None


def test_the_span_of_a_mended_frame_is_in_the_mended_message() -> None:
    frame = Codec("1.6", mode="lenient").decode(CASES[0][2], names="wire")
    assert frame.mended is not None
    assert frame.payload_span is not None
    start, end = frame.payload_span
    assert json.loads(frame.mended[start:end]) == frame.payload


def test_a_small_number_keeps_its_notation_as_text() -> None:
    message = meter(value=0).replace(b'"value": 0', b'"value": 0.00000010')
    frame = Codec("1.6", mode="lenient").decode(message)
    assert frame.payload["meter_value"][0]["sampled_value"][0]["value"] == "0.00000010"


def test_the_digits_of_other_readings_outlive_a_repair() -> None:
    message = b"""[2,"1","TransactionEvent",{"eventType":"Updated","timestamp":"2026-08-04T13:35:45Z","seqNo":1,
    "iccid":1,"triggerReason":"MeterValuePeriodic","transactionInfo":{"transactionId":"T"},"meterValue":[{"timestamp":
    "2026-08-04T13:35:45Z","sampledValue":[{"value":1750.100},{"value":1e2},{"value":0.30000000000000000001}]}]}]"""
    frame = Codec("2.0.1", mode="lenient", exact={"value"}).decode(message)
    samples = frame.payload["meter_value"][0]["sampled_value"]
    assert [str(sample["value"]) for sample in samples] == ["1750.100", "1E+2", "0.30000000000000000001"]


def test_an_action_has_its_own_rule_and_so_has_each_direction() -> None:
    codec = Codec("1.6", policy=Policy("strict", actions={"MeterValues": "lenient", "Authorize": "off"}))
    assert codec.decode(meter(value="1", measurand="Voltage", unit="")).repairs
    assert codec.decode(CASES[0][2]).repairs, "though the action of broken JSON is read only after its repair"
    assert codec.decode(call("Authorize", {"any": 1})).payload == {"any": 1}
    with pytest.raises(PayloadError):
        codec.decode(call("Heartbeat", {"any": 1}))
    with pytest.raises(FrameError):
        codec.decode(b'[2,"1","Heartbeat",{"any":,}]')
    with pytest.raises(PayloadError):
        codec.encode_call("1", "Authorize", {"any": 1})


def test_what_goes_out_is_strict_unless_the_policy_says_otherwise() -> None:
    """mobilityhouse/ocpp#581: a Scame charger wants numbers as values of its configuration."""
    wanted = {"key": "HeartbeatInterval", "value": 60}
    for codec in (Codec("1.6", mode="lenient"), Codec("1.6", policy=Policy("off"))):
        with pytest.raises(PayloadError):
            codec.encode_call("1", "ChangeConfiguration", wanted)
    off = Codec("1.6", policy=Policy(out_actions={"ChangeConfiguration": "off"}))
    assert json.loads(off.encode_call("1", "ChangeConfiguration", wanted))[3] == wanted
    lenient = Codec("1.6", policy=Policy(out="lenient"))
    assert json.loads(lenient.encode_call("1", "ChangeConfiguration", wanted))[3]["value"] == "60"
    with pytest.raises(PayloadError):
        lenient.encode_call("1", "ChangeConfiguration", {"key": 5, "value": None})


def test_more_faults_than_any_charger_has_are_refused() -> None:
    samples = [{"value": "1", "unit": "C"}] * 257
    message = call("MeterValues", {"connectorId": 1, "meterValue": [{**SAMPLE, "sampledValue": samples}]})
    with pytest.raises(PayloadError):
        Codec("1.6", mode="lenient").decode(message)
    message = call("MeterValues", {"connectorId": 1, "meterValue": [{**SAMPLE, "sampledValue": samples[:256]}]})
    assert len(Codec("1.6", mode="lenient").decode(message).repairs) == 256


def hostile(size: int) -> list[bytes]:
    """Messages that make the slow path work: broken at the end, in every member, in every byte."""
    members = b",".join(b'"m%d":"' % n + b"x" * 8 + b'"' for n in range(size // 20))
    return [
        b'[2,"1","Heartbeat",{' + members + b"}]",
        b'[2,"1","Heartbeat",{"a":[' + b"1," * (size // 2) + b",]}]",
        b'[2,"1","Heartbeat",{"a":"' + b"\x01" * size + b'"}]',
        b'[3,"1",{"a":' + b'"\\' * (size // 2),
        b'[3,"1",{"a":[' + b'"",' * (size // 3) + b"[]",
        b'[2,"1","Heartbeat",{"a":' + b"," * size + b"}]",
    ]


def test_a_hostile_message_costs_what_its_length_says() -> None:
    """Counted in calls of Python and of C: for four times the length four times as many; by a square law sixteen."""
    codec = Codec("1.6", mode="lenient")
    codec.decode(CASES[0][2])  # what is made once is made

    def cost(message: bytes) -> int:
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            with contextlib.suppress(MessageError):
                codec.decode(message, action="GetConfiguration")
        finally:
            sys.setprofile(before)
        return calls

    for short, long in zip(hostile(15_000), hostile(60_000), strict=True):
        assert cost(long) < 5 * cost(short) + 100, short[:30]
    assert max(map(cost, hostile(60_000))) < 100_000


@pytest.mark.parametrize("start", [b"", b"\n" * 20], ids=["plain", "with controls"])
def test_a_text_that_does_not_end_is_looked_at_once(start: bytes) -> None:
    """Inside of one call no count sees it: by a square law, each quote a beginning, this would take ten minutes."""
    message = b'[3,"1",{"a":"' + start + b'\\"' * 60_000
    begin = time.process_time()
    with pytest.raises(FrameError):
        Codec("1.6", mode="lenient").decode(message, action="Heartbeat")
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_lenient_mode_makes_of_any_payload_of_any_action_is_valid(version: str) -> None:
    codec, kinds = Codec(version, mode="lenient"), {"request": 2, "response": 3, "send": 6}
    mended = 0
    for kind, action in sorted(schemas_of(version).messages):
        schema = schemas_of(version).get(kind, action)
        assert schema is not None
        head: list[Any] = [kinds[kind], "1"] if kind == "response" else [kinds[kind], "1", action]
        for case in islice(Cases(schema, 5), 12):
            message = json.dumps(head).encode()[:-1] + b"," + case.text + b"]"
            try:
                frame = codec.decode(message, action=action)
            except MessageError:
                continue
            if frame.repairs:
                mended += 1
                assert frame.mended is not None
                again = Codec(version).decode(frame.mended, action=action)
                assert again.payload == frame.payload
                assert {repair.name for repair in frame.repairs} <= default_names()
    assert mended > 50


ANY_TEXT = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    ).map(lambda payload: json.dumps([2, "1", "BootNotification", payload]).encode()),
    st.sampled_from([case[2] for case in CASES] + [case[1] for case in NEVER]),
)


@given(data=ANY_TEXT, cut=st.tuples(st.integers(0, 400), st.integers(0, 8), st.binary(max_size=6)))
def test_any_bytes_give_a_frame_or_an_error_of_bounded_text(data: bytes, cut: tuple[int, int, bytes]) -> None:
    where, length, other = cut
    for message in (data, data[:where] + other + data[where + length :]):
        for version in VERSIONS:
            for mode in ("strict", "lenient", "off"):
                _give_a_frame_or_a_bounded_error(Codec(version, mode=mode, formats=True), message)
            everything = Policy("lenient", table().keys())
            _give_a_frame_or_a_bounded_error(Codec(version, policy=everything), message)


def _give_a_frame_or_a_bounded_error(codec: Codec, message: bytes) -> None:
    try:
        frame = codec.decode(message, action="GetConfiguration")
    except MessageError as error:
        texts = [str(error), *(str(part) for part in vars(error).values())]
    else:
        assert len(frame.repairs) <= 300
        texts = [text for repair in frame.repairs for text in (*repair, str(repair))]
        if frame.mended is not None and "let_through" not in {repair.name for repair in frame.repairs}:
            Codec(codec.version, formats=codec.formats).decode(frame.mended, action="GetConfiguration")
    for text in texts:
        assert len(text) < 600
        text.encode()  # no half of a surrogate pair
