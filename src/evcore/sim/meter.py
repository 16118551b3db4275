"""A meter to test and demonstrate against: pymodbus serves a profile's registers. The bytes that it sends are made by
pymodbus alone, so that nothing of ours is checked against itself.

    async with SimMeter("sdm630", values=lambda: {"power": 11_000, "energy_import": 1_234_560}) as meter:
        print(meter.url)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

from pymodbus import FramerType
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from evcore.modbus.profile import Profile, ProfilePoint

Values = Mapping[str, float | str]


class SimMeter:
    """profile: a name, a file or a Profile. values: called for each request; the value of points by name, in the
    profile's units (V, A, W, Wh, ...); a point that it leaves out shows the device's number for "missing", or 0.
    unit: the address that it answers to. port: 0 for any free one. device: a serial port to serve RTU on, instead
    of TCP. framing: of TCP. silent: set it to let requests go unanswered. requests: answered and ignored so far.
    """

    def __init__(
        self,
        profile: Profile | str | Path = "sdm630",
        *,
        values: Callable[[], Values],
        unit: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        framing: Literal["tcp", "rtu+tcp"] = "tcp",
        device: str = "",
        baudrate: int = 9600,
    ) -> None:
        self.profile = profile if isinstance(profile, Profile) else Profile.load(profile)
        self.host, self.port, self.unit = host, port, unit
        self.silent = False
        self.requests = 0
        self.started = asyncio.Event()
        self._values, self._framing, self._device, self._baudrate = values, framing, device, baudrate
        self._server: ModbusTcpServer | ModbusSerialServer | None = None

    @property
    def url(self) -> str:
        """For `evcore.modbus.connect`. Of TCP: right once it has started."""
        if self._device:
            return f"rtu://{self._device}?baudrate={self._baudrate}"
        return f"{self._framing}://{self.host}:{self.port}"

    async def start(self) -> None:
        """Raises RuntimeError (the port is taken)."""
        device = SimDevice(self.unit, simdata=self._blocks(), action=self._fill)
        if self._device:
            self._server = ModbusSerialServer(
                device,
                port=self._device,
                baudrate=self._baudrate,
                ignore_missing_devices=True,
                trace_packet=self._trace,
            )
            await self._server.serve_forever(background=True)
        else:
            self._server = ModbusTcpServer(
                device,
                framer=FramerType.SOCKET if self._framing == "tcp" else FramerType.RTU,
                address=(self.host, self.port),
                ignore_missing_devices=True,
                trace_packet=self._trace,
            )
            await self._server.serve_forever(background=True)
            self.port = cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1]
        self.started.set()

    async def stop(self) -> None:
        """Close the port and every connection."""
        self.started.clear()
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()  # type: ignore[no-untyped-call]

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _blocks(self) -> list[SimData]:
        """One block a run of registers that exist: those of points and of readable ranges. The rest is refused."""
        known: set[int] = set()
        for point in self.profile.points:
            known.update(range(point.address, point.end))
        for first, last in self.profile.readable:
            known.update(range(first, last + 1))
        starts = sorted(address for address in known if address - 1 not in known)
        ends = sorted(address + 1 for address in known if address + 1 not in known)
        return [
            SimData(start, count=end - start, values=0, datatype=DataType.REGISTERS)
            for start, end in zip(starts, ends, strict=True)
        ]

    async def _fill(
        self, function: int, start: int, address: int, count: int, registers: list[int], written: Any
    ) -> ExcCodes | None:
        """pymodbus is about to answer: put today's values into the registers asked for."""
        if written is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        if count > self.profile.max_registers:
            return ExcCodes.ILLEGAL_ADDRESS
        values = self._values()
        for point in self.profile.points:
            if point.address < address + count and point.end > address:
                words = encode(point, values.get(point.name))
                at = point.address - start
                if point.type == "bits":  # the others of this register stay
                    (field,) = encode(point, (1 << point.length) - 1)
                    words = [(registers[at] & ~field) | words[0]]
                registers[at : at + len(words)] = words
        return None

    def _trace(self, sending: bool, data: bytes) -> bytes:
        self.requests += not sending
        unit = data[6] if not self._device and self._framing == "tcp" and len(data) > 6 else data[0]
        # pymodbus answers for units that it does not have; a meter does not.
        return b"" if sending and (self.silent or unit != self.unit) else data


def encode(point: ProfilePoint, value: float | str | None) -> list[int]:
    """The registers that show `value`, by pymodbus's converters. Raises ValueError or struct.error (does not fit)."""
    order: Literal["big", "little"] = "little" if point.order in ("CDAB", "DCBA") else "big"
    number: Any
    if point.type == "string":
        number = str(value or "").ljust(2 * point.length, "\0")
        words = ModbusClientMixin.convert_to_registers(number, ModbusClientMixin.DATATYPE.STRING)[: point.length]
        words = words[::-1] if order == "little" else words
    elif value is None and point.missing is not None:
        words = [point.missing >> (16 * i) & 0xFFFF for i in range(point.registers)]
        words = words if order == "little" else words[::-1]
    else:
        number = Decimal(repr(value or 0)) / point.scale
        number = float(number) if point.type.startswith("float") else round(number)
        if point.type == "bits":
            words = [int(number) << point.bit]
        else:
            words = ModbusClientMixin.convert_to_registers(
                number, ModbusClientMixin.DATATYPE[point.type.upper()], order
            )
    if point.order in ("BADC", "DCBA"):
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words
