"""A Modbus RTU reply from bytes to typed values: found, checked (unit, function, byte count, CRC), decoded.

125 registers hold 62 float32 and one uint16. pymodbus does the same with its framer and `convert_from_registers`; its
framer checks unit and CRC only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import fastcrc
import pytest
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU

from evcore.modbus import Layout, Point, ReadRequest

VALUES = [*(float(i) + 0.5 for i in range(62)), 4711]
_BODY = bytes([1, 3, 250]) + struct.pack(">62fH", *VALUES)
REPLY = _BODY + fastcrc.crc16.modbus(_BODY).to_bytes(2, "little")

REQUEST = ReadRequest(1, 3, 0, 125)
LAYOUT = Layout([*(Point(2 * i, "float32") for i in range(62)), Point(124, "uint16")])
FRAMER = FramerRTU(DecodePDU(False))
CONVERT, TYPES = ModbusClientMixin.convert_from_registers, ModbusClientMixin.DATATYPE


def by_evcore(reply: bytes) -> list[Any]:
    return REQUEST.values(reply, LAYOUT)


def by_pymodbus(reply: bytes) -> list[Any]:
    _, pdu = FRAMER.handleFrame(reply, 1, 0)
    registers = pdu.registers
    return [*CONVERT(registers[:124], TYPES.FLOAT32), CONVERT(registers[124:], TYPES.UINT16)]


CONTESTANTS: dict[str, Callable[[bytes], list[Any]]] = {"evcore": by_evcore, "pymodbus": by_pymodbus}


@pytest.mark.benchmark(group="modbus rtu reply, 125 registers")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_reply(benchmark: Any, contestant: str) -> None:
    call = CONTESTANTS[contestant]
    assert call(REPLY) == VALUES
    benchmark(call, REPLY)
