"""Which request goes next on a line with many devices, and what is tried again. Sans-I/O, time is an argument; the
rules of one exchange are below, in client.py.

    bus = Bus("rtu", baudrate=9600)
    bus.submit(ReadRequest(1, 3, 0, 2), now)
    # write bus.to_send(), give what comes to bus.receive, call bus.poll at bus.next_deadline

Order: each request has a time by which it wants to go, and the earliest of these goes first. A write wants to go at
once, a read `PATIENCE_NS` later: so writes pass reads, and a read that has waited so long passes new writes. Requests
of one unit want to go `SHARE_NS` apart: who queues many does not shut others out.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace

from evcore.core.modbus import Request
from evcore.errors import LinkError, ModbusException, ModbusTimeout
from evcore.modbus.client import Answered, Counters, Event, Failed, Framing, Master, Window
from evcore.modbus.units import SECOND, Unit, UnitStatistics

PATIENCE_NS = SECOND // 2
SHARE_NS = SECOND // 50
BACKOFF_NS = (SECOND // 10, 5 * SECOND)  # before the second retry, then twice as much each; the first goes at once
BUSY_NS = SECOND // 10  # after exception 5 or 6, then twice as much each
BUSY_TRIES = 5
_ACKNOWLEDGE, _BUSY = 5, 6  # V1.1b3, 7
_CHANGES = frozenset((5, 6, 15, 16, 21, 22, 23))


@dataclass(frozen=True, slots=True)
class Statistics:
    """counters: of the whole line. utilisation: share of the time (0..1) since `since` that a request was under way.
    window: requests that may be under way at once now. waiting: requests in the queue. units: by address."""

    counters: Counters
    utilisation: float
    window: int
    waiting: int
    units: dict[int, UnitStatistics]


class _Job:
    """A request that waits or was not answered at the first try. tries, busy: left. after: not sent before."""

    __slots__ = ("after", "busy", "id", "probe", "request", "tag", "tries", "unit")

    def __init__(self, id: int, request: Request, unit: Unit, tag: int) -> None:
        self.id, self.request, self.unit, self.tag = id, request, unit, tag
        self.tries, self.busy, self.after, self.probe = unit.retries, BUSY_TRIES, 0, False


class Bus:
    """framing, baudrate, timeout_s, window, quarantine_s, echo: as of `Master`. retries: further tries after a timeout
    or an invalid reply. spacing_s: between the end of an exchange with a unit and the next one. connect_delay_s: from
    the connection to the first request. limit: requests that may wait. Raises ValueError."""

    def __init__(
        self,
        framing: Framing = "tcp",
        *,
        baudrate: int = 9600,
        timeout_s: float = 1.0,
        retries: int = 1,
        quarantine_s: float | None = None,
        window: Window = "auto",
        spacing_s: float = 0.0,
        connect_delay_s: float = 0.0,
        echo: bool | None = None,
        limit: int = 1000,
    ) -> None:
        if retries < 0 or limit < 1 or not spacing_s >= 0 or not connect_delay_s >= 0:
            raise ValueError("expected retries, spacing_s, connect_delay_s >= 0 and limit >= 1")
        self._master = Master(
            framing, baudrate=baudrate, timeout_s=timeout_s, window=window, quarantine_s=quarantine_s, echo=echo
        )
        self.counters = self._master.counters
        self._defaults = round(timeout_s * SECOND), retries, round(spacing_s * SECOND)
        self._connect_delay, self._limit = round(connect_delay_s * SECOND), limit
        self._waiting: list[tuple[int, int, _Job]] = []  # sorted by tag and id
        self._flying: dict[int, _Job] = {}  # under way: those that have waited
        self._given_up: set[int] = set()  # under way, and nobody waits for them
        self._events: list[Event] = []
        self._ids = self._now = 0
        self._began: int | None = None

    @property
    def framing(self) -> Framing:
        return self._master.framing

    def submit(self, request: Request, now: int, *, urgent: bool | None = None) -> int:
        """Queue a request; the id that its one event will carry. urgent: before others; None: writes are. Raises
        LinkError (too many wait), ValueError (a read from all units of a serial line)."""
        if now > self._now:
            self._now = now
        unit = self._master.units.get(request.unit) or self.unit(request.unit)
        master = self._master
        if not self._waiting and unit.open_until is None and unit.free <= now:
            at = master.ready(request)
            if at is not None and at <= now:
                self._ids = id = self._ids + 1
                return master.submit(request, now, id)
        master.check(request)
        if len(self._waiting) >= self._limit:
            raise LinkError(f"{self._limit} requests are waiting already")
        self._ids = id = self._ids + 1
        if urgent is None:
            urgent = request.function in _CHANGES
        tag = unit.tags[urgent] = max(self._now + (0 if urgent else PATIENCE_NS), unit.tags[urgent] + SHARE_NS)
        job = _Job(id, request, unit, tag)
        if unit.open_until is not None:
            if unit.probing or self._now < unit.open_until:
                self._reject(job)
                return id
            unit.probing = job.probe = True
            job.tries = 0
        insort(self._waiting, (tag, id, job))
        self._send_next()
        return id

    def cancel(self, id: int) -> None:
        """Nobody waits for this one: not sent, if it was not yet (and then no event), and not tried again."""
        for i, (_, waiting, job) in enumerate(self._waiting):
            if waiting == id:
                del self._waiting[i]
                if job.probe:
                    job.unit.probing = False
                return
        self._given_up.add(id)

    def receive(self, data: bytes, now: int) -> None:
        self._master.receive(data, now)

    def poll(self, now: int) -> list[Event]:
        """Everything that happened up to `now`, in order. Late or repeated calls are harmless."""
        if now > self._now:
            self._now = now
        for event in self._master.poll(self._now):
            if type(event) is Answered:
                self._settle(event, self._master.units[event.request.unit])
                self._events.append(event)
            elif type(event) is Failed:
                self._failed(event, self._master.units[event.request.unit])
            else:
                self._events.append(event)
        if self._waiting:
            self._send_next()
        events, self._events = self._events, []
        return events

    def to_send(self) -> list[bytes]:
        return self._master.to_send()

    def next_deadline(self) -> int | None:
        if self._events:
            return self._now
        at = self._master.next_deadline()
        if self._waiting and not self._master.full:
            for _, _, job in self._waiting:
                when = self._when(job)
                if when is not None and (at is None or when < at):
                    at = when
        return at

    def opened(self, now: int) -> None:
        """There is a new connection: some devices want a rest before the first request."""
        self._now = max(self._now, now)
        self._began = self._now if self._began is None else self._began
        self._master.hold(self._now + self._connect_delay)

    def lost(self, now: int, why: str) -> None:
        """The connection or port is gone: all that waits fails with LinkError; a new one begins clean."""
        self._now = max(self._now, now)
        self._master.lost(self._now, why)
        self._events += self._master.poll(self._now)
        self._events += [Failed(job.id, job.request, LinkError(why)) for _, _, job in self._waiting]
        self._waiting.clear()
        self._flying.clear()
        self._given_up.clear()
        for unit in self._master.units.values():
            unit.alive()

    # --- devices ---

    def unit(self, number: int) -> Unit:
        """What is known of a device."""
        known = self._master.units.get(number)
        if known is None:
            known = self._master.unit(number)
            known.timeout, known.retries, known.spacing = self._defaults
        return known

    def tune(
        self, number: int, *, timeout_s: float | None = None, retries: int | None = None, spacing_s: float | None = None
    ) -> None:
        """A device that needs other settings than its line. None: as it is. Raises ValueError."""
        unit = self.unit(number)
        if timeout_s is not None:
            if not timeout_s > 0:
                raise ValueError(f"timeout_s: expected more than 0, got {timeout_s}")
            unit.timeout = round(timeout_s * SECOND)
        if retries is not None:
            if retries < 0:
                raise ValueError(f"retries: expected 0 or more, got {retries}")
            unit.retries = retries
        if spacing_s is not None:
            if not spacing_s >= 0:
                raise ValueError(f"spacing_s: expected 0 or more, got {spacing_s}")
            unit.spacing = round(spacing_s * SECOND)

    def forget(self, number: int) -> None:
        """Close the circuit of a device: its next request is sent, whatever was before."""
        self.unit(number).alive()

    def statistics(self, now: int) -> Statistics:
        """What was counted and measured until now."""
        master, now = self._master, max(self._now, now)
        since = 0 if self._began is None else self._began
        units = {number: unit.statistics() for number, unit in sorted(master.units.items())}
        used = min(1.0, master.busy(now) / max(1, now - since))
        return Statistics(replace(self.counters, _taken=None), used, master.window, len(self._waiting), units)

    # --- inside ---

    def _when(self, job: _Job) -> int | None:
        ready = self._master.ready(job.request)
        return None if ready is None else max(ready, job.after, job.unit.free)

    def _send_next(self) -> None:
        """All that may go now, in order; one that may not lets others pass."""
        waiting, master, i = self._waiting, self._master, 0
        while i < len(waiting) and not master.full:
            job = waiting[i][2]
            at = self._when(job)
            if at is None or at > self._now:
                i += 1
                continue
            del waiting[i]
            self._flying[job.id] = job
            master.submit(job.request, self._now, job.id)

    def _settle(self, event: Answered | Failed, unit: Unit) -> None:
        """A reply: the device is alive, and its exchange is over."""
        if unit.strikes or unit.open_until is not None:
            unit.alive()
        if unit.spacing:
            unit.free = self._now + unit.spacing
        if self._flying:
            self._flying.pop(event.id, None)
        if self._given_up:
            self._given_up.discard(event.id)

    def _failed(self, event: Failed, unit: Unit) -> None:
        error = event.error
        job = self._flying.pop(event.id, None) or _Job(event.id, event.request, unit, self._now)
        nobody = event.id in self._given_up
        if isinstance(error, ModbusException):
            self._settle(event, unit)
            if error.code in (_ACKNOWLEDGE, _BUSY) and job.busy > 0 and not nobody:
                job.busy -= 1
                self.counters.busy += 1
                self._again(job, BUSY_NS << (BUSY_TRIES - 1 - job.busy))
                return
            self._events.append(event)
            return
        self._given_up.discard(event.id)
        if isinstance(error, LinkError) and not isinstance(error, ModbusTimeout):
            self._events.append(event)  # the connection is gone
            return
        if unit.spacing:
            unit.free = self._now + unit.spacing
        if event.crowded and not nobody:
            self._again(job, 0)
            return
        dead = unit.failed(self._now, silent=isinstance(error, ModbusTimeout), probe=job.probe)
        if not dead and not nobody and job.tries > 0:
            job.tries -= 1
            used = unit.retries - job.tries
            self._again(job, min(BACKOFF_NS[0] << (used - 2), BACKOFF_NS[1]) if used > 1 else 0)
            return
        if isinstance(error, ModbusTimeout):
            tries = 1 if job.probe else max(1, unit.retries - job.tries + 1)
            error = ModbusTimeout(str(error).replace(": ", f" to {tries} {'try' if tries == 1 else 'tries'}: ", 1))
            event = Failed(event.id, event.request, error)
        self._events.append(event)
        if dead:
            self._reject_all(unit)

    def _again(self, job: _Job, delay: int) -> None:
        self.counters.retries += 1
        job.unit.retried += 1
        job.after = self._now + delay
        insort(self._waiting, (job.tag, job.id, job))

    def _reject(self, job: _Job) -> None:
        """The circuit is open: fail at once."""
        self.counters.rejected += 1
        wait = max(0, (job.unit.open_until or 0) - self._now) / SECOND
        request = job.request
        error = ModbusTimeout(
            f"circuit open: unit {request.unit} has been silent, it is asked again in {wait:.1f} s; function "
            f"{request.function}, address {request.address}"
        )
        self._events.append(Failed(job.id, request, error))

    def _reject_all(self, unit: Unit) -> None:
        for entry in [entry for entry in self._waiting if entry[2].unit is unit]:
            self._waiting.remove(entry)
            self._reject(entry[2])
