"""The framings that are not hot, ASCII and UDP: a pymodbus client does them, and its replies are checked again.

pymodbus takes a reply for the answer whatever its function and length. Here it is told to hand over the bytes of a
reply as they are; they go to the master as an RTU frame, which checks unit, function, count and echo as on any line and
counts, schedules and tries again as always. Late replies are kept out by the master's quarantine.
"""

from __future__ import annotations

import asyncio
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusUdpClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException as PymodbusError
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from evcore.core.modbus import crc16
from evcore.errors import LinkError
from evcore.modbus.url import Address

_NEVER = 1 << 30  # pymodbus hangs up after some silent requests: one dead device would cut off all others


def pymodbus_client(address: Address, *, timeout_s: float) -> ModbusBaseClient:
    """The client for an ascii, ascii+tcp, udp or rtu+udp address: no retries and no reconnecting of its own."""
    options: dict[str, Any] = {"timeout": timeout_s, "retries": 0, "reconnect_delay": 0}
    if address.scheme == "ascii":
        return AsyncModbusSerialClient(
            address.device,
            framer=FramerType.ASCII,
            baudrate=address.baudrate,
            parity=address.parity,
            stopbits=address.stopbits,
            bytesize=address.bytesize,
            **options,
        )
    if address.scheme == "ascii+tcp":
        return AsyncModbusTcpClient(address.host, port=address.port, framer=FramerType.ASCII, **options)
    framer = FramerType.SOCKET if address.scheme == "udp" else FramerType.RTU
    return AsyncModbusUdpClient(address.host, port=address.port, framer=framer, **options)


class Adapter:
    """A transport of RTU frames over any pymodbus async client, which must be connected. on_data: each reply, as an RTU
    frame. on_lost: why, once, when pymodbus has lost its connection."""

    def __init__(
        self, client: ModbusBaseClient, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> None:
        self._client, self._on_data, self._on_lost = client, on_data, on_lost
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._raw: dict[int, type[ModbusPDU]] = {}
        for function in list(client.ctx.framer.decoder.pdu_table):
            self._kind(function)  # also those that were not asked for: a wrong reply is to be named
        client.ctx.max_until_disconnect = client.ctx.count_until_disconnect = _NEVER

    @classmethod
    async def open(
        cls, client: ModbusBaseClient, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> Self:
        """Connect, then adapt. Raises LinkError."""
        try:
            connected = await client.connect()
        except termios.error as error:  # settings that the port does not have
            client.close()
            raise LinkError(f"{client}: {error}") from None
        if not connected:
            client.close()
            raise LinkError(f"{client}: pymodbus could not connect")
        return cls(client, on_data, on_lost)

    def write(self, frame: bytes) -> None:
        """Ask what this RTU frame asks."""
        if self._task is not None:
            self._task.cancel()  # given up by the master
        self._task = asyncio.get_running_loop().create_task(self._exchange(frame[0], frame[1:-2]))

    def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        self._client.close()

    async def _exchange(self, unit: int, pdu: bytes) -> None:
        request = self._kind(pdu[0])(dev_id=unit)
        request.data = pdu[1:]  # type: ignore[attr-defined]
        try:
            reply = await self._client.execute(unit == 0, request)
        except (PymodbusError, OSError) as error:
            if not self._closed and not self._client.connected:
                self._closed = True
                self._on_lost(f"pymodbus: {error}")
            return  # no answer: the master's time-out will say so
        if reply is not None and not self._closed:
            refused = isinstance(reply, ExceptionResponse)
            data = bytes([reply.exception_code]) if refused else getattr(reply, "data", b"")
            body = bytes([reply.dev_id, reply.function_code]) + data
            self._on_data(body + crc16(body).to_bytes(2, "little"))

    def _kind(self, function: int) -> type[ModbusPDU]:
        """pymodbus's class for a function, with the bytes left as they are; both the request and its reply."""
        kind = self._raw.get(function)
        if kind is None:
            own = self._client.ctx.framer.decoder.pdu_table.get(function, (None, None))[1]
            kind = self._raw[function] = _raw(function, own)
            with suppress(KeyError):
                self._client.register(kind)
        return kind


def _raw(function: int, own: type[ModbusPDU] | None) -> type[ModbusPDU]:
    class Raw(ModbusPDU):
        function_code = function
        data = b""

        def encode(self) -> bytes:
            return self.data

        def decode(self, data: bytes) -> None:
            self.data = bytes(data)

        @classmethod
        def calculateRtuFrameSize(cls, data: bytes) -> int:
            return own.calculateRtuFrameSize(data) if own is not None else len(data)

    return Raw
