"""Payloads on their way out: what Python has for JSON, and under which names it goes."""

import dataclasses
import enum
import threading
import types
import typing
from collections import OrderedDict, UserDict, namedtuple
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from importlib import import_module

import ocpp.v16.call
import ocpp.v21.call
import ocpp.v21.datatypes
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_cases import Cases

from evcore.errors import FrameError, PayloadError
from evcore.ocpp import Codec, Limits
from evcore.ocpp.schemas import VERSIONS, schemas_of

ENCODERS = {"request": "encode_call", "response": "encode_result", "send": "encode_send"}


def data_transfer(data, **limits):
    """The bytes of a value that no schema describes."""
    message = Codec("2.0.1", limits=Limits(**limits)).encode_call("1", "DataTransfer", {"vendorId": "V", "data": data})
    return message.removeprefix(b'[2,"1","DataTransfer",{"vendorId":"V","data":').removesuffix(b"}]")


# ---- the dataclasses of ocpp ----


def flat(name):
    return name.replace("_", "").lower()


def parts_of(hint):
    """The classes in Optional[List[X]] and the like."""
    inner = typing.get_args(hint)
    return [part for each in inner for part in parts_of(each)] if inner else [hint]


def as_dataclass(kind, payload):
    """A payload with snake names as the dataclass, with the dataclasses and enums of its type hints inside."""
    hints = typing.get_type_hints(kind)
    names = {flat(field.name): field.name for field in dataclasses.fields(kind)}
    made = dict.fromkeys(names.values())  # no defaults
    if not {flat(key) for key in payload} <= set(names):  # customData may hold anything
        return payload
    for key, value in payload.items():
        name = names[flat(key)]
        made[name] = as_hinted(parts_of(hints[name]), value)
    return kind(**made)


def as_hinted(kinds, value):
    if isinstance(value, list):
        return [as_hinted(kinds, item) for item in value]
    for kind in kinds:
        if isinstance(value, dict) and dataclasses.is_dataclass(kind):
            return as_dataclass(kind, value)
        if isinstance(value, str) and isinstance(kind, enum.EnumMeta) and value in [word.value for word in kind]:
            return kind(value)
    if isinstance(value, str) and value == "2026-11-23T18:00:00.120Z":
        return datetime(2026, 11, 23, 19, 0, 0, 120_000, timezone(timedelta(hours=1)))
    return value


@pytest.mark.parametrize("version", VERSIONS)
def test_every_dataclass_of_ocpp_with_all_that_is_nested_in_it_goes_out_as_its_payload(version):
    codec = Codec(version)
    classes = nested = 0
    for kind, action in sorted(schemas_of(version).messages):
        module = import_module(f"ocpp.{VERSIONS[version]}.{'call_result' if kind == 'response' else 'call'}")
        dataclass = getattr(module, action, None)
        if dataclass is None:
            continue
        schema = schemas_of(version).get(kind, action)
        cases = Cases(schema, "dataclass")
        for _ in range(40):
            payload = orjson.loads(cases.valid().text)
            if payload.get("data", 0) is None:
                continue
            encode = getattr(codec, ENCODERS[kind])
            message = encode("1", action, payload)
            snake = codec.decode(message, action=action).payload
            instance = as_dataclass(dataclass, snake)
            assert orjson.loads(encode("1", action, instance)) == orjson.loads(message)
            nested += any(dataclasses.is_dataclass(value) for value in vars(instance).values())
        classes += 1
    assert classes == {"1.6": 78, "2.0.1": 128, "2.1": 180}[version]
    assert nested > 100 or version == "1.6"


def test_what_is_none_in_a_dataclass_or_in_a_mapping_below_it_is_left_out_but_not_in_custom_data():
    codec = Codec("2.1")
    inside = {"vendorId": "V", "someThing": None, "id_tag": 1}
    token = {"id_token": "T", "type": "Local", "additional_info": None, "custom_data": inside}
    call = ocpp.v21.call.Authorize(id_token=token, certificate=None)
    assert orjson.loads(codec.encode_call("1", "Authorize", call))[3] == {
        "idToken": {"idToken": "T", "type": "Local", "customData": inside}
    }
    with pytest.raises(PayloadError) as caught:  # in a mapping, None is what was asked for
        codec.encode_call("1", "Authorize", {"id_token": {"id_token": "T", "type": "Local"}, "certificate": None})
    assert (caught.value.path, caught.value.got) == ("/certificate", "null")


def test_custom_data_may_be_a_dataclass_too():
    call = ocpp.v21.call.Heartbeat(custom_data=ocpp.v21.datatypes.CustomDataType(vendor_id="V"))
    assert Codec("2.1").encode_call("1", "Heartbeat", call) == b'[2,"1","Heartbeat",{"customData":{"vendorId":"V"}}]'


def test_the_class_of_a_dataclass_is_no_payload():
    with pytest.raises(TypeError):
        Codec("1.6").encode_call("1", "Heartbeat", ocpp.v16.call.Heartbeat)


