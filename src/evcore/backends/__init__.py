"""Connectors to those who run the business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.backends.http import HttpBackend
    from evcore.backends.modbus_gateway import ModbusGateway, WriteRule
    from evcore.backends.modbus_server import ModbusServer
    from evcore.backends.modbus_server_map import EvseSlot, MeterSlot, register_map
    from evcore.backends.mqtt import MqttBackend
    from evcore.backends.mqtt_source import MqttSource
    from evcore.backends.psp import GenericProvider

__all__ = [
    "EvseSlot",
    "GenericProvider",
    "HttpBackend",
    "MeterSlot",
    "ModbusGateway",
    "ModbusServer",
    "MqttBackend",
    "MqttSource",
    "WriteRule",
    "register_map",
]

__getattr__ = exports(
    __name__,
    {
        "EvseSlot": "evcore.backends.modbus_server_map",
        "GenericProvider": "evcore.backends.psp",
        "HttpBackend": "evcore.backends.http",
        "MeterSlot": "evcore.backends.modbus_server_map",
        "ModbusGateway": "evcore.backends.modbus_gateway",
        "ModbusServer": "evcore.backends.modbus_server",
        "MqttBackend": "evcore.backends.mqtt",
        "MqttSource": "evcore.backends.mqtt_source",
        "WriteRule": "evcore.backends.modbus_gateway",
        "register_map": "evcore.backends.modbus_server_map",
    },
)
__dir__ = listing(__name__)
