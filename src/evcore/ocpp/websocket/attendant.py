"""Sends what is due on one connection of a station: BootNotification, Heartbeat, what was recorded."""

from __future__ import annotations

import asyncio
import contextlib
import time

from evcore.errors import CallError, CallTimeout, LinkError, MessageError, PayloadError
from evcore.ocpp.message_types import CALL
from evcore.ocpp.records import Record
from evcore.ocpp.registration import Duty
from evcore.ocpp.station import Registered
from evcore.ocpp.websocket.link import Link
from evcore.ocpp.websocket.station_state import StationState

_BREATH_S = 1.0  # before what could not be handed to the connection is tried again


class Attendant:
    """One thing at a time; live calls of the station's user go between."""

    def __init__(self, link: Link, state: StationState) -> None:
        self._link, self._state, self._ended = link, state, False

    def end(self) -> None:
        """The connection ended: `run` returns when what it waits for has failed."""
        self._ended = True
        self._state.wake.set()

    async def run(self) -> None:
        """Until `end`."""
        state = self._state
        state.back_off.connected(time.monotonic_ns())
        if self._link.session.registration == "Accepted":
            state.go_online()
        while not self._ended:
            state.wake.clear()
            for duty in state.registration.poll(time.monotonic_ns()):
                await (self._boot() if duty is Duty.BOOT else self._beat())
            record = state.tell_queue(time.monotonic_ns())
            if record is not None:
                await state.keeper.commit()  # what is sent is kept
                await self._transmit(record)
            elif not self._ended:
                state.keeper.wake()
                await self._until_due()

    async def _until_due(self) -> None:
        state = self._state
        deadlines = [at for at in (state.registration.next_deadline(), state.queue.next_deadline()) if at is not None]
        wait = max(min(deadlines) - time.monotonic_ns(), 0) / 1e9 if deadlines else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await state.wake.wait()

    async def _boot(self) -> None:
        state, asked = self._state, time.monotonic_ns()
        about = state.about.boot(state.version, state.boot_reason)
        try:
            _, answer = await state.exchange(self._link, Duty.BOOT.value, about)
        except (CallError, LinkError, MessageError, TypeError, ValueError) as error:
            state.registration.failed(time.monotonic_ns())
            state.tell(Registered("", str(error)))
            return
        state.boots += 1
        state.tell_clock(state.registration.booted(about, answer, asked, time.monotonic_ns()))
        if state.registration.accepted:
            state.back_off.accepted()
            state.go_online()
        else:
            state.go_offline()
        state.tell(Registered(state.registration.status or ""))

    async def _beat(self) -> None:
        state, asked = self._state, time.monotonic_ns()
        try:
            _, answer = await state.exchange(self._link, Duty.HEARTBEAT.value, {})
        except (CallError, LinkError, MessageError):
            state.registration.failed(time.monotonic_ns())
        else:
            state.tell_clock(state.registration.heard(answer, asked, time.monotonic_ns()))

    async def _transmit(self, record: Record) -> None:
        state = self._state
        try:
            _, answer = await state.exchange(self._link, record.action, record.payload)
        except CallError as error:
            if error.code == "SecurityError":  # it does not know us; the message may be good
                self._return()
            else:
                state.queue.failed(str(error), time.monotonic_ns())
        except PayloadError as error:  # ours breaks the schema, or the answer does
            if error.type == CALL:
                state.queue.hopeless(str(error))
            else:
                state.queue.failed(str(error), time.monotonic_ns())
        except (TypeError, ValueError) as error:  # a value that JSON has no form for, a text that UTF-8 has none for
            state.queue.hopeless(f"cannot be written as JSON: {error}")
        except (CallTimeout, MessageError) as error:
            state.queue.failed(str(error), time.monotonic_ns())
        except LinkError:  # closed, and it stays where it is; or too many calls wait
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BREATH_S):
                    while not self._ended:
                        state.wake.clear()
                        await state.wake.wait()
            if not self._ended:
                self._return()
        else:
            state.queue.answered(answer, time.monotonic_ns())

    def _return(self) -> None:
        """What was to be sent goes back to its place."""
        now = time.monotonic_ns()
        self._state.queue.offline(now)
        self._state.queue.online(self._state.version, now)
