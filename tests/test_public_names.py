"""The public names, pinned: taking one away or renaming it is a breaking change (SemVer), and shows here."""

from __future__ import annotations

import importlib

import pytest

NAMES = {
    "evcore": "__version__ backends can chargers errors gateway meters modbus model ocpp sim",
    "evcore.ocpp": "CallContext Codec ConnectionProfile Frame Limits Policy Repair Rule Session StationAbout "
    "StationClient accelerate routing v16 v201 v21",
    "evcore.modbus": "Bus Statistics Client CountedReply Device EchoReply FixedReply Image InvalidReply Layout Master "
    "ModbusException ModbusTimeout Plan Point Profile ReadRequest Register Request Server WriteRequest Written "
    "connect crc16 crc16_many decode_registers functions register_function",
    "evcore.can": "CanBus Database Frame Log Message gbt27930 j1939 read_log",
    "evcore.chargers": "OcppServer ServerCertificates ServerStats StationRules SubjectRule",
    "evcore.meters": "CanSource ModbusMeter",
    "evcore.backends": "EvseSlot GenericProvider HttpBackend MeterSlot ModbusGateway ModbusServer MqttBackend "
    "MqttSource WriteRule register_map",
    "evcore.gateway": "Config Gateway load parse",
    "evcore.sim": "Battery EmbeddedBroker Fleet FleetPlan GbtSession SimMeter SimPsp SimStation VirtualClock",
}


@pytest.mark.parametrize("room", NAMES)
def test_the_public_names_are_these_and_each_can_be_had(room):
    module = importlib.import_module(room)
    assert sorted(module.__all__) == sorted(NAMES[room].split())
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("room", NAMES)
def test_a_name_that_is_not_there_is_an_attribute_error(room):
    with pytest.raises(AttributeError):
        importlib.import_module(room).no_such_name  # noqa: B018
