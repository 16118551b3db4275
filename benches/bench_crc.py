"""CRC-16/MODBUS of a frame: one call from Python. fastcrc is a compiled crate with SIMD, pymodbus a table in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastcrc
import pytest
from pymodbus.framer.rtu import FramerRTU

from evcore.core.modbus import crc16


def swapped(data: bytes) -> int:
    """pymodbus's result has its bytes in the order of the wire."""
    return int.from_bytes(FramerRTU.compute_CRC(data).to_bytes(2, "big"), "little")


CONTESTANTS: dict[str, tuple[Callable[[bytes], int], Callable[[bytes], int]]] = {
    "evcore": (crc16, crc16),
    "fastcrc": (fastcrc.crc16.modbus, fastcrc.crc16.modbus),
    "pymodbus": (FramerRTU.compute_CRC, swapped),
}


def _bench(benchmark: Any, size: int, contestant: str) -> None:
    timed, result = CONTESTANTS[contestant]
    data = bytes(i * 7 & 0xFF for i in range(size))
    assert result(b"123456789") == 0x4B37  # the CRC catalogue's check value
    assert result(data) == fastcrc.crc16.modbus(data)
    benchmark(timed, data)


@pytest.mark.benchmark(group="crc-16/modbus, 8 bytes")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_8_bytes(benchmark: Any, contestant: str) -> None:
    _bench(benchmark, 8, contestant)


@pytest.mark.benchmark(group="crc-16/modbus, 64 bytes")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_64_bytes(benchmark: Any, contestant: str) -> None:
    _bench(benchmark, 64, contestant)


@pytest.mark.benchmark(group="crc-16/modbus, 256 bytes")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_256_bytes(benchmark: Any, contestant: str) -> None:
    _bench(benchmark, 256, contestant)
