"""MeterValues of both worlds to samples: units, digits, signed data, times."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.model import rfc3339
from evcore.ocpp import Codec
from evcore.ocpp.samples import in_wh, read_v2, read_v16
from evcore.ocpp.times import parse_time

NOW = 1_795_000_000_000_000_000
TIME = "2026-11-23T18:30:37.5Z"
TIME_NS = 1_795_458_637_500_000_000
OCMF = 'OCMF|{"FV":"1.0","RD":[{"RV":1.5,"RU":"kWh"},{"RV":12.3450,"RU":"kWh","RI":"1-0:1.8.0"}]}|{"SD":"00"}'


def v16(*values: dict[str, Any], time: str = TIME) -> Any:
    return read_v16([{"timestamp": time, "sampledValue": list(values)}], source="CP1", evse=1, now_ns=NOW, session="s")


def v2(*values: dict[str, Any]) -> Any:
    return read_v2([{"timestamp": TIME, "sampledValue": list(values)}], source="CP1", evse=1, now_ns=NOW)


@pytest.mark.parametrize(
    ("value", "measurand", "number", "unit", "digits"),
    [
        ({"value": "1200"}, "Energy.Active.Import.Register", 1200.0, "Wh", "1200"),
        ({"value": "1.2340", "unit": "kWh"}, "Energy.Active.Import.Register", 1234.0, "Wh", "1234.0"),
        (
            {"value": "1." + "1" * 40, "unit": "kWh"},
            "Energy.Active.Import.Register",
            1111.1111111111111,
            "Wh",
            "1111." + "1" * 37,
        ),
        ({"value": "11.04", "unit": "kW", "measurand": "Power.Active.Import"}, "Power.Active.Import", 11040, "W", None),
        ({"value": "3", "unit": "kvarh", "measurand": "Energy.Reactive.Import.Register"}, None, 3000, "varh", "3000"),
        ({"value": "230.1", "measurand": "Voltage"}, "Voltage", 230.1, "V", None),
        ({"value": "16", "measurand": "Current.Import", "phase": "L1"}, "Current.Import", 16, "A", None),
        ({"value": "55", "measurand": "SoC", "unit": "Percent"}, "SoC", 55, "Percent", None),
        ({"value": "21", "measurand": "Temperature", "unit": "Celcius"}, "Temperature", 21, "Celsius", None),
        ({"value": "50.0", "measurand": "Frequency"}, "Frequency", 50, "Hertz", None),
        ({"value": "1e3", "measurand": "Power.Active.Import"}, "Power.Active.Import", 1000, "W", None),
        ({"value": " 7 "}, "Energy.Active.Import.Register", 7, "Wh", "7"),
    ],
)
def test_a_value_of_16_keeps_its_word_and_gets_the_base_unit(
    value: dict[str, Any], measurand: str | None, number: float, unit: str, digits: str | None
) -> None:
    reading = v16(value)
    [sample] = reading.samples
    assert sample.measurand == (measurand or value["measurand"])
    assert (sample.value, sample.unit, sample.digits) == (pytest.approx(number), unit, digits)
    assert (sample.source, sample.evse, sample.time_ns, sample.session) == ("CP1", 1, TIME_NS, "s")
    assert (sample.context, sample.location, sample.quality) == ("Sample.Periodic", "Outlet", "good")


@pytest.mark.parametrize("text", ["", "n/a", "NaN", "Infinity", "1e400", "1,5", "0x10", "1e999999999", "1_000"])
def test_a_value_that_is_no_number_is_left_out_and_counted(text: str) -> None:
    reading = v16({"value": text}, {"value": "5", "measurand": "SoC"})
    assert [sample.measurand for sample in reading.samples] == ["SoC"]
    assert (reading.unreadable, reading.meter) == (1, None)


def test_a_time_that_is_none_is_the_arrivals() -> None:
    reading = v16({"value": "5"}, time="yesterday")
    assert reading.samples[0].time_ns == NOW
    assert reading.unreadable == 1


def test_the_meter_is_the_newest_total_at_the_outlet_in_wh() -> None:
    first = {"timestamp": "2026-11-23T18:00:00Z", "sampledValue": [{"value": "9"}]}
    last = {
        "timestamp": "2026-11-23T19:00:00Z",
        "sampledValue": [
            {"value": "12.50", "unit": "kWh"},
            {"value": "99", "location": "Inlet"},
            {"value": "3", "phase": "L1"},
            {"value": "4", "measurand": "Energy.Active.Export.Register"},
        ],
    }
    reading = read_v16([last, first], source="CP1", evse=1, now_ns=NOW)
    assert reading.meter == "12500"
    assert len(reading.samples) == 5


@given(st.decimals(0, 10**9, places=3), st.integers(-3, 6))
def test_a_register_is_scaled_without_rounding(number: Decimal, power: int) -> None:
    assert Decimal(in_wh(str(number), power) or "") == number.scaleb(power)


def test_signed_data_of_16_joins_its_number_or_tells_its_own() -> None:
    plain = {"value": "12.345", "unit": "kWh", "context": "Transaction.End"}
    signed = {"value": OCMF, "format": "SignedData", "context": "Transaction.End"}
    [joined] = v16(plain, signed).samples
    assert (joined.value, joined.digits, joined.signed) == (12345.0, "12345", OCMF)
    alone = v16(signed)
    assert (alone.samples[0].value, alone.samples[0].digits, alone.meter) == (12345.0, "12345.0", "12345.0")
    unknown = v16(signed | {"value": "c2lnbmVk"}).samples[0]
    assert (unknown.signed, unknown.quality, unknown.digits) == ("c2lnbmVk", "suspect", None)


def test_a_value_of_2_keeps_the_digits_that_json_would_lose() -> None:
    message = (
        b'[2,"a","MeterValues",{"evseId":1,"meterValue":[{"timestamp":"2026-11-23T18:30:37.5Z","sampledValue":'
        b'[{"value":123456789012345.10,"unitOfMeasure":{"unit":"Wh"}},{"value":1.50,"unitOfMeasure":{"unit":"kWh"}}]}]}]'
    )
    payload = Codec("2.0.1", exact=("value",)).decode(message, names="wire").payload
    reading = read_v2(payload["meterValue"], source="CP1", evse=1, now_ns=NOW)
    assert [sample.digits for sample in reading.samples] == ["123456789012345.10", "1500"]
    assert reading.meter == "1500"


def test_the_multiplier_and_the_signed_data_of_2() -> None:
    signed = {"signedMeterData": "AA==", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}
    [sample] = v2({"value": 1.5, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}, "signedMeterValue": signed}).samples
    assert (sample.value, sample.unit, sample.digits, sample.signed) == (1500.0, "Wh", "1500", "AA==")


@given(st.text(max_size=20), st.sampled_from(["kWh", "Wh", None]), st.booleans())
def test_no_text_breaks_the_reader(text: str, unit: str | None, signed: bool) -> None:
    value: dict[str, Any] = {"value": text} | ({"unit": unit} if unit else {})
    reading = v16(value | ({"format": "SignedData"} if signed else {}))
    assert len(reading.samples) + reading.unreadable == 1


# Times


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        (TIME, TIME_NS),
        ("2026-11-23T19:30:37.5+01:00", TIME_NS),
        ("2026-11-23T18:30:37.5", TIME_NS),
        ("2026-11-23T18:30:37.5000009Z", TIME_NS),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_a_time_to_ns(text: str, ns: int) -> None:
    assert parse_time(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "222222017-10-27T19:10:11.000Z", "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "9999-12-31"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.integers(0, 9_214_646_400_000 - 1))
def test_our_own_times_come_back(ms: int) -> None:
    assert parse_time(rfc3339(ms * 1_000_000)) == ms * 1_000_000


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        assert 0 <= parse_time(text) < 2**63
    except ValueError:
        return
