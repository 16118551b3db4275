"""Frames: what the scanner takes, what it refuses and with which word; orjson is the judge of what is JSON."""

import json
import marshal
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.core.ocpp import Decoder, Frame, scan
from evcore.errors import FrameError
from evcore.ocpp import Codec, Limits
from evcore.ocpp.schemas import schemas_of

NO_JSON = {"json", "utf8", "infinite"}
OUR_LIMITS = {"limit", "int64"}
NO_FRAME = {"array", "type", "idtype", "length", "arity", "action", "payload", "error"}


def reread(data: bytes, max_size: int = 65536, max_depth: int = 32, **limits: int) -> Frame:
    """The same message by the way that a codec takes, its payload built by no schema."""
    bounds = SimpleNamespace(size=max_size, depth=max_depth, nodes=65536)
    return Decoder(schemas_of("2.1").tables, 0b1111100, bounds, judge="off").decode(data, names="wire")


def verdict(data: bytes, **limits: int) -> str:
    """ "ok" or the reason, after holding it against orjson (the rules of agreement, in both directions)."""
    try:
        value, whole = orjson.loads(data), True
    except orjson.JSONDecodeError:
        value, whole = None, False
    try:
        found: Frame | FrameError = scan(data, **limits)
    except FrameError as error:
        found = error
    try:
        again: Frame | FrameError = reread(data, **limits)
    except FrameError as error:
        again = error
    if isinstance(found, FrameError):
        assert isinstance(again, FrameError)
        assert (again.reason, again.where, again.id, again.type) == (found.reason, found.where, found.id, found.type)
        assert 0 <= found.where <= len(data)
        assert found.reason in NO_JSON | OUR_LIMITS | NO_FRAME
        if found.reason not in OUR_LIMITS:
            assert whole == (found.reason in NO_FRAME), f"{found.reason}, but orjson says otherwise: {data!r}"
        return found.reason
    assert whole, f"orjson refuses it: {data!r}"
    start, end = found.payload_span
    assert marshal.dumps(orjson.loads(data[start:end]), 2) == marshal.dumps(value[-1], 2)  # 1 is not 1.0, 0.0 not -0.0
    built = again.payload if found.type in (2, 3, 6) else again.error_details
    assert marshal.dumps(built, 2) == marshal.dumps(value[-1] or {}, 2)
    assert again.payload_span == found.payload_span
    assert [again.type, again.id, again.action, again.error_code] == [
        found.type,
        found.id,
        found.action,
        found.error_code,
    ]
    assert [found.type, found.id] == value[:2]
    assert value[2:-1] == [
        text for text in (found.action, found.error_code, found.error_description) if text is not None
    ]
    return "ok"


