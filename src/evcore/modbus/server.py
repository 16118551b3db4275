"""A Modbus server: what a request PDU does to a register image, and the answer. Sans-I/O, time is an argument.

    device = Device(Image([Register("power", 100, "float32")]))
    server = Server(device)  # one for each connection or line
    server.receive(data, now)
    events, replies = server.poll(now), server.to_send()

Every request is answered, in the order of arrival, or the connection must be closed (`server.broken`). A peer's fault
is never an exception. Source: MODBUS Application Protocol V1.1b3, 6 and 7; Messaging on TCP/IP Guide V1.0b.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from evcore.core.modbus import Value
from evcore.errors import FrameError
from evcore.modbus.asked import (
    FAILURE,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    NO_PATH,
    PDU_MAX,
    Asked,
    Illegal,
    Mask,
    Other,
    Read,
    ReadWrite,
    Write,
    parse,
    pdu_size,
    refusal,
)
from evcore.modbus.client import Framing
from evcore.modbus.image import Image, Table
from evcore.modbus.inbox import Inbox, Received

AT_ONCE = 16  # requests answered in one `poll`: a flood on one connection must leave time for the others
TCP_UNITS = (0, 1, 255)  # Messaging Guide, 4.4.2: 255 (or 0) is the device itself; many masters know only 1
_TABLES: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


@dataclass(frozen=True, slots=True)
class Written:
    """A master has written. values: by name of register, as checked."""

    unit: int
    function: int
    values: Mapping[str, Value]


@dataclass(slots=True)
class ServerCounters:
    """requests: whole ones. refused: answered with an exception. writes: done. silent: on a line, for others."""

    requests: int = 0
    refused: int = 0
    writes: int = 0
    silent: int = 0

    def add(self, other: ServerCounters) -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


class Device:
    """Judges PDUs and answers them from an image.

    identity: the objects of function 43/14 by id; 0 to 2 (vendor, product, revision) should be there, up to 244 bytes
    of UTF-8 each (6.21). server_id: what function 17 tells. exception_status: the eight outputs of function 7.
    """

    def __init__(
        self,
        image: Image,
        *,
        identity: Mapping[int, str] | None = None,
        server_id: str = "evcore",
        exception_status: int = 0,
    ) -> None:
        self.image = image
        self.identity = {id: text.encode()[:244] for id, text in sorted((identity or {}).items())}
        if any(not 0 <= id <= 255 for id in self.identity):
            raise ValueError(f"identity: expected object ids 0..255, got {max(self.identity)}")
        self.exception_status = exception_status
        self.counters = ServerCounters()
        self._server_id = server_id.encode()[:250]
        self._completed = 0  # 6.9: requests that were carried out without an exception

    def execute(self, pdu: bytes, now: int, unit: int = 0) -> tuple[bytes, Written | None]:
        """The answer's PDU, and what has been written. pdu: of the length that it gives itself."""
        self.counters.requests += 1
        try:
            asked = parse(pdu)
            reply, values = self._do(asked, now)
        except Illegal as error:
            self.counters.refused += 1
            return refusal(pdu[0] & 0x7F, error.code), None
        except Exception:  # noqa: BLE001 - a fault of ours costs this request only (exception 4)
            self.counters.refused += 1
            return refusal(pdu[0] & 0x7F, FAILURE), None
        if asked.function != 11:
            self._completed = self._completed + 1 & 0xFFFF
        if not values:
            return reply, None
        self.counters.writes += 1
        return reply, Written(unit, asked.function, values)

    def _do(self, asked: Asked, now: int) -> tuple[bytes, dict[str, Value]]:
        image = self.image
        if isinstance(asked, Read):
            table = _TABLES[asked.function]
            read = image.read_bits if asked.function <= 2 else image.read_registers
            data = read(table, asked.address, asked.count)
            return bytes((asked.function, len(data))) + data, {}
        if isinstance(asked, Write):
            write = image.write_bits if asked.function in (5, 15) else image.write_registers
            return asked.echo, write(asked.address, asked.values, now)
        if isinstance(asked, Mask):
            return asked.encode(), image.mask(asked, now)
        if isinstance(asked, ReadWrite):
            image.read_registers("holding", asked.address, asked.count)  # what cannot be read is not written either
            values = image.write_registers(asked.write_address, asked.values, now)
            data = image.read_registers("holding", asked.address, asked.count)
            return bytes((23, len(data))) + data, values
        return self._other(asked), {}

    def _other(self, asked: Other) -> bytes:
        if asked.function == 7:
            return bytes((7, self.exception_status & 0xFF))
        if asked.function == 8:
            return self._diagnose(asked.data)
        if asked.function == 11:
            return bytes((11, 0, 0)) + self._completed.to_bytes(2, "big")
        if asked.function == 17:
            return bytes((17, len(self._server_id) + 1)) + self._server_id + b"\xff"  # 0xFF: it runs
        if asked.function == 43 and asked.data[:1] == b"\x0e":
            return self._identify(asked.data[1], asked.data[2])
        raise Illegal(ILLEGAL_FUNCTION, f"function {asked.function}")

    def _diagnose(self, data: bytes) -> bytes:
        """Function 8 (6.8): echo, clearing counters, and the counters that a server behind TCP can have."""
        sub, value = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
        if sub == 0:
            return b"\x08" + data
        counters = self.counters
        known = {11: counters.requests, 13: counters.refused, 14: counters.requests, 15: counters.silent}
        if sub != 10 and sub not in known:
            raise Illegal(ILLEGAL_FUNCTION, f"diagnostics {sub}")
        if value != 0:
            raise Illegal(ILLEGAL_VALUE, f"data: expected 0, got {value}")
        if sub == 10:
            self.counters, self._completed = ServerCounters(), 0
            return b"\x08" + data
        return b"\x08" + data[:2] + (known[sub] & 0xFFFF).to_bytes(2, "big")

    def _identify(self, code: int, first: int) -> bytes:
        """Function 43/14 (6.21): basic objects 0-2, regular 3-6, private ones from 0x80."""
        if code not in (1, 2, 3, 4):
            raise Illegal(ILLEGAL_VALUE, f"read device id code: expected 1..4, got {code}")
        level = 3 if any(id > 0x7F for id in self.identity) else 2 if any(id > 2 for id in self.identity) else 1
        if code == 4:
            if first not in self.identity:
                raise Illegal(ILLEGAL_ADDRESS, f"object {first}")
            wanted = [first]
        else:
            end = (2, 0x7F, 0xFF)[code - 1]
            all_of_it = [id for id in self.identity if id <= end]
            wanted = [id for id in all_of_it if id >= first] if first in all_of_it else all_of_it
        objects, used, count, more = bytearray(), 7, 0, 0
        for id in wanted:
            text = self.identity[id]
            if used + 2 + len(text) > PDU_MAX:
                more = id
                break
            objects += bytes((id, len(text))) + text
            used, count = used + 2 + len(text), count + 1
        return bytes((43, 14, code, 0x80 | level, 0xFF if more else 0, more, count)) + objects


