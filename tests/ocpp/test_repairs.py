"""Each repair of the lenient mode against the message of the charger that needs it, in the form of its issue."""

from __future__ import annotations

import contextlib
import json
import time
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp_cases import Cases

from evcore.errors import FrameError, MessageError, PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.policy import Policy, Rule
from evcore.ocpp.repairs import Repair, default_names, table
from evcore.ocpp.schemas import VERSIONS, schemas_of

SAMPLE = {"timestamp": "2026-08-04T13:35:45Z", "sampledValue": [{"value": "1750"}]}


def call(action: str, payload: Any) -> bytes:
    return json.dumps([2, "1", action, payload]).encode()


def meter(**sample: Any) -> bytes:
    """A MeterValues of 1.6 with one sample."""
    return call(
        "MeterValues",
        {"connectorId": 1, "meterValue": [{"timestamp": "2026-08-04T13:35:45Z", "sampledValue": [sample]}]},
    )


def at(payload: Any, path: str) -> Any:
    for step in path.strip("/").split("/") if path else ():
        payload = payload[int(step)] if isinstance(payload, list) else payload[step]
    return payload


GONE = object()
FIRST = "/meterValue/0/sampledValue/0"

# repair, version, message, path into the mended payload, what is there then (GONE: no such member), whose message it is
CASES = [
    (
        "empty_value", "1.6",
        b'[2,"1","MeterValues",{\n "connectorId":1,\n "transactionId":,\n "meterValue":[{"timestamp":'
        b'"2026-08-04T13:35:45Z","sampledValue":[{"value":"1750","measurand":"Energy.Active.Import.Register","unit":"Wh"}]}]}]',
        "/transactionId", GONE, "lbbrhzn/ocpp#2032",
    ),
    (
        "stray_comma", "1.6",
        b'[2,"9lmha8x27fuad8cemfzn5bxr","MeterValues",{"connectorId":1,"transactionId":1707206943,"meterValue":[{"timestamp":'
        b'"2024-02-06T08:09:37Z","sampledValue":[,{"value":"139955","measurand":"Energy.Active.Import.Register"}]}]}]',
        FIRST + "/value", "139955", "lbbrhzn/ocpp#1078",
    ),
    (
        "raw_control", "1.6",
        b'[3,"1986641971",{"configurationKey":[{"key":"SupportedFeatureProfiles","readonly":true,"value":"Core\x00\x07"}]}]',
        "/configurationKey/0/value", "Core\x00\x07", "evcc-io/evcc#3685",
    ),
    ("unclosed", "1.6", b'[3,"64b4a0fc",{"configurationKey":[]', "/configurationKey", [], "lbbrhzn/ocpp#176"),
    (
        "null_left_out", "1.6",
        call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "info": None, "status": "Unavailable",
                                    "timestamp": "2022-01-27T14:42:15.1240977Z"}),
        "/info", GONE, "mobilityhouse/ocpp#296",
    ),
    (
        "empty_left_out", "1.6",
        meter(value="226", measurand="Voltage", unit=""), FIRST + "/unit", GONE, "EVerest/libocpp#808",
    ),
    (
        "number_text", "1.6", meter(value=604.213, measurand="Energy.Active.Import.Register", unit="Wh"),
        FIRST + "/value", "604.213", "lbbrhzn/ocpp#210",
    ),
    (
        "number_text", "1.6",
        b'[3,"1",{"configurationKey":[{"key":"NumberOfConnectors","readonly":true,"value":1}]}]',
        "/configurationKey/0/value", "1", "mobilityhouse/ocpp#707",
    ),
    (
        "number_text", "1.6",
        b'[3,"1",{"configurationKey":[{"key":"LocalAuthListEnabled","readonly":true,"value":false}]}]',
        "/configurationKey/0/value", "false", "mobilityhouse/ocpp#582",
    ),
    (
        "object_text", "1.6",
        call("DataTransfer", {"vendorId": "btc", "messageId": "stationMode", "data": {"StationMode": "paymentMode"}}),
        "/data", '{"StationMode":"paymentMode"}', "mobilityhouse/ocpp#462",
    ),
    (
        "text_number", "1.6",
        call("StatusNotification", {"connectorId": "1", "errorCode": "NoError", "status": "Available"}),
        "/connectorId", 1, "voltbras/go-ocpp#16",
    ),
    (
        "text_boolean", "1.6",
        b'[3,"4010434209",{"configurationKey":[{"key":"AuthorizeRemoteTxRequests","readonly":"true","value":"false"}]}]',
        "/configurationKey/0/readonly", True, "evcc-io/evcc#10339",
    ),
    (
        "number_boolean", "1.6",
        b'[3,"1",{"configurationKey":[{"key":"HeartbeatInterval","readonly":0,"value":"60"}]}]',
        "/configurationKey/0/readonly", False, "evcc-io/evcc#26253",
    ),
    (
        "whole_number", "1.6",
        b'[2,"1","StopTransaction",{"meterStop":26008.0,"timestamp":"2026-06-23T10:00:00Z","transactionId":7}]',
        "/meterStop", 26008, "shiv3/ocpp-cp-simulator#83",
    ),
    (
        "item_list", "1.6",
        call("MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": {
            "timestamp": "2024-04-16T17:28:55.000Z",
            "sampledValue": [{"value": "0.00", "context": "Transaction.Begin", "unit": "kWh"}]}}),
        FIRST + "/unit", "kWh", "lbbrhzn/ocpp#1144",
    ),
    ("enum_spelling", "1.6", meter(value="49.97", measurand="Frequency", unit="Hz"), FIRST + "/unit", "Hertz",
     "lbbrhzn/ocpp#1576"),
    ("enum_spelling", "1.6", meter(value="31", measurand="Temperature", unit="C"), FIRST + "/unit", "Celsius",
     "OpenEVSE/openevse_esp32_firmware#726"),
    (
        "enum_spelling", "1.6",
        call("StatusNotification", {"connectorId": 0, "errorCode": "Error", "status": "Faulted",
                                    "timestamp": "2024-08-03T16:16:55Z"}),
        "/errorCode", "OtherError", "lbbrhzn/ocpp#1248",
    ),
    (
        "enum_other", "1.6",
        call("MeterValues", {"connectorId": 1, "transactionId": 9223372036854775807, "meterValue": [{
            "timestamp": "2020-09-19T15:14:23Z",
            "sampledValue": [{"value": "15.630", "context": "Sample.Periodic", "unit": "A"},
                             {"value": "16.000", "context": "CurrentMax", "unit": "A"}]}]}),
        "/meterValue/0/sampledValue/1/context", "Other", "lbbrhzn/ocpp#361",
    ),
    (
        "cut", "1.6",
        call("BootNotification", {"chargeBoxSerialNumber": "EVB1A22P2KI3N12345678901234567890",
                                  "chargePointModel": "EVlink Smart Wallbox", "chargePointVendor": "Schneider Electric",
                                  "chargePointSerialNumber": "3N123456789F2S1B1234567890"}),
        "/chargePointSerialNumber", "3N123456789F2S1B123456789", "lbbrhzn/ocpp#1622",
    ),
    (
        "unknown_left_out", "1.6", call("Authorize", {"connectorId": 2, "idTag": "043768e29a7"}), "/connectorId", GONE,
        "evcc-io/evcc#14579",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "version", "message", "path", "value", "issue"), CASES)
