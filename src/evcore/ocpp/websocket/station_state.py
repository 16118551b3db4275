"""What a station keeps from one connection to the next, and who is told of it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from evcore.errors import CallError
from evcore.ocpp.backoff import RetryBackOff
from evcore.ocpp.records import MessageStore, Record
from evcore.ocpp.registration import Registration
from evcore.ocpp.station import Answered, ClockStepped, NotStored, Online, StationAbout, StationEvent
from evcore.ocpp.station_clock import StationClock
from evcore.ocpp.transactions import TransactionQueue, Transmit
from evcore.ocpp.websocket.connection import log
from evcore.ocpp.websocket.keeper import Keeper
from evcore.ocpp.websocket.link import Link

_STEP_NS = 2_000_000_000  # less is drift


class StationState:
    """online: accepted by the CSMS. wake: something is to be sent. idle: no record waits."""

    def __init__(
        self,
        about: StationAbout,
        clock: StationClock,
        registration: Registration,
        back_off: RetryBackOff,
        store: MessageStore | None,
        on_event: Callable[[StationEvent], None] | None,
        version: str,
    ) -> None:
        self.about, self.clock, self.registration, self.back_off = about, clock, registration, back_off
        self.queue = TransactionQueue(clock, secrets.token_hex(8))
        self.keeper = Keeper(self.queue, store, lambda detail: self.tell(NotStored(detail)))
        self.on_event = on_event
        self.version, self.boot_reason, self.boots = version, "PowerUp", 0
        self.online, self.wake, self.idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.idle.set()

    def go_online(self) -> None:
        if not self.online.is_set():
            self.queue.online(self.version, time.monotonic_ns())
            self.online.set()
            self.tell(Online())

    def go_offline(self) -> None:
        if self.online.is_set():
            self.online.clear()
            self.queue.offline(time.monotonic_ns())
            self.tell_queue(time.monotonic_ns())

    async def exchange(
        self, link: Link, action: str, payload: Mapping[str, Any], timeout_s: float | None = None
    ) -> tuple[str, Any]:
        """A CALL on a link. Raises as `Link.exchange`."""
        self.registration.said(time.monotonic_ns())
        try:
            id, answer = await link.exchange(action, payload, timeout_s=timeout_s)
        except CallError as error:
            if error.code == "SecurityError":
                self.registration.not_known(time.monotonic_ns())
                self.wake.set()
            self.tell(Answered("", action, payload, None, str(error)))
            raise
        self.tell(Answered(id, action, payload, answer))
        return id, answer

    def tell(self, event: StationEvent) -> None:
        if self.on_event is not None:
            try:
                self.on_event(event)
            except Exception:  # noqa: BLE001 - a user's fault must not end the station
                log.exception("on_event failed for %s", type(event).__name__)

    def tell_queue(self, now: int) -> Record | None:
        """Tell what happened in the queue; the message that it wants to be sent."""
        transmit = None
        for event in self.queue.poll(now):
            if isinstance(event, Transmit):
                transmit = event.record
            else:
                self.tell(event)
        if not len(self.queue):
            self.idle.set()
        return transmit

    def tell_clock(self, step: int) -> None:
        if abs(step) > _STEP_NS:
            self.tell(ClockStepped(step))
