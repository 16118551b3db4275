"""J1939: identifiers, and messages of up to 1785 bytes as they are heard on the bus (`Listener`, which never sends).

Source: SAE J1939-21, 5.2 (identifier), 5.10 (transport protocol, its timers and abort reasons).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from evcore.can.frames import EXTENDED, ID_MASK, Frame

BROADCAST = 0xFF
SIZE_MAX = 1785
PACKET = 7  # payload bytes of one TP.DT

PGN_CM = 0xEC00  # connection management
PGN_DT = 0xEB00  # data transfer
RTS, CTS, EOM_ACK, BAM, ABORT = 0x10, 0x11, 0x13, 0x20, 0xFF

MS = 1_000_000
T1 = 750 * MS  # from one TP.DT to the next
T2 = 1250 * MS  # from a CTS to the first TP.DT
T3 = 1250 * MS  # from the last TP.DT to CTS or end of message acknowledgement
T4 = 1050 * MS  # from a CTS that holds to the next CTS

ABORT_REASONS = {
    1: "busy",
    2: "no resources",
    3: "timeout",
    4: "CTS while sending",
    5: "too many resends",
    6: "unexpected packet",
    7: "bad sequence number",
    8: "duplicate sequence number",
    9: "message too long",
    250: "other",
}


class Address(NamedTuple):
    """What the 29-bit identifier says. destination: BROADCAST where the PGN has none (PDU2)."""

    priority: int
    pgn: int
    destination: int
    source: int


def parse_id(id: int) -> Address:
    """The parts of a SocketCAN identifier; bits 29 to 31 are not looked at."""
    pgn, low = id >> 8 & 0x3FFFF, id >> 8 & 0xFF
    if pgn >> 8 & 0xFF < 240:  # PDU1: the low byte is an address
        return Address(id >> 26 & 7, pgn & 0x3FF00, low, id & 0xFF)
    return Address(id >> 26 & 7, pgn, BROADCAST, id & 0xFF)


def make_id(priority: int, pgn: int, destination: int, source: int) -> int:
    """A SocketCAN identifier, bit 31 set. destination is left out where the PGN has none."""
    low = destination if pgn >> 8 & 0xFF < 240 else 0
    return EXTENDED | (priority & 7) << 26 | (pgn << 8 & ID_MASK) | low << 8 | source


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message, in one frame or many. time_ns: of its last frame."""

    pgn: int
    source: int
    destination: int
    priority: int
    data: bytes
    time_ns: int = 0


@dataclass(frozen=True, slots=True)
class TransferFault:
    """A transfer that broke a rule; unless kind is "sequence" or "length" its message is lost.

    kind: size, sequence, length, timeout, abort, incomplete, restarted, unexpected, full. source, destination, pgn: of
    the message.
    """

    kind: str
    source: int
    destination: int
    pgn: int
    detail: str


Event = Message | TransferFault


@dataclass(slots=True)
class Incoming:
    """A message that is being put together. next: the packet expected now, 1 the first. missing: not there yet."""

    pgn: int
    priority: int
    source: int
    destination: int
    packets: int
    data: bytearray
    deadline: int
    broadcast: bool
    next: int = 1
    missing: set[int] = field(default_factory=set)

    def fault(self, kind: str, detail: str) -> TransferFault:
        return TransferFault(kind, self.source, self.destination, self.pgn, detail)

    def store(self, sequence: int, packet: bytes) -> str:
        """Keep one packet; "" or what is wrong with it. One that is wrong in length only by its padding is kept."""
        if not 1 <= sequence <= self.packets:
            return f"packet {sequence} of {self.packets}"
        at = PACKET * (sequence - 1)
        wanted = min(PACKET, len(self.data) - at)
        if len(packet) < wanted:
            return f"packet {sequence} has {len(packet)} bytes, {wanted} are needed"
        self.data[at : at + wanted] = packet[:wanted]
        self.missing.discard(sequence)
        return ""

    def message(self, time_ns: int) -> Message:
        return Message(self.pgn, self.source, self.destination, self.priority, bytes(self.data), time_ns)


