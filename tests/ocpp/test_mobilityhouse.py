"""mobilityhouse/ocpp as the peer: what it packs we read, what we encode it unpacks, and both call the members alike."""

from decimal import localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp import messages
from ocpp.charge_point import camel_to_snake_case
from ocpp.exceptions import OCPPError
from ocpp_cases import is_read_alike

from evcore.errors import PayloadError
from evcore.ocpp import Codec, Limits

ROOMY = Limits(size=1 << 26, nodes=1 << 26)

# mobilityhouse judges 2.x by draft 4 and mends one name, see test_names.py.
OTHER_NAME = {"prioritized_emai_ds": "prioritized_emaids"}


def renamed(value):
    """Their snake names as ours; the inside of customData and of free data as it was sent is compared elsewhere."""
    if isinstance(value, dict):
        hidden = {"custom_data", "data"}
        return {OTHER_NAME.get(key, key): None if key in hidden else renamed(member) for key, member in value.items()}
    return [renamed(item) for item in value] if isinstance(value, list) else value


def judge(message, version):
    with localcontext(prec=400):  # of which its own remainder of 1e300 by 0.1 needs 301
        messages._validate_payload(message, version)


def peers(every_schema, seed):
    return [entry for entry in every_schema[seed % 37 :: 37] if entry[1] != "send"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_what_it_packs_we_decode_to_the_payload_that_its_handlers_get(every_schema, make_payload, seed):
    for version, kind, schema in peers(every_schema, seed):
        payload = make_payload(schema, seed)
        if kind == "request":
            text = messages.pack(messages.Call("é", schema.action, payload))
        else:
            text = messages.pack(messages.CallResult("é", payload, schema.action))
        frame = Codec(version, limits=ROOMY).decode(text, action=schema.action)
        assert (frame.type, frame.id, frame.action) == (2 if kind == "request" else 3, "é", schema.action)
        assert renamed(frame.payload) == renamed(camel_to_snake_case(payload))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_what_we_encode_it_unpacks_and_finds_valid(every_schema, make_payload, seed):
    for version, kind, schema in peers(every_schema, seed):
        codec = Codec(version, limits=ROOMY)
        payload = make_payload(schema, seed)
        encode = codec.encode_call if kind == "request" else codec.encode_result
        message = messages.unpack(encode("7", schema.action, payload).decode())
        assert message.unique_id == "7"
        assert message.payload == payload
        if kind == "request":
            assert message.action == schema.action
        else:
            message.action = schema.action
        if is_read_alike(schema, payload):
            judge(message, version)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_what_it_refuses_by_schema_we_refuse_and_the_other_way_round(every_schema, changed_payload, seed):
    for version, kind, schema in peers(every_schema, seed):
        if "draft-04" not in schema.root["$schema"]:  # 1.0 for an integer: draft 4 refuses it, draft 6 does not
            continue
        payload = changed_payload(schema, seed)
        theirs = messages.Call if kind == "request" else messages.CallResult
        codec = Codec(version, limits=ROOMY)
        encode = codec.encode_call if kind == "request" else codec.encode_result
        try:
            judge(theirs("1", action=schema.action, payload=payload), version)
            refused = False
        except OCPPError:
            refused = True
        try:
            encode("1", schema.action, payload)
        except PayloadError:
            assert refused, (schema.action, payload)
        else:
            assert not refused, (schema.action, payload)


def test_errors_are_exchanged():
    ours = messages.unpack(Codec("2.0.1").encode_error("1", "NotSupported", "no", {"a": 1}).decode())
    assert (ours.unique_id, ours.error_code, ours.error_description) == ("1", "NotSupported", "no")
    assert ours.error_details == {"a": 1}
    theirs = messages.pack(messages.CallError("1", "NotSupported", "no", {"a": 1}))
    frame = Codec("1.6").decode(theirs)
    assert (frame.error_code, frame.error_description, frame.error_details) == ("NotSupported", "no", {"a": 1})


# Frames that mobilityhouse 2.1.0 takes for good, and what they are.
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[2.0,"1","Heartbeat",{}]', "type"),
        ('[2,1,"Heartbeat",{}]', "idtype"),
        ('[2,"' + "1" * 200 + '","Heartbeat",{}]', "length"),
        ('[3,"1",{"a":NaN}]', "json"),
    ],
)
def test_frames_that_only_mobilityhouse_takes(text, reason):
    messages.unpack(text)
    with pytest.raises(ValueError, match=reason):
        Codec("1.6").scan(text)
