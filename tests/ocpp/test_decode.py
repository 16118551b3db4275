"""Decoding: the objects are those of orjson, whatever the spelling; limits by their names; numbers as asked for."""

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.errors import FrameError, PayloadError
from evcore.ocpp import Codec, Limits


def transfer(data: str) -> str:
    return f'[2,"1","DataTransfer",{{"vendorId":"V","data":{data}}}]'


def same(ours: Any, theirs: Any) -> bool:
    """Equal with the same types, signs of zeros included."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float):
        return ours.hex() == theirs.hex()
    return bool(ours == theirs)


# ---- values ----


@pytest.mark.parametrize(
    "text",
    [
        *("-0", "0", "-0.0", "9223372036854775807", "-9223372036854775808", "1e22", "1e23", "5e-324", "0.1", "1e-400"),
        *("2.2250738585072011e-308", "123456789012345678.5", "9007199254740993.0", "179769313486231570000e288"),
        *("0." + "1" * 800, "1" * 300 + ".5", "0e999999999999999999999"),
    ],
    ids=lambda text: text[:25],
)
def test_numbers_are_those_of_orjson_to_the_last_bit(text: str) -> None:
    payload = Codec("2.1").decode(transfer(text)).payload
    assert same(payload["data"], orjson.loads(text))


@settings(max_examples=500)
@given(st.floats(-1e308, 1e308), st.integers(0, 20))
def test_floats_are_those_of_orjson_to_the_last_bit(value: float, places: int) -> None:
    for text in (repr(value), f"{value:.{places + 1}f}", f"{value:.{places}e}"):
        ours = Codec("2.1").decode(transfer(text)).payload["data"]
        assert same(ours, orjson.loads(text)), text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300)
@given(JSON, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n\t", " :")]))
def test_free_data_is_what_orjson_makes_of_it(value: Any, ascii: bool, separators: tuple[str, str]) -> None:
    text = json.dumps(value, ensure_ascii=ascii, separators=separators)
    payload = Codec("2.1").decode(transfer(text)).payload
    assert same(payload, {"vendor_id": "V", "data": orjson.loads(text)})
    error = f'[4,"1","GenericError","",{{"data":{text}}}]'
    assert same(Codec("2.1").decode(error).error_details, {"data": orjson.loads(text)})


def test_a_name_that_is_there_twice_counts_once_in_its_first_place_with_its_last_value() -> None:
    text = transfer('{"b":1,"a":2,"\\u0062":3}')
    assert list(Codec("2.1").decode(text).payload["data"].items()) == [("b", 3), ("a", 2)]


@pytest.mark.parametrize(
    ("inside", "valid"),
    [
        ('"idTag":5,"idTag":"A"', True),
        ('"idTag":"A","idTag":5', False),
        ('"idTag":[{"x":1}],"id\\u0054ag":"A"', True),
        ('"idTag":"A","idTag":"B","x":1', False),
        ('"idTag":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx","idTag":"A"', True),
    ],
)
def test_of_a_member_that_is_there_twice_only_the_last_is_judged(inside: str, valid: bool) -> None:
    message = f'[2,"1","Authorize",{{{inside}}}]'
    if valid:
        assert Codec("1.6").decode(message).payload == {"id_tag": "A"}
        assert Codec("1.6").check(message).action == "Authorize"
    else:
        for read in (Codec("1.6").decode, Codec("1.6").check):
            with pytest.raises(PayloadError):
                read(message)


def test_digits_are_judged_in_a_payload_that_has_a_name_twice_too() -> None:
    period = '{"startPeriod":0,"startPeriod":"x","startPeriod":0,"limit":0.30000000000000000000001}'
    schedule = f'{{"chargingRateUnit":"A","chargingSchedulePeriod":[{period}]}}'
    message = (
        '[2,"1","SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,'
        f'"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{schedule}}}}}]'
    )
    with pytest.raises(PayloadError) as caught:
        Codec("1.6").check(message)
    assert caught.value.path.endswith("/chargingSchedulePeriod/0/limit")
    assert Codec("1.6").check(message.replace("0.30000000000000000000001", "0.30"))


def test_names_twice_in_a_payload_as_deep_as_allowed_are_judged() -> None:
    codec = Codec("2.1", limits=Limits(depth=256))
    deep = "[" * 254 + "]" * 254
    message = f'[2,"1","DataTransfer",{{"vendorId":5,"vendorId":"V","data":{deep}}}]'
    assert codec.check(message).type == 2


def test_each_message_has_its_own_strings_and_shares_names_and_words() -> None:
    message = b'[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
    first, second = (Codec("1.6").decode(message, names=names).payload for names in ("wire", "snake"))
    assert first["status"] is second["status"]
    assert next(key for key in first if key == "errorCode") is next(iter(["errorCode"]))
    assert list(second) == ["connector_id", "error_code", "status"]


# ---- exact numbers ----

EVENT = (
    '[2,"1","TransactionEvent",{"eventType":"Updated","timestamp":"2026-11-23T18:00:00Z","seqNo":1,'
    '"triggerReason":"MeterValuePeriodic","transactionInfo":{"transactionId":"t"},"customData":{"vendorId":"V",'
    '"value":0.50,"sampledValue":{"value":[1.50]}},"meterValue":[{"timestamp":"2026-11-23T18:00:00Z",'
    '"sampledValue":[{"value":2.50},{"value":3}]}]}]'
)


@pytest.mark.parametrize(
    ("exact", "decimals"),
    [
        (False, []),
        ((), []),
        (True, ["0.50", "1.50", "2.50"]),
        ({"value"}, ["0.50", "1.50", "2.50"]),
        ({"sampledValue/value"}, ["1.50", "2.50"]),
        ({"meterValue/sampledValue/value"}, ["2.50"]),
        ({"/meterValue/sampledValue/value"}, ["2.50"]),
        ({"/sampledValue/value", "/value"}, []),
        ({"customData/value", "other"}, ["0.50"]),
    ],
)
@pytest.mark.parametrize("names", ["snake", "wire"])
def test_a_path_names_the_numbers_that_keep_their_digits(exact: Any, decimals: list[str], names: Any) -> None:
    found: list[Any] = []

    def collect(value: Any) -> None:
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(inner)
        if isinstance(value, (float, Decimal)):
            found.append(value)

    collect(Codec("2.0.1", exact=exact).decode(EVENT, names=names).payload)
    assert [str(value) for value in found if isinstance(value, Decimal)] == decimals
    assert [float(value) for value in found] == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("wrong", ["value", {"a//b"}, {""}, {"/"}])
def test_a_path_without_names_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="exact"):
        Codec("2.0.1", exact=wrong)


# ---- limits ----


def test_each_limit_is_refused_by_its_name() -> None:
    small = Limits(size=200, depth=5, nodes=12)
    good = transfer("[1,2,3,4]")
    codec = Codec("2.1", limits=small)
    for read in (codec.scan, codec.check, codec.decode):
        assert read(good).type == 2
        for wrong, where in ((transfer("[1,2,3,4,5,6]"), 56), (transfer("[[[[]]]]"), 48), (good + " " * 200, 0)):
            with pytest.raises(FrameError) as caught:
                read(wrong)
            assert (caught.value.reason, caught.value.where) == ("limit", where)
    with pytest.raises(FrameError, match="int64"):
        codec.check(transfer("9223372036854775808"))
    for bad in ({"nodes": 0}, {"size": 1 << 32}):
        with pytest.raises(ValueError):
            Limits(**bad)


def test_the_limits_are_a_megabyte_32_levels_and_65536_values_unless_told_otherwise() -> None:
    codec = Codec("2.1")
    values = 65536 - 7  # the frame, its type, id and action, the payload, its vendorId, the list
    assert codec.check(transfer(f"[{','.join('0' * values)}]")).type == 2
    with pytest.raises(FrameError, match="limit"):
        codec.check(transfer(f"[{','.join('0' * (values + 1))}]"))
    with pytest.raises(FrameError, match="limit"):
        codec.check(transfer(f'"{"x" * (1 << 20)}"'))
    with pytest.raises(FrameError, match="limit"):
        codec.check(transfer("[" * 31 + "]" * 31))


def test_a_message_of_a_megabyte_is_decoded_and_judged() -> None:
    text = transfer(json.dumps([{"k": "ä" * 30, "n": [1.5, None]}] * 9000, ensure_ascii=False))
    assert 1 << 19 < len(text.encode()) < 1 << 20
    assert same(Codec("2.1").decode(text, names="wire").payload, orjson.loads(text)[3])


# ---- formats ----


@pytest.mark.parametrize(
    ("time", "valid"),
    [
        ("2026-11-23T18:00:00Z", True),
        ("2026-11-23T18:00:00.5+02:00", True),
        ("2026-02-30T18:00:00Z", False),
        ("now", False),
    ],
)
def test_date_times_are_judged_where_formats_are(time: str, valid: bool) -> None:
    message = f'[3,"1",{{"currentTime":"{time}"}}]'
    assert Codec("1.6").check(message, action="Heartbeat")
    codec = Codec("1.6", formats=True)
    if valid:
        assert codec.check(message, action="Heartbeat")
        return
    with pytest.raises(PayloadError) as caught:
        codec.check(message, action="Heartbeat")
    assert (caught.value.code, caught.value.path, caught.value.expected) == (
        "PropertyConstraintViolation", "/currentTime", "a date-time",
    )  # fmt: skip


def test_uris_are_judged_where_formats_are() -> None:
    codec = Codec("1.6", formats=True)
    for location, valid in (("ftp:\\/\\/host/file.bin", True), ("file.bin", False)):
        message = f'[2,"1","UpdateFirmware",{{"location":"{location}","retrieveDate":"2026-11-23T18:00:00Z"}}]'
        assert Codec("1.6").check(message)
        if valid:
            assert codec.check(message)
        else:
            with pytest.raises(PayloadError, match="a uri"):
                codec.check(message)


# ---- the action ----


def test_the_action_of_a_result_is_looked_up_with_its_id() -> None:
    class Mapping(dict):
        pass

    asked = Mapping({"é": "Heartbeat"})
    data = '[3,"é",{"currentTime":"x"}]'
    assert Codec("1.6").decode(data, action=asked).action == "Heartbeat"
    assert Codec("1.6").decode(data.replace("é", "\\u00e9"), action=asked).action == "Heartbeat"


def test_names_other_than_the_two_are_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        Codec("1.6").decode(b"[]", names="camel")  # type: ignore[arg-type]
