"""The codec: messages in and out, exact numbers, errors that always can be reported."""

import json
import sys
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation, localcontext
from enum import StrEnum
from types import MappingProxyType

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.errors import FrameError, PayloadError
from evcore.ocpp import Codec, Limits

BOOT = b'[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'


class Word(StrEnum):
    HARD = "Hard"
    HEARTBEAT = "Heartbeat"


# ---- in ----


def test_a_call_is_decoded_with_snake_or_wire_names():
    codec = Codec("1.6")
    assert codec.decode(BOOT).payload == {"charge_point_vendor": "V", "charge_point_model": "M"}
    frame = codec.decode(BOOT, names="wire")
    assert (frame.type, frame.id, frame.action) == (2, "1", "BootNotification")
    assert frame.payload == {"chargePointVendor": "V", "chargePointModel": "M"}
    assert BOOT[slice(*frame.payload_span)] == b'{"chargePointVendor":"V","chargePointModel":"M"}'


def test_scan_builds_no_payload_and_check_judges_it_without_handing_it_out():
    codec = Codec("1.6")
    assert codec.scan(BOOT).payload is None
    assert codec.check(BOOT).payload is None
    wrong = b'[2,"1","BootNotification",{}]'
    assert codec.scan(wrong).action == "BootNotification"
    with pytest.raises(PayloadError):
        codec.check(wrong)


def test_a_result_is_decoded_with_the_action_of_its_call():
    codec = Codec("1.6")
    data = b'[3,"7",{"currentTime":"2026-11-23T18:00:00Z"}]'
    for action in ("Heartbeat", {"7": "Heartbeat", "8": "Reset"}):
        frame = codec.decode(data, action=action)
        assert (frame.action, frame.payload) == ("Heartbeat", {"current_time": "2026-11-23T18:00:00Z"})
    with pytest.raises(PayloadError) as caught:
        codec.decode(data, action="Reset")
    assert (caught.value.type, caught.value.id, caught.value.action) == (3, "7", "Reset")


def test_the_action_may_be_an_enum_that_is_text_and_nothing_that_is_none():
    codec, data = Codec("1.6"), b'[3,"7",{"currentTime":"2026-11-23T18:00:00Z"}]'
    for action in (Word.HEARTBEAT, {"7": Word.HEARTBEAT}):
        frame = codec.decode(data, action=action)
        assert (type(frame.action), frame.action) == (str, "Heartbeat")
    assert codec.encode_call("1", Word.HEARTBEAT, {}) == b'[2,"1","Heartbeat",{}]'
    with pytest.raises(PayloadError, match="/a: expected no such member"):
        codec.encode_call("1", Word.HEARTBEAT, {"a": 1})
    for wrong in (5, b"Heartbeat", {"7": 5}):
        with pytest.raises(TypeError, match="action: expected"):
            codec.decode(data, action=wrong)


def test_a_result_that_nobody_asked_for_is_a_frame_error():
    for action in (None, {"8": "Heartbeat"}):
        with pytest.raises(FrameError) as caught:
            Codec("1.6").decode(b'[3,"7",{}]', action=action)
        assert (caught.value.reason, caught.value.id, caught.value.type) == ("unsolicited", "7", 3)


def test_null_is_taken_for_an_empty_payload():
    assert Codec("1.6").decode(b'[2,"1","Heartbeat",null]').payload == {}
    with pytest.raises(PayloadError, match="OccurenceConstraintViolation"):
        Codec("1.6").decode(b'[2,"1","Authorize",null]')


def test_errors_are_decoded_with_their_details():
    frame = Codec("1.6").decode('[4,"1","GenericError","häh\\n",{"a":[1,{"b":null}]}]')
    assert (frame.error_code, frame.error_description) == ("GenericError", "häh\n")
    assert frame.error_details == {"a": [1, {"b": None}]}
    assert frame.action is None
    frame = Codec("2.1").decode(b'[5,"1","FormatViolation","",{}]')
    assert (frame.type, frame.error_code, frame.error_details) == (5, "FormatViolation", {})


