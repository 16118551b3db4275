"""Messages of GB/T 27930-2015 against frames of real cars and chargers, decoded by hand with the standard's tables."""

from __future__ import annotations

import random

import pytest

from evcore.can import gbt27930
from evcore.can.gbt27930 import MESSAGES, decode, encode, frame_id, length_fault
from evcore.errors import FrameError, PayloadError

NORMAL_CST = dict.fromkeys(
    [
        "charger_overtemperature",
        "connector",
        "inner_overtemperature",
        "energy_not_delivered",
        "emergency_stop",
        "other",
        "current_mismatch",
        "voltage_abnormal",
    ],
    "normal",
)

# One session of one car (2023-12-25); its values agree with one another: BHM = BCP maximum = BCL demand.
GOLDEN = [
    ("CHM", "010100", {"version": "1.1"}),
    ("CHM", "000100", {"version": "1.0"}),  # 2011
    ("BHM", "a510", {"max_voltage_v": 426.1}),
    (
        "BCP",
        "7201da052a02a510730803c60e",
        {
            "max_cell_voltage_v": 3.7,
            "max_current_a": -250.2,
            "energy_kwh": 55.4,
            "max_voltage_v": 426.1,
            "max_temperature_c": 65,
            "soc": 77.6,
            "voltage_v": 378.2,
        },
    ),
    (
        "CML",
        "1c257c01dc05a00f",
        {"max_voltage_v": 950.0, "min_voltage_v": 38.0, "max_current_a": -250.0, "min_current_a": 0.0},
    ),
    ("CML", "1c257c01dc05", {"max_voltage_v": 950.0, "min_voltage_v": 38.0, "max_current_a": -250.0}),  # 2011
    ("BCL", "a510d80e02", {"voltage_v": 426.1, "current_a": -20.0, "mode": "constant current"}),
    (
        "BCS",
        "c50ea00f4c614d0000",
        {
            "voltage_v": 378.1,
            "current_a": 0.0,
            "max_cell_voltage_v": 3.32,
            "max_cell_group": 6,
            "soc": 77,
            "remaining_min": 0,
        },
    ),
    ("CCS", "240ba00f0000fd", {"voltage_v": 285.2, "current_a": 0.0, "elapsed_min": 0, "allowed": "yes"}),
    ("CCS", "240ba00f0000", {"voltage_v": 285.2, "current_a": 0.0, "elapsed_min": 0}),
    ("CCS", "240ba00f0000fcff", {"voltage_v": 285.2, "current_a": 0.0, "elapsed_min": 0, "allowed": "no"}),
    (
        "BSM",
        "1e3606350f0010",
        {
            "max_cell_number": 31,
            "max_temperature_c": 4,
            "max_temperature_probe": 7,
            "min_temperature_c": 3,
            "min_temperature_probe": 16,
            "cell_voltage": "normal",
            "soc_level": "normal",
            "overcurrent": "normal",
            "overtemperature": "normal",
            "insulation": "normal",
            "connector": "normal",
            "allowed": "yes",
        },
    ),
    (
        "CST",
        "0400f0f0",
        {"target_reached": "no", "manual": "yes", "fault": "no", "car_stopped": "no", **NORMAL_CST},
    ),
    (
        "BSD",
        "4d4d014e013536",
        {
            "soc": 77,
            "min_cell_voltage_v": 3.33,
            "max_cell_voltage_v": 3.34,
            "min_temperature_c": 3,
            "max_temperature_c": 4,
        },
    ),
    ("CSD", "0000010001010101", {"elapsed_min": 0, "energy_kwh": 0.1, "charger_number": 0x01010101}),
    ("CRM", "aa01ffffffffffff", {"recognised": "yes", "charger_number": 0xFFFFFF01, "area": None}),
    ("CTS", "36240816051520", {"time": "2015-05-16T08:24:36"}),
    ("CTS", "ffffffffffffff", {"time": None}),
    ("BRO", "aa", {"ready": "yes"}),
    ("CRO", "ff", {"ready": None}),
    (
        "BMV",
        "4c614d01",
        {"cells": [{"voltage_v": 3.32, "group": 6}, {"voltage_v": 3.33, "group": 0}]},
    ),
    ("BMT", "3236", {"temperatures_c": [0, 4]}),
]


@pytest.mark.parametrize(("name", "raw", "values"), GOLDEN)
def test_a_real_payload_decodes_to_what_the_table_says_and_back(name, raw, values):
    data = bytes.fromhex(raw)
    assert decode(name, data) == values
    assert length_fault(name, data) == ""
    filled = data.rstrip(b"\xff")
    assert encode(name, values, length=len(data)).startswith(filled[:1])
    assert decode(name, encode(name, values, length=len(data))) == values


