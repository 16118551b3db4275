"""Values of other devices on the broker: taken in digit for digit, or refused with the reason."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.backends import MqttBackend, MqttSource
from evcore.errors import ConfigError, PayloadError
from evcore.model import Sample

POWER = MqttSource("shelly/em/0", "grid", "Power.Active.Import", "W", pointer="/em/0/act_power")
ENERGY = MqttSource(
    "shelly/kwh", "grid", "Energy.Active.Import.Register", "Wh", scale=1000.0, phase="L1", location="Inlet", evse=2
)


def test_a_bare_number_keeps_its_digits_and_is_scaled():
    assert ENERGY.sample(b" 1234.50\n", 7) == Sample(
        "grid",
        "Energy.Active.Import.Register",
        1_234_500.0,
        "Wh",
        7,
        evse=2,
        phase="L1",
        location="Inlet",
        digits="1234.50",
    )


def test_a_json_pointer_finds_objects_arrays_and_escaped_names():
    assert POWER.sample(b'{"em": [{"act_power": -12.5}]}', 7).value == -12.5
    odd = MqttSource("t", "s", "Voltage", "V", pointer="/a~1b/~0c")
    assert odd.sample(b'{"a/b": {"~c": "230.1"}}', 7).value == 230.1
    register = MqttSource("t", "s", "Energy.Active.Import.Register", "Wh", pointer="/e")
    assert register.sample(b'{"e": 10.00}', 7).digits == "10.00"


@pytest.mark.parametrize(
    ("source", "payload", "code"),
    [
        (ENERGY, b"", "type"),
        (ENERGY, b"unavailable", "type"),
        (ENERGY, b"NaN", "type"),
        (ENERGY, b"-Infinity", "type"),
        (ENERGY, b"1e400", "range"),
        (ENERGY, b"\xff\xff", "type"),
        (ENERGY, b"1" * 70_000, "length"),
        (POWER, b"{", "json"),
        (POWER, b"[" * 60_000, "json"),
        (POWER, b"3", "missing"),
        (POWER, b'{"em": []}', "missing"),
        (POWER, b'{"em": [{"act_power": null}]}', "type"),
        (POWER, b'{"em": [{"act_power": true}]}', "type"),
        (POWER, b'{"em": [{"act_power": NaN}]}', "type"),
        (POWER, b'{"em": [{"act_power": {}}]}', "type"),
    ],
)
def test_what_is_no_value_is_refused_with_its_code(source, payload, code):
    with pytest.raises(PayloadError) as caught:
        source.sample(payload, 7)
    assert caught.value.code == code


@given(st.binary(max_size=64) | st.text(max_size=32).map(str.encode))
def test_any_payload_is_a_finite_value_or_a_payload_error(payload):
    for source in (POWER, ENERGY):
        try:
            value = source.sample(payload, 7).value
        except PayloadError:
            continue
        assert math.isfinite(value)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"topic": "a/#"}, "sources.topic"),
        ({"topic": ""}, "sources.topic"),
        ({"pointer": "a"}, "sources.pointer"),
        ({"scale": 0.0}, "sources.scale"),
        ({"scale": math.nan}, "sources.scale"),
    ],
)
def test_a_source_that_cannot_work_is_refused(options, key):
    with pytest.raises(ConfigError) as caught:
        MqttSource(**{"topic": "t", "source": "s", "measurand": "Voltage", "unit": "V", **options})
    assert caught.value.key == key


def test_our_own_topics_are_no_source():
    with pytest.raises(ConfigError, match="outside evcore/v1/site"):
        MqttBackend(sources=[MqttSource("evcore/v1/site/CP1/1/meter/Voltage", "s", "Voltage", "V")])


async def test_values_of_another_device_become_samples_and_bad_ones_are_counted(mosquitto, watch, run, hub, until):
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    watcher.publish("shelly/kwh", b"1.5", retain=True)
    both = MqttSource("shelly/em/0", "grid", "Frequency", "Hz", pointer="/f")
    await run(MqttBackend(mosquitto.url, node="n1", sources=[POWER, ENERGY, both]))
    await until(lambda: hub.last("sample/grid/2/Energy.Active.Import.Register/L1/Inlet"))
    watcher.publish("shelly/em/0", b"garbage")
    watcher.publish("shelly/em/0", {"em": [{"act_power": 810}], "f": 50.02})
    sample = await until(lambda: hub.last("sample/grid/0/Power.Active.Import"))
    assert isinstance(sample, Sample)
    assert (sample.value, sample.unit) == (810.0, "W")
    assert await until(lambda: hub.last("sample/grid/0/Frequency"))
    assert hub.traffic("mqtt").errors == 2
    # And out again, like every sample of the site.
    assert (await until(lambda: watcher.last("evcore/v1/site/grid/0/meter/Power.Active.Import")))["value"] == 810.0