def test_a_send_is_decoded_and_only_actions_that_are_sent_are_known_as_one():
    codec = Codec("2.1")
    data = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}
    message = codec.encode_send("1", "NotifyPeriodicEventStream", data)
    assert message.startswith(b'[6,"1","NotifyPeriodicEventStream",')
    assert codec.decode(message).payload == data
    for wrong in (message.replace(b"[6", b"[2", 1), b'[6,"1","Heartbeat",{}]'):
        with pytest.raises(PayloadError, match="NotImplemented"):
            codec.decode(wrong)


def test_off_judges_frames_and_no_payloads():
    codec = Codec("1.6", mode="off")
    assert codec.decode(b'[2,"1","Authorize",{"idTag":5,"x":1}]').payload == {"id_tag": 5, "x": 1}
    assert codec.decode(b'[2,"1","MyOwn",{"idTag":5}]').payload == {"idTag": 5}
    assert codec.decode(b'[3,"1",{"idTag":5}]').payload == {"idTag": 5}
    assert codec.encode_call("1", "MyOwn", {"id_tag": 5}) == b'[2,"1","MyOwn",{"id_tag":5}]'
    with pytest.raises(FrameError):
        codec.decode(b'[2,"1","Authorize",{"idTag":5]')


@pytest.mark.parametrize(
    "hold", [bytes, bytearray, memoryview, bytes.decode], ids=["bytes", "bytearray", "view", "str"]
)
def test_any_bytes_and_text_are_taken(hold):
    data = '[2,"1","DataTransfer",{"vendorId":"é€😀","data":"x"}]'.encode()
    assert Codec("1.6").decode(hold(data)).payload == {"vendor_id": "é€😀", "data": "x"}
    assert Codec("2.0.1", exact=True).decode(hold(data)).payload == {"vendor_id": "é€😀", "data": "x"}
    assert Codec("1.6").decode(hold(b'[4,"1","GenericError","",{"a":1}]')).error_details == {"a": 1}


@pytest.mark.parametrize("view", [lambda held: held, memoryview, lambda held: memoryview(held).toreadonly()])
def test_bytes_that_change_while_they_are_read_are_read_as_they_came(view):
    """What a thread receives into, or another process writes: here whoever knows the calls writes over it."""
    data = b'[3,"7",{"status":"Accepted","data":"abcd"}]'
    held = bytearray(data)

    class Calls(dict):
        def get(self, key):
            held[:] = b'[3,"7",{"status":"Accepted","data":"\xff\\u"}]'.ljust(len(data))
            return "DataTransfer"

    frame = Codec("1.6").decode(view(held), action=Calls())
    assert frame.payload == {"status": "Accepted", "data": "abcd"}


def test_a_view_longer_than_the_limit_is_refused_unread():
    for hold in (bytes, bytearray, memoryview, bytes.decode):
        with pytest.raises(FrameError, match="limit"):
            Codec("1.6", limits=Limits(size=20)).decode(hold(b'[2,"1","Heartbeat",{}]'))


def test_a_view_of_wider_items_is_read_by_its_bytes():
    data = b'[2,"1","Heartbeat",{}]  '
    assert Codec("1.6").decode(memoryview(data).cast("I")).action == "Heartbeat"


def test_a_version_or_mode_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"2\.0"):
        Codec("2.0")
    with pytest.raises(ValueError, match="mode"):
        Codec("1.6", mode="loose")


# ---- exact numbers ----


def transaction_event(value: str) -> bytes:
    return (
        '[2,"1","TransactionEvent",{"eventType":"Updated","timestamp":"2026-11-23T18:00:00Z","seqNo":1,'
        '"triggerReason":"MeterValuePeriodic","transactionInfo":{"transactionId":"t"},"evse":{"id":1},'
        f'"meterValue":[{{"timestamp":"2026-11-23T18:00:00Z","sampledValue":[{{"value":{value},'
        '"signedMeterValue":{"signedMeterData":"","signingMethod":"","encodingMethod":"","publicKey":""},'
        '"customData":{"vendorId":"V","value":2.50,"other":2.50}}]}]}]'
    ).encode()