def announced(address: Address, data: bytes, deadline: int) -> Incoming | TransferFault:
    """The message that an RTS or a BAM announces (J1939-21, 5.10.3.1 and 5.10.3.4)."""
    size, packets, pgn = data[1] | data[2] << 8, data[3], pgn_of(data)
    if not 8 < size <= SIZE_MAX or packets != -(-size // PACKET):
        detail = f"{size} bytes in {packets} packets"
        return TransferFault("size", address.source, address.destination, pgn, detail)
    return Incoming(
        pgn=pgn,
        priority=address.priority,
        source=address.source,
        destination=address.destination,
        packets=packets,
        data=bytearray(size),
        deadline=deadline,
        broadcast=data[0] == BAM,
        missing=set(range(1, packets + 1)),
    )


def pgn_of(data: bytes) -> int:
    """The PGN that bytes 6 to 8 of a TP.CM name."""
    return data[5] | data[6] << 8 | data[7] << 16


class Listener:
    """Hears both directions of every transfer and sends nothing.

    A message is there with its last packet, whether or not the receiver acknowledges it. max_transfers: how many may
    run at once; one that starts beyond is not heard and said so. At most 10 000 events wait for `poll`.
    """

    def __init__(self, *, max_transfers: int = 64) -> None:
        self._max = max_transfers
        self._running: dict[tuple[int, int], Incoming] = {}  # (source, destination) of the data
        self._orphans: dict[tuple[int, int], None] = {}  # packets of these were refused once since their last start
        self._events: deque[Event] = deque(maxlen=10_000)

    def receive(self, frame: Frame, now: int) -> None:
        """Take one frame. Frames of 11 bits, remote and error frames are not J1939 and are ignored."""
        if frame.id >> 29 != EXTENDED >> 29:
            return
        address = parse_id(frame.id)
        if address.pgn == PGN_CM:
            self._control(address, frame, now)
        elif address.pgn == PGN_DT:
            self._packet(address, frame, now)
        else:
            self._events.append(
                Message(address.pgn, address.source, address.destination, address.priority, frame.data, frame.time_ns)
            )

    def poll(self, now: int) -> list[Event]:
        """What was heard, and the transfers that stopped short of their end, in order."""
        for key, transfer in [item for item in self._running.items() if item[1].deadline <= now]:
            del self._running[key]
            lost = f"packet {min(transfer.missing)} of {transfer.packets} did not come"
            self._events.append(transfer.fault("timeout", lost))
        events = list(self._events)
        self._events.clear()
        return events

    def next_deadline(self) -> int | None:
        """When `poll` has to be called at the latest."""
        return min((transfer.deadline for transfer in self._running.values()), default=None)

    def _control(self, address: Address, frame: Frame, now: int) -> None:
        data = frame.data
        if len(data) < 8:
            self._fault("length", address, 0, f"TP.CM of {len(data)} bytes")
        elif data[0] in (RTS, BAM):
            self._start(address, data, now)
        elif data[0] == CTS:
            self._cleared(address, data, now)
        elif data[0] == EOM_ACK:
            self._acknowledged(address, data)
        elif data[0] == ABORT:
            self._aborted(address, data)
        # 5.10.3: other control bytes are reserved, and ignored.

    def _start(self, address: Address, data: bytes, now: int) -> None:
        key = (address.source, address.destination)
        self._orphans.pop(key, None)
        old = self._running.pop(key, None)
        if old is not None:
            self._events.append(old.fault("restarted", f"{len(old.missing)} of {old.packets} packets had not come"))
        transfer = announced(address, data, now + (T1 if data[0] == BAM else T3))
        if isinstance(transfer, TransferFault):
            self._events.append(transfer)
        elif len(self._running) >= self._max:
            self._events.append(transfer.fault("full", f"{self._max} transfers are running"))
        else:
            self._running[key] = transfer

    def _cleared(self, address: Address, data: bytes, now: int) -> None:
        transfer = self._running.get((address.destination, address.source))  # from the receiver of the data
        if transfer is None or transfer.pgn != pgn_of(data):
            return
        if data[1] == 0:
            transfer.deadline = now + T4
            return
        transfer.next = data[2]  # may go back, to have packets again
        transfer.deadline = now + T2

    def _acknowledged(self, address: Address, data: bytes) -> None:
        key = (address.destination, address.source)
        transfer = self._running.get(key)
        if transfer is not None and transfer.pgn == pgn_of(data):
            del self._running[key]
            packets = ", ".join(map(str, sorted(transfer.missing)[:8]))
            self._events.append(transfer.fault("incomplete", f"acknowledged, but not heard: packet {packets}"))

    def _aborted(self, address: Address, data: bytes) -> None:
        pgn = pgn_of(data)
        for key in ((address.source, address.destination), (address.destination, address.source)):
            if key in self._running and self._running[key].pgn == pgn:
                del self._running[key]
        reason = ABORT_REASONS.get(data[1], "reserved")
        self._fault("abort", address, pgn, f"reason {data[1]} ({reason}) by {address.source:02X}")

    def _packet(self, address: Address, frame: Frame, now: int) -> None:
        key = (address.source, address.destination)
        transfer = self._running.get(key)
        if transfer is None:
            self._orphan(key, address)
            return
        if len(frame.data) < 8:  # 5.10.2.1: all packets have eight bytes
            self._events.append(transfer.fault("length", f"TP.DT of {len(frame.data)} bytes"))
        sequence = frame.data[0] if frame.data else 0
        if sequence != transfer.next:
            self._events.append(transfer.fault("sequence", f"packet {sequence}, expected {transfer.next}"))
            if transfer.broadcast and sequence != transfer.next - 1:  # nobody can ask for it again
                del self._running[key]
                return
        wrong = transfer.store(sequence, frame.data[1:])
        if wrong:
            self._events.append(transfer.fault("sequence", wrong))
            return
        transfer.next = sequence + 1
        transfer.deadline = now + (T1 if transfer.next <= transfer.packets else T3)
        if not transfer.missing:
            del self._running[key]
            self._events.append(transfer.message(frame.time_ns))

    def _orphan(self, key: tuple[int, int], address: Address) -> None:
        if key in self._orphans:
            return
        if len(self._orphans) >= self._max:
            self._orphans.pop(next(iter(self._orphans)))
        self._orphans[key] = None
        self._fault("unexpected", address, 0, "a packet of no transfer that was heard to start")

    def _fault(self, kind: str, address: Address, pgn: int, detail: str) -> None:
        self._events.append(TransferFault(kind, address.source, address.destination, pgn, detail))


def packets_of(data: bytes) -> Iterator[bytes]:
    """The TP.DT payloads of a message, the last one padded with 0xFF."""
    for number, at in enumerate(range(0, len(data), PACKET), 1):
        yield bytes([number]) + data[at : at + PACKET].ljust(PACKET, b"\xff")