def test_exact_bytes_come_back_where_everything_is_a_value():
    for name, raw, values in GOLDEN:
        if name != "BSM":  # this car fills its reserved bits with 0
            assert encode(name, values, length=len(raw) // 2).hex() == raw


def test_the_car_of_the_recorded_session_is_read():
    """BRM of 49 bytes as sent: no VIN, no date beyond 2015-01-01."""
    data = bytes.fromhex(
        "01010006B4003913" + "4B4C4945" + "01000000" + "1E0101" + "010000" + "01FF" + "00" * 16 + "83" + "FF" * 8
    )
    assert len(data) == 49
    values = decode("BRM", data)
    assert values["battery"] == "NMC"
    assert (values["capacity_ah"], values["voltage_v"]) == (18.0, 492.1)
    assert (values["maker"], values["serial"], values["made"]) == ("KLIE", 1, "2015-01-01")
    assert (values["charges"], values["owner"], values["vin"]) == (1, "own", None)
    assert length_fault("BRM", data) == length_fault("BRM", data[:41]) == ""
    assert length_fault("BRM", data[:40]) == "expected 41 or 49 bytes, got 40"


@pytest.mark.parametrize(
    ("name", "raw", "late"),
    [
        ("BEM", "f4f0f0fc", "CRM(AA)"),
        ("BEM", "f0f0f1fc", "CCS"),
        ("CEM", "f0f0c4fc", "BCL"),
        ("CEM", "f1f0c0fc", "BRM"),
    ],
)
def test_an_error_message_names_what_did_not_come(name, raw, late):
    assert [key for key, value in decode(name, bytes.fromhex(raw)).items() if value == "yes"] == [late]


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("CHM", 0x1826F456),
        ("BHM", 0x182756F4),
        ("CRM", 0x1801F456),
        ("BRM", 0x1C0256F4),
        ("BCP", 0x1C0656F4),
        ("CTS", 0x1807F456),
        ("CML", 0x1808F456),
        ("BRO", 0x100956F4),
        ("CRO", 0x100AF456),
        ("BCL", 0x181056F4),
        ("BCS", 0x1C1156F4),
        ("CCS", 0x1812F456),
        ("BSM", 0x181356F4),
        ("BMV", 0x1C1556F4),
        ("BMT", 0x1C1656F4),
        ("BSP", 0x1C1756F4),
        ("BST", 0x101956F4),
        ("CST", 0x101AF456),
        ("BSD", 0x181C56F4),
        ("CSD", 0x181DF456),
        ("BEM", 0x081E56F4),
        ("CEM", 0x081FF456),
    ],
)
def test_every_message_has_its_identifier(name, id):
    assert frame_id(name) == id | 0x8000_0000


def test_every_message_is_in_the_table_above():
    assert len(MESSAGES) == 22


def test_what_is_not_given_is_filled_with_ones():
    assert encode("CST", {"manual": "yes"}).hex() == "f7ffffff"
    assert encode("BRM", {"vin": "LSVAA49J132012345"})[24:41] == b"LSVAA49J132012345"
    assert encode("CCS", {"allowed": "yes"}).hex() == "fffffffffffffdff"


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_any_bytes_decode_without_an_error(name):
    source = random.Random(name)
    for _ in range(300):
        values = decode(name, source.randbytes(source.randrange(60)))
        assert set(values) <= {field.name for field in MESSAGES[name].fields}


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_full_payload_survives_decode_and_encode(name):
    source = random.Random(name)
    length = MESSAGES[name].lengths[0] if MESSAGES[name].lengths else 16
    for _ in range(100):
        values = decode(name, source.randbytes(length))
        assert decode(name, encode(name, values, length=length)) == values


@pytest.mark.parametrize(
    ("name", "values", "place"),
    [
        ("BCL", {"voltage_v": -0.1}, "/BCL/voltage_v: expected 0..6553.5 V, got -0.1"),
        ("BCL", {"current_a": -400.1}, "/BCL/current_a"),
        ("BCL", {"mode": "warp"}, "/BCL/mode"),
        ("BCL", {"volts": 1}, "/BCL/volts"),
        ("BRM", {"vin": "X" * 18}, "/BRM/vin"),
        ("CTS", {"time": "yesterday"}, "/CTS/time"),
        ("BMT", {"temperatures_c": []}, "/BMT/temperatures_c"),
        ("BMT", {"temperatures_c": [300]}, "/BMT/temperatures_c"),
        ("BCL", {"voltage_v": float("inf")}, "/BCL/voltage_v"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(name, values, place):
    with pytest.raises(PayloadError, match=place):
        encode(name, values)


def test_a_message_that_does_not_exist_is_refused():
    with pytest.raises(FrameError, match="no message 'XYZ'"):
        gbt27930.decode("XYZ", b"")