def sampled(codec, value):
    return codec.decode(transaction_event(value)).payload["meter_value"][0]["sampled_value"][0]


@pytest.mark.parametrize("value", ["1234.50", "0.10", "123456789.123456789012345678", "-0.0", "1.50E-7", "1e-400"])
def test_exact_names_keep_the_digits_received(value):
    got = sampled(Codec("2.0.1", exact={"value"}), value)["value"]
    assert isinstance(got, Decimal)
    assert got.as_tuple() == Decimal(value).as_tuple()
    assert isinstance(sampled(Codec("2.0.1"), value)["value"], float)


@pytest.mark.parametrize("value", ["1e-99999999999999999999", "-0.1e-99999999999999999999", "0e99999999999999999999"])
def test_what_is_exact_is_a_decimal_whatever_its_exponent(value):
    got = sampled(Codec("2.0.1", exact={"value"}), value)["value"]
    assert type(got) is Decimal
    assert (got, got.is_signed()) == (0, value.startswith("-"))


def test_a_path_that_is_no_text_is_named():
    with pytest.raises(ValueError, match="exact: expected paths as str, got int"):
        Codec("2.0.1", exact={1})


def test_exact_touches_only_the_names_given_and_true_means_all():
    custom = sampled(Codec("2.0.1", exact={"value"}), "1.5")["custom_data"]
    assert repr(custom) == "{'vendorId': 'V', 'value': Decimal('2.50'), 'other': 2.5}"
    custom = sampled(Codec("2.0.1", exact=True), "1.5")["custom_data"]
    assert repr(custom) == "{'vendorId': 'V', 'value': Decimal('2.50'), 'other': Decimal('2.50')}"


def test_an_exact_integer_is_an_int_and_an_endless_exponent_does_no_harm():
    codec = Codec("2.0.1", exact={"value"})
    assert repr(sampled(codec, "9007199254740993")["value"]) == "9007199254740993"
    assert sampled(codec, "0e99999999999999999999999")["value"] == 0
    assert sampled(codec, "1e-99999999999999999999999")["value"] == 0
    with localcontext() as context:
        context.traps[InvalidOperation] = False  # of the caller: Decimal("0e999...") would be NaN
        assert sampled(codec, "0e99999999999999999999999")["value"] == 0


@settings(max_examples=40)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_a_decimal_goes_out_and_comes_in_with_its_digits(number):
    codec = Codec("2.0.1", exact={"value"})
    payload = codec.decode(transaction_event("1.0")).payload
    payload["meter_value"][0]["sampled_value"][0]["value"] = number
    again = codec.decode(codec.encode_call("2", "TransactionEvent", payload)).payload
    got = again["meter_value"][0]["sampled_value"][0]["value"]
    assert got == number
    assert str(got) == str(number)


# ---- out ----


def test_enums_datetimes_tuples_and_other_mappings_have_a_form():
    codec = Codec("1.6")
    assert codec.encode_call("1", "Reset", {"type": Word.HARD}) == b'[2,"1","Reset",{"type":"Hard"}]'
    assert codec.encode_call("1", "Reset", MappingProxyType({"type": "Hard"})) == b'[2,"1","Reset",{"type":"Hard"}]'
    east = datetime(2026, 11, 23, 20, 0, 0, 120_999, timezone(timedelta(hours=2)))
    assert (
        codec.encode_result("1", "Heartbeat", {"current_time": east})
        == b'[3,"1",{"currentTime":"2026-11-23T18:00:00.120Z"}]'
    )
    whole = datetime(2026, 11, 23, 18, 0, 0, tzinfo=UTC)
    assert (
        codec.encode_result("1", "Heartbeat", {"currentTime": whole})
        == b'[3,"1",{"currentTime":"2026-11-23T18:00:00Z"}]'
    )
    assert (
        codec.encode_call("1", "GetConfiguration", {"key": ("a", "b")})
        == b'[2,"1","GetConfiguration",{"key":["a","b"]}]'
    )