# ---- names ----


def test_snake_and_wire_names_may_be_mixed_in_any_order():
    codec = Codec("1.6")
    once = codec.encode_call("1", "Authorize", {"id_tag": "A"})
    assert once == codec.encode_call("1", "Authorize", {"idTag": "A"}) == b'[2,"1","Authorize",{"idTag":"A"}]'
    boot = {"charge_point_model": "M", "chargePointVendor": "V", "iccid": "I"}
    for _ in range(3):  # what was written before does not count
        for names in (list(boot), list(boot)[::-1]):
            payload = {name: boot[name] for name in names}
            sent = orjson.loads(codec.encode_call("1", "BootNotification", payload))[3]
            assert sent == {"chargePointModel": "M", "chargePointVendor": "V", "iccid": "I"}
            assert [name[0] for name in sent] == [name[0] for name in names]


def test_one_member_under_both_its_names_is_refused():
    codec = Codec("1.6")
    for payload in ({"idTag": "A", "id_tag": "A"}, {"id_tag": "A", "idTag": "B"}):
        with pytest.raises(TypeError, match="another name"):
            codec.encode_call("1", "Authorize", payload)


def test_a_name_is_a_str_of_any_making():
    class Key(enum.StrEnum):
        TAG = "id_tag"

    codec = Codec("1.6")
    for key in (Key.TAG, "".join(["id", "_tag"]), str(b"idTag", "ascii")):
        assert codec.encode_call("1", "Authorize", {key: "A"}) == b'[2,"1","Authorize",{"idTag":"A"}]'
    for key in (1, None, b"idTag", ("a",)):
        with pytest.raises(TypeError, match="names of members are str"):
            codec.encode_call("1", "Authorize", {key: "A"})
        with pytest.raises(TypeError, match="names of members are str"):
            data_transfer({key: "A"})


def test_names_outside_ascii_and_names_that_need_escapes_go_out_where_the_schema_is_open():
    inside = {"é": 1, 'a"\\\n': 2, "😀": {"\x00": 3}, "": 4}
    assert orjson.loads(data_transfer(inside)) == inside
    with pytest.raises(PayloadError, match="FormatViolation"):
        Codec("2.0.1").encode_call("1", "Heartbeat", {"é": 1})


# ---- values ----


class Colour(enum.Enum):
    RED = "Red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Number(float):
    def __repr__(self):
        return "not JSON"


Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Own:
    left_side: int
    right_side: object = None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        (True, b"true"),
        (False, b"false"),
        (0, b"0"),
        (-(1 << 63), b"-9223372036854775808"),
        ((1 << 63) - 1, b"9223372036854775807"),
        (0.1, b"0.1"),
        (-0.0, b"-0.0"),
        (16.0, b"16.0"),
        (0.1 + 0.2, b"0.30000000000000004"),
        (1e300, b"1e+300"),
        (5e-324, b"5e-324"),
        (123456789012345680.0, b"1.2345678901234568e+17"),
        (Number(1e-10), b"1e-10"),
        (Decimal("1.50"), b"1.50"),
        (Decimal("-0.000"), b"-0.000"),
        (Decimal("1E+3"), b"1E+3"),
        (Decimal("123456789.1234567890123456789"), b"123456789.1234567890123456789"),
        (Colour.RED, b'"Red"'),
        (Level.HIGH, b"3"),
        (Text("é"), '"é"'.encode()),
        ('\x00\x1f"\\\b\f\n\r\t\x7f/', b'"\\u0000\\u001f\\"\\\\\\b\\f\\n\\r\\t\x7f/"'),
        ("€😀\u2028", '"€😀\u2028"'.encode()),
        ((1, (2,), []), b"[1,[2],[]]"),
        (Point(1, 2), b"[1,2]"),
        ({}, b"{}"),
        ([{}, [{}]], b"[{},[{}]]"),
        (OrderedDict(a=1), b'{"a":1}'),
        (UserDict(a=1), b'{"a":1}'),
        (types.MappingProxyType({"a": 1}), b'{"a":1}'),
        (Own(1), b'{"left_side":1}'),
        (Own(1, Own(2)), b'{"left_side":1,"right_side":{"left_side":2}}'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), b'"2026-01-02T03:04:05Z"'),
        (datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=UTC), b'"2026-01-02T03:04:05.000Z"'),
        (datetime(1, 1, 1, 12, tzinfo=timezone(timedelta(hours=-5, seconds=1))), b'"0001-01-01T16:59:59Z"'),
    ],
)
def test_what_python_has_for_json_has_one_form(value, text):
    assert data_transfer(value) == text
    assert data_transfer([value]) == b"[" + text + b"]"


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1},
        b"bytes",
        1j,
        float("nan"),
        float("-inf"),
        Decimal("NaN"),
        Decimal("-Infinity"),
        datetime(2026, 1, 1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        datetime(2026, 1, 1, tzinfo=UTC).date(),
        "\ud800",
        {"\udfff": 1},
        Colour,
        range(3),
        iter([]),
    ],
)
def test_what_has_no_form_is_a_type_error_wherever_it_stands(value):
    for payload in (value, [value], {"a": value}, Own(1, value)):
        with pytest.raises(TypeError):
            data_transfer(payload)


