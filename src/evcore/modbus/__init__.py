"""Modbus: what the bytes mean. Sans-I/O, but for link.py and its serial_port.py."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.core.modbus import Layout, Point, ReadRequest, Request, WriteRequest, crc16, decode_registers
    from evcore.errors import InvalidReply, ModbusException, ModbusTimeout
    from evcore.modbus.client import Master
    from evcore.modbus.link import Client, connect
    from evcore.modbus.plan import Plan
    from evcore.modbus.profile import Profile

_HOME = {
    **dict.fromkeys(
        ("Layout", "Point", "ReadRequest", "Request", "WriteRequest", "crc16", "decode_registers"),
        "evcore.core.modbus",
    ),
    **dict.fromkeys(("InvalidReply", "ModbusException", "ModbusTimeout"), "evcore.errors"),
    "Master": "evcore.modbus.client",
    "Client": "evcore.modbus.link",
    "connect": "evcore.modbus.link",
    "Plan": "evcore.modbus.plan",
    "Profile": "evcore.modbus.profile",
}

__all__ = [
    "Client",
    "InvalidReply",
    "Layout",
    "Master",
    "ModbusException",
    "ModbusTimeout",
    "Plan",
    "Point",
    "Profile",
    "ReadRequest",
    "Request",
    "WriteRequest",
    "connect",
    "crc16",
    "decode_registers",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
