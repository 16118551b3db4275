"""A serial line for the tests: two pseudo-terminals and a wire between them that can be made bad."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable

import pytest

from evcore.core.modbus import crc16


@pytest.fixture
def rtu() -> Callable[[str], bytes]:
    """rtu("11 83 02"): these bytes and their CRC."""

    def frame(text: str) -> bytes:
        body = bytes.fromhex(text)
        return body + crc16(body).to_bytes(2, "little")

    return frame


class Wire:
    """master, device: the paths of the two ends. spoil: what becomes of the bytes from the device to the master."""

    def __init__(self) -> None:
        self.spoil: Callable[[bytes], bytes] = lambda data: data
        self._ends = [os.openpty() for _ in range(2)]
        for end in self._ends:
            for fd in end:
                tty.setraw(fd)
        self.master, self.device = (os.ttyname(end[1]) for end in self._ends)
        self._loop = asyncio.get_running_loop()
        (master, _), (device, _) = self._ends
        self._loop.add_reader(master, self._carry, master, device, False)
        self._loop.add_reader(device, self._carry, device, master, True)

    def _carry(self, source: int, target: int, to_master: bool) -> None:
        with contextlib.suppress(OSError):
            data = os.read(source, 4096)
            os.write(target, self.spoil(data) if to_master else data)

    def unplug(self) -> None:
        """Both ends hang up."""
        ends, self._ends = self._ends, []
        for master, _ in ends:
            self._loop.remove_reader(master)
        for fd in (fd for end in ends for fd in end):
            os.close(fd)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    line = Wire()
    yield line
    line.unplug()
