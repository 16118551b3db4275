"""A serial port on the event loop: pyserial opens and configures it, the loop watches its descriptor."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import serial
import serial.rs485

from evcore.errors import LinkError
from evcore.modbus.url import Address

_OUT_MAX = 4096  # bytes that the port has not taken yet; more means that it is stuck


class SerialPort:
    """on_data: bytes as they come. on_lost: why, once, when the port goes away (unplugged). Raises LinkError (cannot be
    opened, or another program has it)."""

    def __init__(self, address: Address, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]) -> None:
        try:
            port = serial.Serial(
                address.device,
                address.baudrate,
                parity=address.parity,
                stopbits=address.stopbits,
                timeout=0,
                exclusive=True,
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise LinkError(f"{address.device}: {error}") from None
        if address.rs485:
            try:
                port.rs485_mode = serial.rs485.RS485Settings()
            except (OSError, ValueError, NotImplementedError) as error:
                port.close()
                raise LinkError(f"{address.device}: rs485=1: the driver has no RS-485 mode: {error}") from None
        with suppress(OSError, ValueError, NotImplementedError, AttributeError):
            port.set_low_latency_mode(True)  # an FTDI chip keeps bytes for 16 ms otherwise; ptys and others have none
        self._port, self._fd = port, port.fileno()
        self._on_data, self._on_lost = on_data, on_lost
        self._out = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        self._out += data
        self._writable()

    def close(self) -> None:
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._fd = -1
        with suppress(OSError, serial.SerialException):
            self._port.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        if data:
            self._on_data(data)
        else:
            self._fail("end of file")

    def _writable(self) -> None:
        if self._fd < 0:
            return
        try:
            sent = os.write(self._fd, self._out)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._loop.call_soon(self._fail, error.strerror or str(error))
            return
        del self._out[:sent]
        if len(self._out) > _OUT_MAX:
            self._loop.call_soon(self._fail, f"{len(self._out)} bytes could not be sent")
        elif self._out:
            self._loop.add_writer(self._fd, self._writable)
        else:
            self._loop.remove_writer(self._fd)

    def _fail(self, why: str) -> None:
        if self._fd < 0:
            return
        self.close()
        self._on_lost(f"port lost: {why}")