class Server:
    """One connection or line. device: who answers; or several by unit. units: the addresses of one device: by default
    0, 1 and 255 on TCP and 1 on a line. Another unit is answered with exception 10 on a connection, and not at all on a
    line, where 0 is everybody: writes are done, nothing is answered.

    broken: why the connection must be closed, None while it must not.
    """

    def __init__(
        self,
        device: Device | Mapping[int, Device],
        framing: Framing = "tcp",
        *,
        units: tuple[int, ...] | None = None,
        baudrate: int = 9600,
    ) -> None:
        self._inbox = Inbox(framing, baudrate=baudrate)
        if isinstance(device, Device):
            serial = framing == "rtu"
            device = dict.fromkeys(units or ((1,) if serial else TCP_UNITS), device)
        self._devices = dict(device)
        self._out: list[bytes] = []
        self._more = False

    @property
    def broken(self) -> FrameError | None:
        return self._inbox.broken

    @property
    def more(self) -> bool:
        """The last `poll` has left requests for the next one."""
        return self._more

    def receive(self, data: bytes, now: int) -> None:
        self._inbox.receive(data, now)

    def poll(self, now: int) -> list[Written]:
        """Carry out what has come, 16 requests at most; what they wrote, in order."""
        events: list[Written] = []
        for _ in range(AT_ONCE):
            request = self._inbox.next(now)
            if request is None:
                self._more = False
                return events
            written = self._answer(request, now)
            if written is not None:
                events.append(written)
        self._more = True
        return events

    def to_send(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> int | None:
        return self._inbox.next_deadline()

    def _answer(self, request: Received, now: int) -> Written | None:
        serial = self._inbox.framing == "rtu"
        if serial and request.unit == 0:
            return self._broadcast(request, now)
        device = self._devices.get(request.unit)
        if device is None:
            if serial:
                for one in self._devices.values():
                    one.counters.silent += 1
            else:
                self._out.append(self._inbox.frame(request, refusal(request.pdu[0] & 0x7F, NO_PATH)))
            return None
        if request.pdu[0] & 0x80 or (serial and not _fits(request.pdu)):
            # No request at all: on a line another's reply, or one that looks like ours.
            if not serial:
                self._out.append(self._inbox.frame(request, refusal(request.pdu[0] & 0x7F, ILLEGAL_FUNCTION)))
            return None
        reply, written = device.execute(request.pdu, now, request.unit)
        self._out.append(self._inbox.frame(request, reply))
        return written

    def _broadcast(self, request: Received, now: int) -> Written | None:
        """To everybody on the line: only writes have a meaning (Serial Line V1.02, 2.1)."""
        written = None
        if request.pdu[0] in (5, 6, 15, 16, 22) and _fits(request.pdu):
            for device in dict.fromkeys(self._devices.values()):
                _, done = device.execute(request.pdu, now, 0)
                written = done or written
        return written


def _fits(pdu: bytes) -> bool:
    """Has it the length that it gives itself?"""
    size = pdu_size(pdu)
    return size is None or size == len(pdu)