@settings(max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_as_it_was(number):
    assert orjson.loads(data_transfer(number)) == number
    assert str(orjson.loads(data_transfer(number))) == str(number)


@settings(max_examples=200)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.integers(-(10**17), 10**17).map(Decimal))
def test_a_decimal_keeps_its_digits(number):
    assert data_transfer(number) == str(number).encode()


@settings(max_examples=300)
@given(st.text())
def test_any_text_comes_back_as_it_was(text):
    assert orjson.loads(data_transfer(text)) == text
    assert data_transfer(text) == orjson.dumps(text)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1 << 63, "int64"),
        (-(1 << 63) - 1, "int64"),
        pytest.param(10**5000, "int64", id="huge"),
        (Decimal("18446744073709551616"), "int64"),
        (Decimal("1E+400"), "infinite"),
        (Decimal("1E+999999"), "infinite"),
        ("x" * 2000, "limit"),
        (["x" * 100] * 30, "limit"),
        ([0] * 300, "limit"),
        ([[[[[[[[1]]]]]]]], "limit"),
        (Decimal("0." + "1" * 2000), "limit"),
    ],
)
def test_what_goes_beyond_a_limit_is_refused_by_its_name(value, reason):
    with pytest.raises(FrameError) as caught:
        data_transfer(value, size=1000, depth=9, nodes=200)
    assert (caught.value.reason, caught.value.id, caught.value.type) == (reason, "1", 2)


def test_limits_are_those_of_what_comes_in():
    payload = {"vendorId": "V", "data": [1, [2, {"a": 3}]]}
    text = Codec("2.0.1").encode_call("1", "DataTransfer", payload)
    for limit, least in (("size", len(text)), ("depth", 5), ("nodes", 12)):
        codec = Codec("2.0.1", limits=Limits(**{limit: least}))
        assert codec.encode_call("1", "DataTransfer", payload) == text
        assert codec.decode(text).payload
        codec = Codec("2.0.1", limits=Limits(**{limit: least - 1}))
        for attempt in (
            lambda codec=codec: codec.encode_call("1", "DataTransfer", payload),
            lambda codec=codec: codec.decode(text),
        ):
            with pytest.raises(FrameError, match="limit"):
                attempt()


def test_what_holds_itself_is_nested_deeper_than_the_limit():
    loop: list = []
    loop.append(loop)
    circle = Own(1)
    circle.right_side = circle
    for value in (loop, circle, {"a": loop}):
        with pytest.raises(FrameError, match="limit"):
            data_transfer(value, depth=256)


# ---- whoever else is at work ----


def test_a_payload_that_changes_while_it_is_written_does_no_harm():
    payload: dict = {"vendor_id": "V"}

    class Shrinking(UserDict):
        def __iter__(self):
            payload.clear()
            payload.update({f"k{i}": i for i in range(100)})
            return super().__iter__()

    payload["data"] = Shrinking(a=1)
    payload["customData"] = {"vendorId": "V"}
    with pytest.raises((RuntimeError, PayloadError)):
        Codec("2.0.1").encode_call("1", "DataTransfer", payload)

    items: list = [1]

    class Growing(UserDict):
        def __iter__(self):
            items.clear()
            return super().__iter__()

    items += [Growing(a=1), 2, 3]
    with pytest.raises(RuntimeError):
        data_transfer(items)


def test_messages_may_be_written_while_one_is_written():
    codec = Codec("2.0.1")

    class Nested(UserDict):
        def __iter__(self):
            self.data["inner"] = len(
                codec.encode_call("2", "DataTransfer", {"vendorId": "W" * 100, "data": "y" * 90_000})
            )
            return super().__iter__()

    message = codec.encode_call("1", "DataTransfer", {"vendorId": "V", "data": ["x" * 70_000, Nested(a=1), "z"]})
    assert orjson.loads(message)[3]["data"] == ["x" * 70_000, {"a": 1, "inner": 90_148}, "z"]


def test_threads_that_meet_new_messages_write_them_right():
    """The tables grow, and move, while others write; a codec of its own version for each test run of the file."""
    failures: list[BaseException] = []

    def work(seed):
        try:
            codec = Codec("2.1")
            for kind, action in sorted(schemas_of("2.1").messages)[seed::4]:
                case = Cases(schemas_of("2.1").get(kind, action), seed).valid()
                encode = getattr(codec, ENCODERS[kind])
                payload = orjson.loads(case.text)
                assert orjson.loads(encode("1", action, UserDict(payload)))[-1] == payload
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
