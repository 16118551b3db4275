"""What a user may ask of a device, as methods over one `request`: a mixin of the clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evcore.core.modbus import Layout, ReadRequest, Request, Value, WriteRequest, unpack_bits, unpack_registers
from evcore.modbus import functions


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

    async def mask_write_register(self, unit: int, address: int, and_mask: int, or_mask: int) -> None:
        """The device sets a register to (register AND and_mask) OR (or_mask AND NOT and_mask)."""
        await self.request(functions.MaskWriteRegister(unit, address, and_mask, or_mask))

    async def read_write_registers(
        self, unit: int, read_address: int, count: int, write_address: int, values: Sequence[int]
    ) -> list[int]:
        """Write registers, then read some, in one request."""
        request = functions.ReadWriteRegisters(unit, read_address, count, write_address, values)
        return request.parse(await self.request(request))

    async def read_exception_status(self, unit: int) -> list[bool]:
        """Eight outputs, the lowest bit first."""
        request = functions.ReadExceptionStatus(unit)
        return request.parse(await self.request(request))

    async def diagnostics(self, unit: int, sub_function: int, data: bytes = b"\0\0") -> bytes:
        """What the device says to a sub-function (0-3, 10-18, 20); 0: `data` come back."""
        request = functions.Diagnostics(unit, sub_function, data)
        return request.parse(await self.request(request))

    async def get_comm_event_counter(self, unit: int) -> functions.CommEvents:
        request = functions.GetCommEventCounter(unit)
        return request.parse(await self.request(request))

    async def get_comm_event_log(self, unit: int) -> functions.CommEvents:
        request = functions.GetCommEventLog(unit)
        return request.parse(await self.request(request))

    async def report_server_id(self, unit: int) -> bytes:
        """Identifier, run indicator and more, as the device lays them out."""
        request = functions.ReportServerId(unit)
        return request.parse(await self.request(request))

    async def read_file_record(self, unit: int, records: Iterable[functions.FileRecord]) -> list[list[int]]:
        """The registers of each record, in the order asked."""
        request = functions.ReadFileRecord(unit, records)
        return request.parse(await self.request(request))

    async def write_file_record(self, unit: int, records: Iterable[functions.FileData]) -> None:
        await self.request(functions.WriteFileRecord(unit, records))

    async def read_fifo_queue(self, unit: int, address: int) -> list[int]:
        """What is in the queue; it stays there."""
        request = functions.ReadFifoQueue(unit, address)
        return request.parse(await self.request(request))

    async def read_device_identification(
        self, unit: int, level: int = 1, object_id: int = 0
    ) -> functions.DeviceIdentification:
        """level: 1 basic, 2 regular, 3 extended, 4 the one object. Asks on until all objects are there."""
        request: functions.ReadDeviceIdentification | None
        request = functions.ReadDeviceIdentification(unit, level, object_id)
        objects: dict[int, bytes] = {}
        conformity = 0
        while request is not None:
            part = request.parse(await self.request(request))
            objects |= part.objects
            conformity = part.conformity
            request = request.following(part)
        return functions.DeviceIdentification(conformity, objects)