# ---- the words ----


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "json"),
        (b'[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoErr', "json"),  # as a Grizzl-E sends it
        (b'[2,"1","StopTransaction",{"transactionId":,"meterStop":5}]', "json"),
        (b'[3,"1",{}]\0', "json"),
        (b'[3,"1",{}][3,"2",{}]', "json"),
        (b'\xef\xbb\xbf[3,"1",{}]', "json"),
        (b'[3,"1",{"a":NaN}]', "json"),
        (b'[3,"1",\x0b{}]', "json"),
        ('[3,"1",{"a":"ä"}]'.encode("latin-1"), "utf8"),
        (b'[3,"1",{"a":"\\ud800"}]', "utf8"),
        (b'[3,"1",{"a":1e400}]', "infinite"),
        (b'[3,"1",{"a":18446744073709551616}]', "int64"),
        (b'[3,"1",{"a":-9223372036854775809}]', "int64"),
        (b'[3,"1",{"a":' + b"[" * 40 + b"]" * 40 + b"}]", "limit"),
        (b'[3,"1",{"a":"' + b"x" * 65536 + b'"}]', "limit"),
        (b'{"type":2}', "array"),
        (b"[]", "arity"),
        (b'[2,"1","Heartbeat"]', "arity"),
        (b'[2,"1","Heartbeat",{},{}]', "arity"),
        (b'[4,"1","GenericError",""]', "arity"),
        (b'[2.0,"1","Heartbeat",{}]', "type"),
        (b'[2e0,"1","Heartbeat",{}]', "type"),
        (b'["2","1","Heartbeat",{}]', "type"),
        (b'[true,"1","Heartbeat",{}]', "type"),
        (b'[7,"1","Heartbeat",{}]', "type"),
        (b'[2,1,"Heartbeat",{}]', "idtype"),
        (b'[2,null,"Heartbeat",{}]', "idtype"),
        (b'[2,"","Heartbeat",{}]', "length"),
        (b'[2,"' + b"1" * 37 + b'","Heartbeat",{}]', "length"),
        (b'[2,"1","' + b"A" * 65 + b'",{}]', "length"),
        (b'[2,"1",null,{}]', "action"),
        (b'[2,"1","Heartbeat",""]', "payload"),
        (b'[2,"1","Heartbeat",[]]', "payload"),
        (b'[4,"1","GenericError",null,{}]', "error"),
        (b'[4,"1","GenericError","",null]', "error"),
        (b'[2,"1","Heartbeat",{}]', "ok"),
        (b'[2,"\\u0031","Heart\\u0062eat",{}]', "ok"),
        (b'[2,"a\\u0000b","Heartbeat",null]', "ok"),
        (b'[3, "1317144897" ,{"status":"Accepted"}]', "ok"),  # spaces as an ABL sends them
        (b'\r\n[3,\n"1",\n{}\n]\n', "ok"),
        (b'[2,"1","Authorize",{"idTag":"A","\\u0069dTag":"B"}]', "ok"),  # twice the same name: the last one counts
        (b'[2,"1","Authorize",{"idTag":"\\\\u0000\\""}]', "ok"),
    ],
)
def test_each_defect_of_a_frame_has_its_word(data, reason):
    assert verdict(data) == reason


def test_a_refused_frame_still_tells_its_id_and_type_where_they_can_be_read():
    with pytest.raises(FrameError) as caught:
        scan(b'[2,"abc","Heartbeat",{"a":tru}]')
    assert (caught.value.id, caught.value.type, caught.value.where) == ("abc", 2, 29)
    with pytest.raises(FrameError) as caught:
        scan(b'[4,"abc","GenericError"]')
    assert (caught.value.id, caught.value.type) == ("abc", 4)
    with pytest.raises(FrameError) as caught:
        scan(b'[9,"abc",{}]')
    assert (caught.value.id, caught.value.type) == ("abc", None)
    with pytest.raises(FrameError) as caught:
        scan(b'[2,"' + b"1" * 37 + b'","Heartbeat",{}]')
    assert (caught.value.id, caught.value.type) == (None, 2)


def test_types_5_and_6_exist_in_2_1_only():
    for data in (b'[5,"1","FormatViolation","",{}]', b'[6,"1","NotifyPeriodicEventStream",{}]'):
        assert Codec("2.1").scan(data).type in (5, 6)
        for version in ("1.6", "2.0.1"):
            with pytest.raises(FrameError, match="type"):
                Codec(version).scan(data)


def test_limits_of_a_codec_are_its_own_and_sane():
    with pytest.raises(FrameError, match="limit"):
        Codec("1.6", limits=Limits(size=20)).scan(b'[2,"1","Heartbeat",{}]')
    with pytest.raises(FrameError, match="limit"):
        Codec("1.6", limits=Limits(depth=2)).scan(b'[2,"1","X",{"a":{}}]')
    for wrong in ({"size": 0}, {"size": 1 << 32}, {"depth": 1}, {"depth": 257}, {"nodes": 0}, {"nodes": 1 << 64}):
        with pytest.raises(ValueError):
            Limits(**wrong)


# ---- what may hold a frame ----


