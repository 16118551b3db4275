"""The simulated meter, read by pymodbus's own client and by ours."""

from __future__ import annotations

import os
import tty
from dataclasses import replace

import pytest
from pymodbus.client import AsyncModbusTcpClient

from evcore.modbus import Layout, Plan, Profile, connect
from evcore.modbus.profile import ProfilePoint
from evcore.sim import SimMeter
from evcore.sim.meter import encode


async def test_pymodbus_reads_from_it_what_its_values_say():
    values = {"voltage_l1": 230.5, "power": -1500.0, "energy_import": 12_500}
    async with SimMeter("sdm630", values=lambda: values) as meter:
        client = AsyncModbusTcpClient("127.0.0.1", port=meter.port)
        await client.connect()
        try:
            for address, expected in ((0, 230.5), (52, -1500.0), (72, 12.5)):
                answer = await client.read_input_registers(address, count=2, device_id=1)
                assert client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32) == expected
            values["power"] = 700.0
            answer = await client.read_input_registers(52, count=2, device_id=1)
            assert client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32) == 700.0
            assert (await client.read_input_registers(0, count=51, device_id=1)).exception_code == 2
            assert (await client.read_input_registers(500, count=2, device_id=1)).exception_code == 2
            assert (await client.write_register(0, 1, device_id=1)).isError()
        finally:
            client.close()
        assert meter.requests == 7


async def test_it_serves_on_a_serial_port_too():
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        other_end = os.ttyname(slave)
        assert (
            SimMeter("sdm120", values=dict, device=other_end, baudrate=2400).url == f"rtu://{other_end}?baudrate=2400"
        )
        async with SimMeter("sdm120", values=lambda: {"power": 5.0}, device=other_end) as meter:
            assert meter.started.is_set()
    finally:
        os.close(master)
        os.close(slave)


async def test_a_port_that_is_taken_is_said_so():
    async with SimMeter("sdm630", values=dict) as first:
        with pytest.raises(RuntimeError):
            await SimMeter("sdm630", values=dict, port=first.port).start()


@pytest.mark.parametrize("name", Profile.names())
async def test_every_profile_is_read_back_through_its_plan(name):
    profile = Profile.load(name)
    # What every register can hold: whole hundreds of Wh, small numbers of everything else.
    values = {p.name: 100.0 * (i + 1) if p.unit == "Wh" else i + 1.0 for i, p in enumerate(profile.points)}
    plan = Plan(profile)
    async with SimMeter(profile, values=lambda: values) as meter, connect(meter.url) as client:
        seen = {}
        for step in plan.steps:
            seen.update({p.name: p.exact(raw) for p, raw in step.decode(await client.request(step.request(1)))})
    assert {name: float(value) for name, value in seen.items()} == values


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize(
    ("kind", "value", "length"),
    [("int16", -7, 1), ("uint32", 70_000, 1), ("int64", -(2**40), 1), ("float32", 1.5, 1), ("float64", 0.1, 1),
     ("string", "SDM630", 4), ("bits", 5, 3)],
)  # fmt: skip
def test_every_type_and_order_is_encoded_as_it_is_decoded(kind, value, length, order):
    point = ProfilePoint("x", 0, kind, order=order, length=length, bit=2 if kind == "bits" else 0)
    words = encode(point, value)
    data = b"".join(word.to_bytes(2, "big") for word in words)
    assert Layout([point.at(0)]).decode(data) == [value]
    assert len(words) == point.registers


def test_what_it_has_no_value_for_is_missing_if_the_device_has_a_number_for_that():
    point = ProfilePoint("x", 0, "int32", missing=0x7FFFFFFF)
    assert encode(point, None) == [0x7FFF, 0xFFFF]
    assert encode(replace(point, order="CDAB"), None) == [0xFFFF, 0x7FFF]
    assert encode(replace(point, missing=None), None) == [0, 0]