def test_what_has_no_form_in_json_is_a_type_error():
    codec = Codec("2.0.1")

    class Nowhere(tzinfo):
        def utcoffset(self, when):
            return None

    nowhere = datetime(2026, 1, 1, tzinfo=Nowhere())
    for wrong in (object(), {1, 2}, Decimal("NaN"), datetime(2026, 1, 1), nowhere, "\ud800"):
        with pytest.raises(TypeError):
            codec.encode_call("1", "DataTransfer", {"vendorId": "V", "data": wrong})


def test_a_word_whose_end_runs_python_does_no_harm():
    codec = Codec("1.6")

    class Last(str):
        def __del__(self):
            codec.encode_call("1", "Reset", {"type": Last("Soft") if self == "Hard" else "Soft"})

    for _ in range(3000):
        codec.encode_call("1", "Reset", {"type": Last("Hard")})


def test_a_codec_that_was_never_made_is_a_type_error():
    bare = Codec.__new__(Codec)
    for call in (bare.encode_call, bare.encode_result, bare.encode_send):
        with pytest.raises(TypeError, match="__init__"):
            call("1", "Heartbeat", {})
    with pytest.raises(TypeError, match="__init__"):
        bare.error_message(4, "1", "a", "b", {})
    with pytest.raises(FrameError):
        bare.decode(b"[]")


def test_what_goes_out_is_judged_as_what_comes_in():
    codec = Codec("1.6", limits=Limits(size=100))
    with pytest.raises(PayloadError, match="OccurenceConstraintViolation"):
        codec.encode_call("1", "Authorize", {})
    with pytest.raises(PayloadError, match="TypeConstraintViolation"):
        codec.encode_result("1", "Heartbeat", {"currentTime": float("nan")})
    with pytest.raises(PayloadError, match="TypeConstraintViolation"):
        codec.encode_call("1", "Heartbeat", None)
    with pytest.raises(PayloadError, match="NotImplemented"):
        codec.encode_call("1", "../../Heartbeat", {})
    for id, reason in ((5, "idtype"), ("", "length"), ("x" * 37, "length")):
        with pytest.raises(FrameError, match=reason):
            codec.encode_call(id, "Heartbeat", {})
    with pytest.raises(FrameError, match="limit"):
        codec.encode_call("1", "DataTransfer", {"vendorId": "V", "data": "x" * 100})
    with pytest.raises(FrameError, match="int64"):
        Codec("2.1").encode_call("1", "DataTransfer", {"vendorId": "V", "data": 1 << 63})
    for encode in (codec.encode_send, codec.encode_result_error):
        with pytest.raises((FrameError, PayloadError)):
            encode("1", "Heartbeat", {})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_every_message_of_every_version_comes_back_as_it_went_out(every_schema, make_payload, seed):
    for version, kind, schema in every_schema[seed % 13 :: 29]:
        codec = Codec(version, limits=Limits(size=1 << 20))
        encode = {"request": codec.encode_call, "response": codec.encode_result, "send": codec.encode_send}[kind]
        payload = make_payload(schema, seed)
        message = encode("é-1", schema.action, payload)
        assert orjson.loads(message)[-1] == payload
        frame = codec.decode(message, names="wire", action=schema.action)
        assert (frame.id, frame.action, frame.payload) == ("é-1", schema.action, payload)
        snake = codec.decode(message, action=schema.action).payload
        assert encode("é-1", schema.action, snake) == message


# ---- errors out ----


