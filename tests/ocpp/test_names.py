"""Names: every wire name of every schema has one snake name and comes back from it."""

import dataclasses
import re
from importlib import import_module

import ocpp.v16.call
import ocpp.v21.call
import ocpp.v21.datatypes
import orjson
import pytest
from ocpp.charge_point import camel_to_snake_case

from evcore.ocpp import Codec
from evcore.ocpp.names import snake
from evcore.ocpp.policy import Policy

MODULES = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


def named_objects(node):
    """The properties of every object whose members the schema names: not those of customData."""
    if "items" in node:
        yield from named_objects(node["items"])
    if node.get("additionalProperties", True) is False and node.get("properties"):
        yield node["properties"]
        for member in node["properties"].values():
            yield from named_objects(member)


def skeleton(node, name):
    """A payload with every member there is, once."""
    if "items" in node:
        return [skeleton(node["items"], name)]
    if node.get("type") != "object":
        return 0
    if node.get("additionalProperties", True) is not False:
        return {"some_thing": {"idTag": 1, "id_tag": 2}, "vendorId": 3}
    return {name(wire): skeleton(member, name) for wire, member in node.get("properties", {}).items()}


def test_every_name_of_every_message_goes_out_under_its_wire_name_and_comes_in_under_its_snake_name(every_schema):
    codecs = {version: Codec(version, policy=Policy("off", out="off")) for version in MODULES}
    for version, kind, schema in every_schema:
        codec, action = codecs[version], schema.action
        encode = {"request": codec.encode_call, "response": codec.encode_result, "send": codec.encode_send}[kind]
        wire, ours = skeleton(schema.root, str), skeleton(schema.root, snake)
        message = encode("1", action, ours)
        assert message == encode("1", action, wire)
        assert codec.decode(message, names="wire", action=action).payload == wire
        assert codec.decode(message, action=action).payload == ours


def test_every_snake_name_is_one_of_python_and_stands_for_one_member_of_its_object(every_schema):
    names = set()
    for _, _, schema in every_schema:
        for properties in named_objects(schema.root):
            ours = [snake(wire) for wire in properties]
            assert len({name.replace("_", "") for name in ours}) == len(ours)
            assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in ours)
            names.update(properties)
    assert len(names) > 500  # 96 in 1.6, 244 in 2.0.1, 555 in 2.1, most of them shared


def test_snake_names_are_those_that_mobilityhouse_hands_to_handlers(every_schema):
    names = {wire for _, _, schema in every_schema for properties in named_objects(schema.root) for wire in properties}
    theirs = {wire: next(iter(camel_to_snake_case({wire: 0}))) for wire in names}
    assert {wire: theirs[wire] for wire in names if theirs[wire] != snake(wire)} == {
        "prioritizedEMAIDs": "prioritized_emai_ds"
    }


def test_every_field_of_every_dataclass_of_the_ocpp_package_finds_its_wire_name(every_schema):
    codecs = {version: Codec(version, policy=Policy("off", out="off")) for version in MODULES}
    checked = 0
    for version, kind, schema in every_schema:
        module = import_module(f"ocpp.{MODULES[version]}.{'call_result' if kind == 'response' else 'call'}")
        dataclass = getattr(module, schema.action, None)
        if dataclass is None:
            continue
        fields = [field.name for field in dataclasses.fields(dataclass)]
        encode = codecs[version].encode_result if kind == "response" else codecs[version].encode_call
        sent = orjson.loads(encode("1", schema.action, dataclass(**dict.fromkeys(fields, 0))))[-1]
        assert set(sent) - set(schema.root.get("properties", ())) <= ({"custom_data"} if version == "1.6" else set())
        checked += len(sent)
    assert checked > 1000


def test_custom_data_and_the_data_of_a_data_transfer_pass_untouched():
    codec = Codec("2.0.1")
    inner = {"vendorId": "V", "MyKEYName": {"idTag": 1, "some_thing": None}}
    data = codec.encode_call("1", "DataTransfer", {"vendor_id": "V", "data": inner, "custom_data": inner})
    assert codec.decode(data).payload == {"vendor_id": "V", "data": inner, "custom_data": inner}
    assert codec.decode(data, names="wire").payload == {"vendorId": "V", "data": inner, "customData": inner}


# Fields that mobilityhouse 2.1.0 sends under names that are in no schema (limitL2, SoC, ...).
@pytest.mark.parametrize(
    ("fields", "wire"),
    [
        ({"limit": 1.0, "limit_l2": 2.0, "start_period": 0}, {"limit": 1.0, "limit_L2": 2.0, "startPeriod": 0}),
        ({"limit": 1.0, "setpoint_reactive_l3": 2.0, "start_period": 0}, None),
    ],
)
def test_dataclass_fields_reach_the_wire_under_the_schemas_names(fields, wire):
    period = ocpp.v21.datatypes.ChargingSchedulePeriodType(**fields)
    codec = Codec("2.1")
    schedule = {"id": 1, "charging_rate_unit": "A", "charging_schedule_period": [period]}
    profile = {
        "id": 1,
        "stack_level": 0,
        "charging_profile_purpose": "TxProfile",
        "charging_profile_kind": "Absolute",
        "charging_schedule": [schedule],
    }
    call = ocpp.v21.call.SetChargingProfile(evse_id=1, charging_profile=profile)
    frame = codec.decode(codec.encode_call("1", "SetChargingProfile", call), names="wire")
    sent = frame.payload["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    assert sent == (wire or {"limit": 1.0, "setpointReactive_L3": 2.0, "startPeriod": 0})


def test_optional_fields_of_a_dataclass_that_are_none_are_left_out():
    call = ocpp.v16.call.BootNotification(charge_point_model="M", charge_point_vendor="V")
    assert Codec("1.6").encode_call("1", "BootNotification", call) == (
        b'[2,"1","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]'
    )
