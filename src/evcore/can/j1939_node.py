"""A J1939 station that speaks: sends messages of any length up to 1785 bytes, and receives those meant for it.

Source: SAE J1939-21, 5.10. The shape is that of every machine here: receive, poll, to_send, next_deadline.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from evcore.can.frames import EXTENDED, Frame
from evcore.can.j1939 import (
    ABORT,
    ABORT_REASONS,
    BAM,
    BROADCAST,
    CTS,
    EOM_ACK,
    MS,
    PGN_CM,
    PGN_DT,
    RTS,
    SIZE_MAX,
    T1,
    T2,
    T3,
    T4,
    Address,
    Event,
    Incoming,
    Listener,
    Message,
    TransferFault,
    announced,
    make_id,
    packets_of,
    parse_id,
    pgn_of,
)

BAM_GAP = 50 * MS  # 5.10.3.4: 50..200 ms between broadcast packets
RESENDS = 2  # of packets of one message, before abort reason 5
WAITING = 16  # long messages to one destination that may wait for the one under way


@dataclass(slots=True)
class _Outgoing:
    pgn: int
    destination: int
    data: bytes
    packets: list[bytes]
    next: int = 1  # the packet to send now
    last: int = 0  # the last one that may be sent
    due: int = 0  # when the next one may go
    deadline: int | None = None  # when the receiver must have answered
    resends: int = 0


@dataclass(slots=True)
class _Asked:
    """A message on its way to us. window: packets asked for at once. last: the last one asked for."""

    transfer: Incoming
    window: int
    last: int = 0
    resends: int = 0


class Node:
    """One address on the bus. address: its own. gap_ns: pause between the packets of one message. window: packets that
    it asks for at once."""

    def __init__(self, address: int, *, gap_ns: int = 0, window: int = 255) -> None:
        self.address = address
        self._gap, self._window = gap_ns, window
        self._out: dict[int, _Outgoing] = {}  # destination -> the one message under way
        self._waiting: dict[int, deque[_Outgoing]] = {}
        self._in: dict[int, _Asked] = {}  # by source
        self._broadcasts = Listener()
        self._events: deque[Event] = deque(maxlen=10_000)
        self._frames: list[Frame] = []

    def send(self, pgn: int, data: bytes, now: int, *, destination: int = BROADCAST, priority: int = 6) -> None:
        """Send a message: at once in one frame up to 8 bytes, else packet by packet (RTS/CTS, or BAM to all).

        Raises ValueError: more than 1785 bytes. Beyond 16 waiting messages the oldest is lost, as a fault event.
        """
        if len(data) <= 8:
            self._frames.append(Frame(make_id(priority, pgn, destination, self.address), data))
            return
        if len(data) > SIZE_MAX:
            raise ValueError(f"data: expected at most {SIZE_MAX} bytes, got {len(data)}")
        waiting = self._waiting.setdefault(destination, deque())
        if len(waiting) >= WAITING:
            self._failed(waiting.popleft(), "full", f"{WAITING} messages wait for this destination")
        waiting.append(_Outgoing(pgn, destination, data, list(packets_of(data))))
        self._start_next(destination, now)

    def receive(self, frame: Frame, now: int) -> None:
        """Take one frame; those for others are ignored."""
        if frame.id >> 29 != EXTENDED >> 29:
            return
        address = parse_id(frame.id)
        if address.source == self.address:
            return
        if address.destination == BROADCAST:
            self._broadcasts.receive(frame, now)
        elif address.destination == self.address:
            if address.pgn == PGN_CM:
                self._control(address, frame.data, now)
            elif address.pgn == PGN_DT:
                self._packet(address, frame, now)
            else:
                priority, pgn, destination, source = address
                self._events.append(Message(pgn, source, destination, priority, frame.data, frame.time_ns))

    def poll(self, now: int) -> list[Event]:
        """What arrived or failed; sends what is due."""
        for outgoing in list(self._out.values()):
            if outgoing.deadline is not None and outgoing.deadline <= now:
                self._abort(outgoing.destination, 3, outgoing.pgn)
                self._end(outgoing, now, "timeout", f"no answer after packet {outgoing.next - 1}")
            else:
                self._pump(outgoing, now)
        for source, asked in list(self._in.items()):
            if asked.transfer.deadline <= now:
                self._ask_again(source, asked, now, 3)
        self._events.extend(self._broadcasts.poll(now))
        events = list(self._events)
        self._events.clear()
        return events

    def to_send(self) -> list[Frame]:
        """Frames for the bus, in order; each is handed out once."""
        frames, self._frames = self._frames, []
        return frames

    def next_deadline(self) -> int | None:
        """When `poll` has to be called at the latest."""
        due = [out.due if out.deadline is None else out.deadline for out in self._out.values()]
        due += [asked.transfer.deadline for asked in self._in.values()]
        broadcast = self._broadcasts.next_deadline()
        return min(due + ([] if broadcast is None else [broadcast]), default=None)

    # Sending

    def _start_next(self, destination: int, now: int) -> None:
        waiting = self._waiting.get(destination)
        if destination in self._out or not waiting:
            return
        outgoing = self._out[destination] = waiting.popleft()
        size, packets = len(outgoing.data), len(outgoing.packets)
        if destination == BROADCAST:
            self._say(destination, outgoing.pgn, BAM, size & 0xFF, size >> 8, packets, 0xFF)
            outgoing.last, outgoing.due = packets, now + BAM_GAP
        else:
            self._say(destination, outgoing.pgn, RTS, size & 0xFF, size >> 8, packets, 0xFF)
            outgoing.deadline = now + T3

    def _pump(self, outgoing: _Outgoing, now: int) -> None:
        gap = max(self._gap, BAM_GAP) if outgoing.destination == BROADCAST else self._gap
        while outgoing.deadline is None and outgoing.due <= now:
            packet = outgoing.packets[outgoing.next - 1]
            self._frames.append(Frame(make_id(7, PGN_DT, outgoing.destination, self.address), packet))
            outgoing.next += 1
            outgoing.due = now + gap
            if outgoing.next > outgoing.last:
                outgoing.deadline = now + T3
                if outgoing.destination == BROADCAST:  # nobody answers
                    self._end(outgoing, now)

    def _cleared(self, outgoing: _Outgoing, data: bytes, now: int) -> None:
        count, first = data[1], data[2]
        if outgoing.deadline is None:  # still sending: a repeated CTS, seen in the field, asks for nothing new
            return
        if count == 0:
            outgoing.deadline = now + T4
            return
        if not 1 <= first <= min(outgoing.next, len(outgoing.packets)):
            self._abort(outgoing.destination, 7, outgoing.pgn)
            self._end(outgoing, now, "sequence", f"asked for packet {first} of {len(outgoing.packets)}")
            return
        if first < outgoing.next:
            outgoing.resends += 1
            if outgoing.resends > RESENDS:
                self._abort(outgoing.destination, 5, outgoing.pgn)
                self._end(outgoing, now, "sequence", f"asked {outgoing.resends} times to send again")
                return
        outgoing.next, outgoing.last = first, min(first + count - 1, len(outgoing.packets))
        outgoing.due, outgoing.deadline = now, None
        self._pump(outgoing, now)

    def _end(self, outgoing: _Outgoing, now: int, kind: str = "", detail: str = "") -> None:
        del self._out[outgoing.destination]
        if kind:
            self._failed(outgoing, kind, detail)
        self._start_next(outgoing.destination, now)

    def _failed(self, outgoing: _Outgoing, kind: str, detail: str) -> None:
        self._events.append(TransferFault(kind, self.address, outgoing.destination, outgoing.pgn, detail))

    # Receiving

    def _control(self, address: Address, data: bytes, now: int) -> None:
        if len(data) < 8:
            self._events.append(TransferFault("length", address.source, self.address, 0, f"TP.CM of {len(data)} bytes"))
            return
        kind, pgn = data[0], pgn_of(data)
        if kind == RTS:
            self._requested(address, data, now)
            return
        outgoing = self._out.get(address.source)
        mine = outgoing if outgoing is not None and outgoing.pgn == pgn else None
        if kind == CTS and mine is not None:
            self._cleared(mine, data, now)
        elif kind == EOM_ACK and mine is not None:
            self._end(mine, now)
        elif kind == ABORT:
            detail = f"reason {data[1]} ({ABORT_REASONS.get(data[1], 'reserved')})"
            asked = self._in.get(address.source)
            if asked is not None and asked.transfer.pgn == pgn:
                del self._in[address.source]
                self._events.append(asked.transfer.fault("abort", detail))
            if mine is not None:
                self._end(mine, now, "abort", detail)

    def _requested(self, address: Address, data: bytes, now: int) -> None:
        old = self._in.pop(address.source, None)
        if old is not None:
            self._events.append(old.transfer.fault("restarted", "announced again before its end"))
        transfer = announced(address, data, now + T2)
        if isinstance(transfer, TransferFault):
            self._abort(address.source, 9, transfer.pgn)
            self._events.append(transfer)
            return
        limit = data[4] or 0xFF
        asked = self._in[address.source] = _Asked(transfer, min(self._window, limit))
        self._ask(address.source, asked, 1, now)

    def _ask(self, source: int, asked: _Asked, first: int, now: int) -> None:
        transfer = asked.transfer
        asked.last = min(first + asked.window - 1, transfer.packets)
        transfer.next, transfer.deadline = first, now + T2
        self._say(source, transfer.pgn, CTS, asked.last - first + 1, first, 0xFF, 0xFF)

    def _ask_again(self, source: int, asked: _Asked, now: int, reason: int) -> None:
        transfer = asked.transfer
        asked.resends += 1
        if asked.resends <= RESENDS:
            self._ask(source, asked, min(transfer.missing), now)
            return
        del self._in[source]
        self._abort(source, reason, transfer.pgn)
        kind = "timeout" if reason == 3 else "sequence"
        self._events.append(transfer.fault(kind, f"packet {min(transfer.missing)} of {transfer.packets} did not come"))

    def _packet(self, address: Address, frame: Frame, now: int) -> None:
        asked = self._in.get(address.source)
        if asked is None:  # of a transfer that ended: nothing is lost
            return
        transfer = asked.transfer
        sequence = frame.data[0] if frame.data else 0
        wrong = transfer.store(sequence, frame.data[1:])
        if wrong:
            self._events.append(transfer.fault("sequence", wrong))
            return
        transfer.deadline = now + T1
        if not transfer.missing:
            del self._in[address.source]
            size = len(transfer.data)
            self._say(address.source, transfer.pgn, EOM_ACK, size & 0xFF, size >> 8, transfer.packets, 0xFF)
            self._events.append(transfer.message(frame.time_ns))
        elif sequence == asked.last:
            first = min(transfer.missing)
            if first > asked.last:
                self._ask(address.source, asked, first, now)
            else:
                self._ask_again(address.source, asked, now, 5)

    def _abort(self, destination: int, reason: int, pgn: int) -> None:
        self._say(destination, pgn, ABORT, reason, 0xFF, 0xFF, 0xFF)

    def _say(self, destination: int, pgn: int, *head: int) -> None:
        tail = (pgn & 0xFF, pgn >> 8 & 0xFF, pgn >> 16)
        self._frames.append(Frame(make_id(7, PGN_CM, destination, self.address), bytes(head + tail)))