def test_the_message_of_a_real_charger_is_refused_strictly_and_mended_leniently(
    name: str, version: str, message: bytes, path: str, value: Any, issue: str
) -> None:
    assert any(issue in seen for seen in table()[name].seen)
    with pytest.raises(MessageError):
        Codec(version).decode(message, action="GetConfiguration")
    frame = Codec(version, mode="lenient").decode(message, names="wire", action="GetConfiguration")
    assert name in {repair.name for repair in frame.repairs}
    if value is GONE:
        holder, _, member = path.rpartition("/")
        assert member not in at(frame.payload, holder)
    else:
        found = at(frame.payload, path)
        assert found == value
        assert type(found) is type(value)
    without = Codec(version, policy=Policy("lenient", default_names() - {name}))
    with pytest.raises(MessageError):
        without.decode(message, action="GetConfiguration")


TIMES = [
    ("time_zone", "2023-10-19T15:28:07", "2023-10-19T15:28:07Z", "evcc-io/evcc#10399"),
    ("time_offset", "2024-04-26T14:35:02+02", "2024-04-26T14:35:02+02:00", "monta-app/ocpp-emulator#5"),
    ("time_seconds", "2013-01-01T00:00Z", "2013-01-01T00:00:00Z", "foxriver76/ioBroker.ocpp#24"),
    ("time_left_out", "2022-02-29T07:02:33.000Z", None, "steve-community/steve#769"),
    ("empty_left_out", "", None, "EVerest/libocpp#808"),
]