@given(st.integers(0, 63))
def test_a_frame_at_any_address_is_the_same_frame(shift):
    data = '[2,"id-é","DataTransfer",{"vendorId":"0123456789abcdef\\n😀","data":"x\\u20AC"}]'.encode()
    room = bytearray(b'"' * 160)
    room[shift : shift + len(data)] = data
    assert (
        scan(memoryview(room)[shift : shift + len(data)]) == scan(data) == scan(bytearray(data)) == scan(data.decode())
    )


def test_what_is_neither_bytes_nor_text_is_a_type_error_and_half_a_surrogate_a_frame_error():
    with pytest.raises(TypeError):
        scan(5)
    with pytest.raises(FrameError, match="utf8"):
        scan('[3,"1",{"a":"\ud800"}]')
    with pytest.raises(FrameError, match="utf8"):
        Codec("1.6", mode="off").decode('[3,"1",{"a":"\ud800"}]')


def test_a_frame_compares_prints_and_is_matched_by_its_parts():
    frame = scan(b'[2,"1","Heartbeat",{}]')
    assert (
        frame == Frame(2, "1", "Heartbeat", payload_span=(19, 21)) != Frame(2, "2", "Heartbeat", payload_span=(19, 21))
    )
    assert repr(frame) == "Frame(type=2, id='1', action='Heartbeat')"
    match frame:
        case Frame(2, "1", action):
            assert action == "Heartbeat"
    with pytest.raises(TypeError):
        hash(frame)


# ---- agreement with orjson ----


def test_every_file_of_the_json_test_suite_alone_and_as_a_payload(shared_data):
    files = sorted((shared_data / "json-test-suite").glob("*.json"))
    assert len(files) == 318
    for file in files:
        text = file.read_bytes()
        alone = verdict(text, max_depth=1024, max_size=1 << 20)
        inside = verdict(b'[3,"1",{"p":' + text + b"}]", max_depth=1024, max_size=1 << 20)
        must_be = file.name[0]  # y: accepted, n: refused, i: as one likes
        if must_be == "y":
            assert alone in NO_FRAME, file.name
            assert inside == "ok", file.name
        elif must_be == "n":
            assert alone in NO_JSON | {"limit"}, file.name
            assert inside in NO_JSON | {"limit"}, file.name


# Every kind of token there is; cut anywhere, it is no JSON any more.
EVERYTHING = (
    '[2, "id-é\\u20ac","DataTransfer",{"vendorId":"0123456789abcdef\\n\\ud83d\\ude00😀\x7f","data":[{"a":-0.5e-10},'
    '{"b":1E+22},[[],{},""],true , false,null,\t-9223372036854775808,1234567890.12345678901234567890,"\\"\\\\\\/\\b"]}]'
).encode()


def at_every_address(data: bytes) -> set[tuple[str, int | None]]:
    """The verdicts on the same bytes at 64 addresses, the room before and after them full of quotes."""
    room, found = bytearray(b'"' * (len(data) + 128)), set()
    view = memoryview(room)
    for shift in range(64):
        room[shift : shift + len(data)] = data
        try:
            scan(view[shift : shift + len(data)], 1 << 20, 1024)
            found.add(("ok", None))
        except FrameError as error:
            found.add((error.reason, error.where))
        room[shift] = 0x22
    return found


def test_a_frame_cut_anywhere_is_refused_as_orjson_refuses_it_wherever_it_lies():
    assert verdict(EVERYTHING) == "ok"
    assert at_every_address(EVERYTHING) == {("ok", None)}
    for cut in range(len(EVERYTHING)):
        assert verdict(EVERYTHING[:cut]) in NO_JSON
        assert (verdict(EVERYTHING[cut:]) == "ok") == (cut == 0)
        assert len(at_every_address(EVERYTHING[:cut])) == 1


def test_every_byte_changed_to_every_other_is_judged_as_orjson_judges_it():
    for at in range(len(EVERYTHING)):
        for byte in range(256):
            verdict(EVERYTHING[:at] + bytes([byte]) + EVERYTHING[at + 1 :])


