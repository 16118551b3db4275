"""Time as a number: drives any sans-I/O machine of evcore, hours of it in milliseconds, the same way every time.

    clock = VirtualClock()
    clock.add(charger, on_event=print)
    clock.add(vehicle)
    clock.connect(charger, vehicle, delay=2_000_000)
    clock.connect(vehicle, charger, delay=2_000_000)
    clock.advance(60_000_000_000)

Each machine is polled when its own `next_deadline` comes, when a message reaches it and when somebody asks; never in
between. So a machine that forgets to name a deadline is found out, and so is one whose deadline does not go away.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

Way = Callable[[Any, int], Iterable[tuple[int, Any]]]


class Machine(Protocol):
    """The one shape of all sans-I/O protocol code. One that only listens may lack `to_send() -> list[Any]`."""

    def receive(self, x: Any, now: int, /) -> None: ...
    def poll(self, now: int, /) -> Iterable[Any]: ...
    def next_deadline(self) -> int | None: ...


class StuckError(RuntimeError):
    """Time does not go on: machines wake one another, or themselves, without end at one instant."""


@dataclass(slots=True)
class _Seat:
    machine: Machine
    on_event: Callable[[Any], None] | None
    ways: list[tuple[Machine, Way]]


class VirtualClock:
    """now: monotonic ns, where time starts. limit: turns of machines at one instant before it is a StuckError."""

    def __init__(self, now: int = 0, *, limit: int = 10_000) -> None:
        self._now, self._limit = now, limit
        self._seats: dict[int, _Seat] = {}
        self._due: list[tuple[int, int, Callable[[], None]]] = []  # a heap
        self._order = count()

    @property
    def now(self) -> int:
        """Monotonic ns. It never runs back."""
        return self._now

    def add(self, machine: Machine, on_event: Callable[[Any], None] | None = None) -> None:
        """Drive `machine` from now on. on_event: gets each event of it, and may call any machine with `clock.now`."""
        self._seats[id(machine)] = _Seat(machine, on_event, [])

    def connect(self, sender: Machine, *receivers: Machine, delay: int = 0, way: Way | None = None) -> None:
        """What `sender` sends reaches each of `receivers` `delay` ns later, in order.

        way: instead of `delay`, called with each message and the time; it returns when which messages arrive, so it can
        lose, repeat, delay, reorder and spoil them. Raises KeyError for a sender that was not added.
        """

        def straight(message: Any, now: int) -> Iterable[tuple[int, Any]]:
            return ((now + delay, message),)

        seat = self._seats[id(sender)]
        seat.ways.extend((receiver, way or straight) for receiver in receivers)

    def at(self, when: int, action: Callable[[], None]) -> None:
        """Call `action` when it is `when`; at once, but not before `advance`, where that has passed."""
        heapq.heappush(self._due, (max(when, self._now), next(self._order), action))

    def advance(self, duration: int) -> None:
        """Let `duration` ns pass. Raises StuckError."""
        end = self._now + duration
        self.run(lambda: False, end)

    def run(self, done: Callable[[], bool], until: int) -> bool:
        """Let time pass until `done()`, which is asked after each instant, at most until `until`. Was it done?

        Raises StuckError.
        """
        while True:
            self._settle()
            if done():
                return True
            when = self._next()
            if when is None or when > until:
                self._now = max(self._now, until)
                return False
            self._now = max(self._now, when)

    def _next(self) -> int | None:
        """When something happens next."""
        times = [self._due[0][0]] if self._due else []
        times += [when for seat in self._seats.values() if (when := seat.machine.next_deadline()) is not None]
        return min(times, default=None)

    def _settle(self) -> None:
        """Everything that happens now, until nothing does."""
        for _ in range(self._limit):
            while self._due and self._due[0][0] <= self._now:
                heapq.heappop(self._due)[2]()
            moved = [self._turn(seat) for seat in list(self._seats.values())]
            if not any(moved) and not (self._due and self._due[0][0] <= self._now):
                break
        else:
            raise StuckError(f"{self._limit} turns at {self._now} ns, and still: {self._awake()}")
        if late := self._awake():
            raise StuckError(f"at {self._now} ns these were polled and their deadline has not moved: {late}")

    def _turn(self, seat: _Seat) -> bool:
        """One poll and what follows from it. Did anything?"""
        events = list(seat.machine.poll(self._now))
        for event in events:
            if seat.on_event is not None:
                seat.on_event(event)
        send = getattr(seat.machine, "to_send", None)
        sent = list(send()) if send is not None else []
        for message in sent:
            for receiver, way in seat.ways:
                for when, arriving in way(message, self._now):
                    self._deliver(receiver, arriving, when)
        return bool(events or sent)

    def _deliver(self, receiver: Machine, message: Any, when: int) -> None:
        self.at(when, lambda: receiver.receive(message, self._now))

    def _awake(self) -> str:
        late = [
            type(seat.machine).__name__
            for seat in self._seats.values()
            if (when := seat.machine.next_deadline()) is not None and when <= self._now
        ]
        return ", ".join(late) or ""
