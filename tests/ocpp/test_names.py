"""Names: every wire name of every schema has one snake name and comes back from it."""

import dataclasses
import re

import ocpp.v16.call
import ocpp.v21.call
import ocpp.v21.datatypes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.charge_point import camel_to_snake_case

from evcore.ocpp import Codec
from evcore.ocpp.names import Shape, snake, to_snake, to_wire


def shapes(shape):
    if shape is None:
        return
    yield shape
    for _, inner in shape.by_wire.values():
        yield from shapes(inner)


def test_every_wire_name_of_every_object_comes_back_from_its_snake_name(every_schema):
    names = set()
    for _, _, schema in every_schema:
        for shape in shapes(schema.shape):
            for wire, (name, _) in shape.by_wire.items():
                assert re.fullmatch("[a-z][a-z0-9_]*", name), wire
                assert shape.find(name)[0] == wire
                assert shape.find(wire)[0] == wire
                names.add(wire)
    assert len(names) > 500  # 96 in 1.6, 244 in 2.0.1, 555 in 2.1, most of them shared


def test_snake_names_are_those_that_mobilityhouse_hands_to_handlers(every_schema):
    names = {wire for _, _, schema in every_schema for shape in shapes(schema.shape) for wire in shape.by_wire}
    theirs = {wire: next(iter(camel_to_snake_case({wire: 0}))) for wire in names}
    assert {wire: theirs[wire] for wire in names if theirs[wire] != snake(wire)} == {
        "prioritizedEMAIDs": "prioritized_emai_ds"
    }


def test_every_field_of_every_dataclass_of_the_ocpp_package_finds_its_wire_name(every_schema):
    modules = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
    checked = 0
    for version, kind, schema in every_schema:
        module = __import__(
            f"ocpp.{modules[version]}.{'call_result' if kind == 'response' else 'call'}", fromlist=["x"]
        )
        dataclass = getattr(module, schema.action, None)
        for field in dataclasses.fields(dataclass) if dataclass is not None else ():
            if field.name == "custom_data" and version == "1.6":
                continue
            wire, _ = schema.shape.find(field.name, loose=True)
            assert wire in schema.root["properties"], (version, schema.action, field.name)
            checked += 1
    assert checked > 1000


def test_no_two_names_of_one_object_differ_only_in_case_and_underscores(every_schema):
    for _, _, schema in every_schema:
        for shape in shapes(schema.shape):
            assert len({wire.replace("_", "").lower() for wire in shape.by_wire}) == len(shape.by_wire)


@given(st.integers(0, 10_000))
def test_payloads_come_back_from_snake_names_as_they_were(every_schema, make_payload, seed):
    _, _, schema = every_schema[seed % len(every_schema)]
    payload = make_payload(schema, seed)
    assert to_wire(schema.shape, to_snake(schema.shape, payload)) == payload
    assert to_wire(schema.shape, payload) == payload


def test_custom_data_and_the_data_of_a_data_transfer_pass_untouched():
    codec = Codec("2.0.1")
    inner = {"vendorId": "V", "MyKEYName": {"idTag": 1, "some_thing": None}}
    data = codec.encode_call("1", "DataTransfer", {"vendor_id": "V", "data": inner, "custom_data": inner})
    assert codec.decode(data).payload == {"vendor_id": "V", "data": inner, "custom_data": inner}
    assert codec.decode(data, names="wire").payload == {"vendorId": "V", "data": inner, "customData": inner}


def test_a_name_that_no_schema_knows_is_kept():
    shape = Shape({"idTag": None})
    assert to_wire(shape, {"id_tag": 1, "some_thing": 2}) == {"idTag": 1, "some_thing": 2}
    assert to_snake(shape, {"idTag": 1, "someThing": 2}) == {"id_tag": 1, "someThing": 2}


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
