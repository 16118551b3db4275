"""Profiles: every file of the package holds to the schema, and what is wrong in a user's file is said precisely."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.errors import ConfigError
from evcore.modbus import Plan, Profile
from evcore.modbus.profile import parse, plain, shortest_float32
from evcore.model import Sample

FOLDER = resources.files("evcore.modbus").joinpath("profiles")
GOOD = """
title = "A meter"
manufacturer = "M"
model = "X"
[[source]]
repository = "a/b"
path = "c"
commit = "0123456789012345678901234567890123456789"
[[point]]
name = "power"
address = 10
type = "int32"
scale = 0.1
measurand = "Power.Active.Import"
unit = "W"
"""
# OCPP 2.0.1 Part 2, 3.50 MeasurandEnumType, as far as meters have them.
MEASURANDS = {
    "Voltage", "Current.Import", "Current.Export", "Power.Active.Import", "Power.Active.Export", "Power.Factor",
    "Power.Reactive.Import", "Power.Reactive.Export", "Frequency", "Energy.Active.Import.Register",
    "Energy.Active.Export.Register", "Energy.Reactive.Import.Register", "Energy.Reactive.Export.Register",
}  # fmt: skip


@pytest.mark.parametrize("name", Profile.names())
def test_every_profile_holds_to_the_schema_and_to_the_words_of_the_model(name):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(FOLDER.joinpath("profile.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(FOLDER.joinpath(f"{name}.toml").read_text()), schema)
    profile = Profile.load(name)
    assert profile.name == name
    assert {point.measurand for point in profile.points} - {""} <= MEASURANDS
    keys = [Sample("m", p.measurand, 0.0, p.unit, 0, phase=p.phase).key for p in profile.points if p.measurand]
    assert len(set(keys)) == len(keys), "two points would be one sample"
    assert "energy_import" in profile
    assert profile.point("energy_import").unit == "Wh"
    for point in profile.points:
        assert point.unit or point.measurand in ("Power.Factor", ""), point.name
        assert point.verified or profile.caveats, "what is unverified has a caveat"
    assert len(profile.sources) >= 2
    steps = Plan(profile, baudrate=9600).steps
    assert {point.name for step in steps for point in step.points} == {point.name for point in profile.points}


def test_there_are_the_profiles_that_are_promised():
    assert {"sdm630", "sdm120"} <= set(Profile.names())


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ('title = "A meter"', "", "title", "expected text, got nothing"),
        ('title = "A meter"', "title = 5", "title", "expected text, got 5"),
        ('model = "X"', 'model = "X"\ncolour = "red"', "colour", "unknown key"),
        ('model = "X"', 'model = "X"\nfunction = 5', "point[0].function", "3 or 4"),
        ('model = "X"', 'model = "X"\nmax_registers = 1', "point[0]", "at most 1 registers, got 2"),
        ('model = "X"', 'model = "X"\nmax_registers = 126', "max_registers", "1 to 125"),
        ('model = "X"', 'model = "X"\nmax_registers = true', "max_registers", "1 to 125"),
        ('model = "X"', 'model = "X"\nreadable = [[5, 1]]', "readable[0]", "first <= last"),
        ('model = "X"', 'model = "X"\ncaveats = [1]', "caveats[0]", "text"),
        ('type = "int32"', 'type = "int24"', "point[0].type", "'int24'"),
        ('type = "int32"', 'type = "int32"\norder = "ACBD"', "point[0].order", "'ACBD'"),
        ('type = "int32"', 'type = "int32"\nstatus = "sure"', "point[0].status", "verified or unverified"),
        ('type = "int32"', 'type = "int32"\nmissing = 4294967296', "point[0]", "32 bits"),
        ('type = "int32"', 'type = "string"\nlength = 4', "point[0].measurand", "none for a string"),
        ('name = "power"', "", "point[0].name", "got nothing"),
        ('name = "power"', 'name = "the power"', "point[0].name", "letters"),
        ("address = 10", "address = 65535", "point[0]", "offset"),
        ("address = 10", 'address = "10"', "point[0].address", "0 to 65535"),
        ("scale = 0.1", "scale = 0", "point[0].scale", "other than 0"),
        ("scale = 0.1", "scale = nan", "point[0].scale", "other than 0"),
        ('commit = "0', 'comit = "0', "source[0].commit", "got nothing"),
        ('unit = "W"', 'unit = "W"\n[[point]]\nname = "power"\naddress = 1\ntype = "int16"', "point[1].name", "before"),
        ("[[point]]", "[point]", "point", "tables"),
        ("[[point]]", "[[point]", "", "TOML"),
    ],
)
def test_what_is_wrong_in_a_profile_is_named(old, new, key, message, tmp_path):
    assert GOOD.count(old) == 1
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        Profile.load(file)
    assert caught.value.key == key
    assert caught.value.file == str(file)
    assert message in str(caught.value)


def test_a_profile_is_loaded_by_name_or_by_path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    assert Profile.load(file) == Profile.load(str(file)) == parse(GOOD, name="mine", file="elsewhere")
    for wrong in ("no_such_meter", "../secret", tmp_path / "none.toml"):
        with pytest.raises(ConfigError):
            Profile.load(wrong)
    with pytest.raises(KeyError):
        Profile.load(file).point("voltage")


def test_digits_are_the_number_that_the_register_shows():
    point = Profile.load("sdm630").point("energy_import")
    assert plain(point.exact(1234.56005859375)) == "1234560"  # 1234.56 kWh in a float32
    assert plain(point.exact(0.05000000074505806)) == "50"
    assert plain(point.exact(0.0)) == "0"
    power = parse(GOOD, name="x", file="x").point("power")
    assert power.exact(-123) == Decimal("-12.3")
    assert power.exact(None) is None
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(Decimal("0.00000500")) == "0.000005"


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_text_is_the_same_float32(value):
    import struct

    assert struct.pack(">f", float(shortest_float32(value))) == struct.pack(">f", value)
