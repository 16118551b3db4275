"""Modbus: what the bytes mean. Sans-I/O, but for link.py, its serial_port.py and adapter.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.core.modbus import (
        Layout,
        Point,
        ReadRequest,
        Request,
        WriteRequest,
        crc16,
        crc16_many,
        decode_registers,
    )
    from evcore.errors import InvalidReply, ModbusException, ModbusTimeout
    from evcore.modbus import functions
    from evcore.modbus.bus import Bus, Statistics
    from evcore.modbus.client import Master
    from evcore.modbus.functions import CountedReply, EchoReply, FixedReply, register_function
    from evcore.modbus.image import Image, Register
    from evcore.modbus.link import Client, connect
    from evcore.modbus.plan import Plan
    from evcore.modbus.profile import Profile
    from evcore.modbus.server import Device, Server, Written

__all__ = [
    "Bus",
    "Client",
    "CountedReply",
    "Device",
    "EchoReply",
    "FixedReply",
    "Image",
    "InvalidReply",
    "Layout",
    "Master",
    "ModbusException",
    "ModbusTimeout",
    "Plan",
    "Point",
    "Profile",
    "ReadRequest",
    "Register",
    "Request",
    "Server",
    "Statistics",
    "WriteRequest",
    "Written",
    "connect",
    "crc16",
    "crc16_many",
    "decode_registers",
    "functions",
    "register_function",
]

__getattr__ = exports(
    __name__,
    {
        "Bus": "evcore.modbus.bus",
        "Client": "evcore.modbus.link",
        "CountedReply": "evcore.modbus.functions",
        "Device": "evcore.modbus.server",
        "EchoReply": "evcore.modbus.functions",
        "FixedReply": "evcore.modbus.functions",
        "Image": "evcore.modbus.image",
        "InvalidReply": "evcore.errors",
        "Layout": "evcore.core.modbus",
        "Master": "evcore.modbus.client",
        "ModbusException": "evcore.errors",
        "ModbusTimeout": "evcore.errors",
        "Plan": "evcore.modbus.plan",
        "Point": "evcore.core.modbus",
        "Profile": "evcore.modbus.profile",
        "ReadRequest": "evcore.core.modbus",
        "Register": "evcore.modbus.image",
        "Request": "evcore.core.modbus",
        "Server": "evcore.modbus.server",
        "Statistics": "evcore.modbus.bus",
        "WriteRequest": "evcore.core.modbus",
        "Written": "evcore.modbus.server",
        "connect": "evcore.modbus.link",
        "crc16": "evcore.core.modbus",
        "crc16_many": "evcore.core.modbus",
        "decode_registers": "evcore.core.modbus",
        "functions": "evcore.modbus.functions",
        "register_function": "evcore.modbus.functions",
    },
)
__dir__ = listing(__name__)