def status(timestamp: str) -> bytes:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": timestamp}
    return call("StatusNotification", payload)


@pytest.mark.parametrize(("name", "sent", "meant", "issue"), TIMES)
def test_a_timestamp_that_a_real_station_sends_is_mended(name: str, sent: str, meant: str | None, issue: str) -> None:
    assert any(issue in seen for seen in table()[name].seen)
    assert Codec("1.6").decode(status(sent)).payload["timestamp"] == sent, "formats are not judged unless asked for"
    with pytest.raises(PayloadError):
        Codec("1.6", formats=True).decode(status(sent))
    frame = Codec("1.6", mode="lenient", formats=True).decode(status(sent))
    assert [repair.name for repair in frame.repairs] == [name]
    assert frame.payload.get("timestamp") == meant
    with pytest.raises(PayloadError):
        Codec("1.6", policy=Policy("lenient", default_names() - {name}), formats=True).decode(status(sent))


def test_several_faults_of_one_timestamp_are_mended_one_by_one() -> None:
    frame = Codec("1.6", mode="lenient", formats=True).decode(status("2024-04-26T14:35+0200"))
    assert frame.payload["timestamp"] == "2024-04-26T14:35:00+02:00"
    assert [repair.name for repair in frame.repairs] == ["time_offset", "time_seconds"]


def test_a_required_timestamp_that_names_no_time_is_not_guessed() -> None:
    message = call("StopTransaction", {"meterStop": 1, "transactionId": 1, "timestamp": "2022-02-29T07:02:33.000Z"})
    with pytest.raises(PayloadError):
        Codec("1.6", mode="lenient", formats=True).decode(message)


def test_an_answer_with_nothing_in_it_is_mended_by_what_it_leaves_out() -> None:
    """evcc-io/evcc#17836: Heidelberg Amperfied connect.business, when it rejects GetCompositeSchedule."""
    message = b"""[3,"2410947932", { "status": "Rejected", "connectorId": 0, "chargingSchedule": { "duration": 0,
    "chargingSchedulePeriod": [], "startSchedule": "0", "chargingRateUnit": "" }, "scheduleStart": "0" }]"""
    frame = Codec("1.6", mode="lenient", formats=True).decode(message, action="GetCompositeSchedule")
    assert frame.payload == {"status": "Rejected", "connector_id": 0}
    assert {repair.name: repair.path for repair in frame.repairs} == {
        "hollow_left_out": "/chargingSchedule",
        "time_left_out": "/scheduleStart",
    }


@pytest.mark.parametrize(
    ("name", "message", "parts"),
    [
        (
            "error_short",
            '[4, "13236754", "FormationViolation", ""]',
            ("FormationViolation", "", {}),
        ),  # lbbrhzn/ocpp#899
        ("error_short", '[4,"1","Generic,Error"] ', ("Generic,Error", "", {})),
        (
            "details_text",  # steve-community/steve#45
            '[4,"UID2077486715","InternalError","Internal services failed","SQL [insert into {...]"]',
            ("InternalError", "Internal services failed", {"text": "SQL [insert into {...]"}),
        ),
    ],
)
def test_a_callerror_that_lacks_a_part_is_one(name: str, message: str, parts: tuple[str, str, dict[str, str]]) -> None:
    with pytest.raises(FrameError):
        Codec("1.6").decode(message)
    frame = Codec("1.6", mode="lenient").decode(message)
    assert [repair.name for repair in frame.repairs] == [name]
    assert (frame.error_code, frame.error_description, frame.error_details) == parts


@pytest.mark.parametrize(
    "message",
    [
        '[4,"1"]',
        '[4,"1",7,""]',
        '[4,"1","a","b",{},{}]',
        '[4,"1",["a"]]',
        '[2,"1","Heartbeat"]',
        '[3,"1"]',
        '[4,"1","a"],',
    ],
)
def test_other_frames_of_the_wrong_length_stay_refused(message: str) -> None:
    with pytest.raises(FrameError) as strict:
        Codec("1.6").decode(message, action="Heartbeat")
    with pytest.raises(FrameError) as lenient:
        Codec("1.6", mode="lenient").decode(message, action="Heartbeat")
    assert str(lenient.value) == str(strict.value)


def test_every_repair_has_its_message_here() -> None:
    here = {case[0] for case in CASES} | {case[0] for case in TIMES}
    assert set(table()) - here == {"details_text", "error_short", "hollow_left_out", "let_through"}, (
        "which have their own"
    )


