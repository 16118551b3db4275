"""What a user may ask of a device, as methods over one `request`: a mixin of the clients."""

from __future__ import annotations

from collections.abc import Sequence

from evcore.core.modbus import Layout, ReadRequest, Request, Value, WriteRequest, unpack_bits, unpack_registers


class Calls:
    """unit: 1..255 (0, to all units of a serial line, for writes). Addresses are 0-based, as on the wire. Every method
    raises ValueError (an argument beyond the limits of V1.1b3, 6; nothing is sent then) and what `request` raises."""

    async def request(self, request: Request) -> bytes:
        """Send any request; the reply's data bytes, or the echo of a write."""
        raise NotImplementedError

    async def read_values(self, request: ReadRequest, layout: Layout) -> list[Value]:
        """Read registers and decode them by `layout`."""
        return layout.decode(await self.request(request))

    async def read_coils(self, unit: int, address: int, count: int = 1) -> list[bool]:
        return unpack_bits(await self.request(ReadRequest(unit, 1, address, count)), count)

    async def read_discrete_inputs(self, unit: int, address: int, count: int = 1) -> list[bool]:
        return unpack_bits(await self.request(ReadRequest(unit, 2, address, count)), count)

    async def read_holding_registers(self, unit: int, address: int, count: int = 1) -> list[int]:
        return unpack_registers(await self.request(ReadRequest(unit, 3, address, count)))

    async def read_input_registers(self, unit: int, address: int, count: int = 1) -> list[int]:
        return unpack_registers(await self.request(ReadRequest(unit, 4, address, count)))

    async def write_coil(self, unit: int, address: int, value: bool) -> None:
        await self.request(WriteRequest(unit, 5, address, [value]))

    async def write_register(self, unit: int, address: int, value: int) -> None:
        await self.request(WriteRequest(unit, 6, address, [value]))

    async def write_coils(self, unit: int, address: int, values: Sequence[bool]) -> None:
        await self.request(WriteRequest(unit, 15, address, values))

    async def write_registers(self, unit: int, address: int, values: Sequence[int]) -> None:
        await self.request(WriteRequest(unit, 16, address, values))