def test_a_call_error_is_spelled_for_its_version():
    assert Codec("1.6").encode_error("1", "FormatViolation") == b'[4,"1","FormationViolation","",{}]'
    assert Codec("2.0.1").encode_error("1", "FormationViolation", "x", {"path": "/a"}) == (
        b'[4,"1","FormatViolation","x",{"path":"/a"}]'
    )
    assert Codec("2.1").encode_result_error("1", "GenericError") == b'[5,"1","GenericError","",{}]'
    with pytest.raises(FrameError, match="type"):
        Codec("2.0.1").encode_result_error("1", "GenericError")


class Hostile:
    def __str__(self):
        return "x" * 1000


@settings(max_examples=100)
@given(
    st.text(max_size=300),
    st.text(max_size=300) | st.just("\ud800" * 300),
    st.none()
    | st.dictionaries(st.text(max_size=3), st.text() | st.floats() | st.binary() | st.integers() | st.just(Hostile()))
    | st.just({"a": "x" * 70_000})
    | st.just({"\ud800": 1}),
)
def test_an_error_can_always_be_reported(code, description, details):
    codec = Codec("1.6")
    frame = codec.decode(codec.encode_error("1", code, description, details))
    assert frame.type == 4
    assert len(frame.error_description) <= 255
    assert len(frame.error_code) <= 64


def test_details_that_nest_for_ever_are_left_out():
    deep: dict = {}
    deep["a"] = deep
    assert Codec("1.6").encode_error("1", "GenericError", "", deep) == b'[4,"1","GenericError","",{}]'


# ---- weight ----


def test_importing_the_codec_loads_neither_jsonschema_nor_the_versions_of_ocpp():
    import subprocess

    code = "import sys, evcore.ocpp; evcore.ocpp.Codec('1.6').scan(b'[2,\"1\",\"Heartbeat\",{}]'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "evcore.core.ocpp" in loaded
    assert not {"jsonschema", "ocpp.v16", "ocpp.v201", "ocpp.messages", "msgspec", "numpy", "asyncio"} & set(loaded)


def test_depth_of_the_codec_is_within_what_every_parser_on_the_way_can_take():
    codec = Codec("2.0.1", limits=Limits(depth=256), exact=True)
    data = json.dumps(["x"])
    for _ in range(252):
        data = f"[{data}]"
    frame = codec.decode(f'[2,"1","DataTransfer",{{"vendorId":"V","data":{data}}}]')
    assert codec.encode_call("1", "DataTransfer", frame.payload)


# ---- names that are there twice ----


@pytest.mark.parametrize("number", [b"1.0", b"0.1e1", b"1e0", b"10e-1", b"-0e0", b"1E2"])
def test_a_number_is_judged_as_it_was_written_beside_a_name_that_is_there_twice(number):
    twice = b'[3,"1",{"status":5,"status":"Rejected","currentTime":"2026-11-23T18:00:00Z","interval":%s}]'
    codec = Codec("1.6")
    assert codec.decode(twice % b"1", action="BootNotification").payload["interval"] == 1
    with pytest.raises(PayloadError, match="/interval: expected integer"):  # JSON Schema draft 4, 3.5
        codec.decode(twice % number, action="BootNotification")


@pytest.mark.parametrize(
    ("message", "repeated"),
    [
        (b'[2,"1","Authorize",{"idTag":"A"}]', False),
        (b'[2,"1","Authorize",{"idTag":"A","idTag":"A"}]', True),
        (b'[2,"1","Authorize",{"idTag":5,"idTag":"A"}]', True),
        (b'[2,"1","Authorize",{"idTag":"A","\\u0069dTag":"B"}]', True),
        (b'[3,"2",{"idTagInfo":{"status":"Blocked","status":"Accepted"}}]', True),
        (b'[4,"1","GenericError","",{"a":1,"a":2}]', False),
    ],
)
def test_a_frame_tells_whether_a_member_of_its_schema_is_there_twice(message, repeated):
    codec = Codec("1.6")
    assert codec.check(message, action="Authorize").repeated == repeated
    assert codec.decode(message, action="Authorize").repeated == repeated
    assert not codec.scan(message).repeated