NEVER = [
    ("1.6", meter(value="1", measurand="Request.Energy"), "a measurand that nobody knows: mobilityhouse/ocpp#54"),
    ("1.6", meter(value="1", measurand=""), "its default is an energy"),
    ("1.6", meter(value="1", measurand=None), "its default is an energy"),
    ("1.6", meter(value="1", measurand="Energy.Active.Import.Register", unit=""), "Wh or kWh?"),
    ("1.6", meter(value="1", unit=None), "Wh or kWh?"),
    ("1.6", meter(value=None), "a reading of nothing"),
    (
        "1.6",
        call("StopTransaction", {"meterStop": 26008.333, "timestamp": "2026-06-23T10:00:00Z", "transactionId": 7}),
        "rounding is the meter's matter: shiv3/ocpp-cp-simulator#83",
    ),
    (
        "1.6",
        call("StopTransaction", {"meterStop": None, "timestamp": "2026-06-23T10:00:00Z", "transactionId": 7}),
        "a reading of nothing",
    ),
    (
        "1.6",
        call("StopTransaction", {"meterStop": 1, "timestamp": "2026-06-23T10:00:00Z", "transactionId": ""}),
        "which transaction?",
    ),
    ("1.6", call("Authorize", {"idTag": "X16WG99J2QIEGCC0MCJ5-"}), "cut it is another token: lbbrhzn/ocpp#1803"),
    (
        "1.6",
        b'[2,"1","StopTransaction",{"meterStop":1388,"idTag":"BA86I250X5G6MOD5DLKD\x10\x0e","transactionId":1,'
        b'"timestamp":"2026-08-14T11:42:28Z"}]',
        "cut it is another token: lbbrhzn/ocpp#2030",
    ),
    (
        "1.6",
        b'[2,"213","StartTransaction",{"connectorId":2,"idTag":"336699\\","meterStart":33259490,'
        b'"timestamp":"2022-07-28T09:41:15Z"}]',
        "where does the token end? mobilityhouse/ocpp#415",
    ),
    ("1.6", b'[2,"1","MeterValues",{"connectorId":1,"meterValue":[]', "what is lost behind is not known"),
    ("1.6", call("Authorize", {"idtag": "043768E29A7"}), "a misspelled member is no unknown one"),
    (
        "1.6",
        call(
            "StopTransaction",
            {"meterStop": 1, "timestamp": "2026-06-23T10:00:00Z", "transactionId": 1, "IdTag": "043768E29A7"},
        ),
        "a misspelled token would be lost",
    ),
    (
        "2.0.1",
        call("Authorize", {"idToken": {"idToken": "A" * 37, "type": "ISO14443"}}),
        "cut it is another token",
    ),
]


@pytest.mark.parametrize(("version", "message", "why"), NEVER)
def test_nothing_that_a_bill_depends_on_is_ever_guessed(version: str, message: bytes, why: str) -> None:
    with pytest.raises(MessageError) as strict:
        Codec(version).decode(message)
    with pytest.raises(MessageError) as lenient:
        Codec(version, mode="lenient").decode(message)
    assert str(lenient.value) == str(strict.value), "the original verdict stands"


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
    """Four times the length may cost four times the time, with room for noise; a square law would cost sixteen."""
    codec = Codec("1.6", mode="lenient")

    def cost(message: bytes) -> float:
        best = 1e9
        for _ in range(5):
            start = time.perf_counter()
            with contextlib.suppress(MessageError):
                codec.decode(message, action="GetConfiguration")
            best = min(best, time.perf_counter() - start)
        return best

    for short, long in zip(hostile(15_000), hostile(60_000), strict=True):
        assert cost(long) < 10 * cost(short) + 0.005, short[:30]


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
                _give_a_frame_or_a_bounded_error(Codec(version, mode=mode), message)


def _give_a_frame_or_a_bounded_error(codec: Codec, message: bytes) -> None:
    try:
        frame = codec.decode(message, action="GetConfiguration")
    except MessageError as error:
        texts = [str(error), *(str(part) for part in vars(error).values())]
    else:
        assert len(frame.repairs) <= 300
        texts = [text for repair in frame.repairs for text in (*repair, str(repair))]
        if frame.mended is not None:
            Codec(codec.version).decode(frame.mended, action="GetConfiguration")
    for text in texts:
        assert len(text) < 600
        text.encode()  # no half of a surrogate pair