def test_the_json_test_suite_is_judged_alike_wherever_it_lies_and_wherever_it_is_cut(shared_data):
    for file in sorted((shared_data / "json-test-suite").glob("*.json")):
        text = file.read_bytes()
        if len(text) > 300:
            continue
        data = b'[3,"1",{"p":' + text + b"}]"
        assert len(at_every_address(data)) == 1, file.name
        for cut in range(len(text)):
            verdict(b'[3,"1",{"p":' + text[:cut] + b"}]", max_depth=1024)
            verdict(b'[3,"1",{"p":' + text[cut:] + b"}]", max_depth=1024)


@pytest.mark.parametrize("levels", [1023, 1024, 1025])
def test_the_deepest_frame_that_orjson_takes_is_the_deepest_that_can_be_allowed(levels):
    inner = levels - 2
    data = b'[3,"1",{"a":' + b"[" * inner + b"]" * inner + b"}]"
    assert verdict(data, max_depth=5000) == ("ok" if levels <= 1024 else "limit")


NUMBERS = st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


@settings(max_examples=400)
@given(NUMBERS | NUMBERS.map(lambda text: text + "0" * 300) | st.floats(allow_nan=False).map(repr))
def test_numbers_are_judged_as_orjson_judges_them(text):
    verdict(b'[3,"1",{"a":' + text.encode() + b"}]")


@given(st.integers(0, 308), st.integers(-2, 2), st.text("0123456789", max_size=8))
def test_numbers_at_the_edge_of_infinity_are_judged_as_orjson_judges_them(dot, step, tail):
    digits = str(2**1024 - 2**970 + step)
    text = f"{digits[: 309 - dot]}.{digits[309 - dot :]}{tail}0e{dot}"
    verdict(b'[3,"1",{"a":' + text.encode() + b"}]")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TEXT = st.text(min_size=1, max_size=8)
OBJECT = st.dictionaries(TEXT, JSON, max_size=4)
FRAMES = st.one_of(
    st.tuples(st.sampled_from([2, 6]), TEXT, TEXT, OBJECT | st.none()),
    st.tuples(st.just(3), TEXT, OBJECT | st.none()),
    st.tuples(st.sampled_from([4, 5]), TEXT, TEXT, TEXT, OBJECT),
    st.lists(JSON, max_size=6),
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A frame, or nearly one, as JSON in one of several spellings."""
    value = draw(FRAMES)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n\t", " :")]))
    return json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators).encode("utf-8", "surrogatepass")


@settings(max_examples=300)
@given(messages())
def test_frames_are_judged_and_read_as_orjson_reads_them(data):
    verdict(data)


BITS = [
    b'"',
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\\ude00",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"0",
    b"-",
    b"1e999",
    b".",
    b"null",
]
BITS += [
    b"\x00",
    b"\x0b",
    b" ",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90",
    b"\xef\xbb\xbf",
    b"9223372036854775808",
    b"2",
    b'"a":',
]


@settings(max_examples=500)
@given(messages(), st.data())
def test_broken_frames_are_judged_as_orjson_judges_them(data, draw):
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data)))
        gone = draw.draw(st.integers(0, 3))
        data = data[:at] + draw.draw(st.sampled_from(BITS) | st.binary(max_size=2)) + data[at + gone :]
    verdict(data)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(BITS), max_size=12).map(b"".join))
def test_heaps_of_json_tokens_are_judged_as_orjson_judges_them(data):
    verdict(b'[2,"1","X",{"a":' + data + b"}]")
    verdict(data)


@given(messages(), st.data())
def test_the_smallest_change_of_one_byte_is_judged_as_orjson_judges_it(data, draw):
    at = draw.draw(st.integers(0, max(0, len(data) - 1)))
    verdict(data[:at])
    for byte in draw.draw(st.lists(st.integers(0, 255), min_size=1, max_size=8)):
        verdict(data[:at] + bytes([byte]) + data[at + 1 :])
