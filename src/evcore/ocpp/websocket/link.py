"""A session on a connection: calls that can be awaited, handlers that may be coroutines. Either role."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, assert_never

from evcore.errors import CallError, LinkError
from evcore.ocpp.events import Anomaly, Called, Event, Finished, Notified, Outcome
from evcore.ocpp.session import Session
from evcore.ocpp.websocket.connection import Connection, log
from evcore.ports import Traffic

Handler = Callable[[Called], Any]  # -> payload or an awaitable of it; raises CallError to refuse


class Link:
    """A `Receiver`: hand it to `connect`, or return it from `listen`'s accept.

    handle: answers the peer's CALLs; one that is a coroutine runs in a task of its own, so that it may itself call the
    peer, and is not cancelled when the connection ends: what it records must be recorded. The hooks are for subclasses.
    """

    __slots__ = (
        "_handle",
        "_timer",
        "_timer_at",
        "_waiting",
        "connection",
        "session",
        "tasks",
        "traffic",
    )

    def __init__(self, session: Session, handle: Handler, *, traffic: Traffic | None = None) -> None:
        self.session, self._handle = session, handle
        self.traffic = Traffic() if traffic is None else traffic
        self.connection: Connection | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None

    # Hooks

    def on_opened(self) -> None: ...
    def on_closed(self, code: int, reason: str) -> None: ...
    def on_anomaly(self, anomaly: Anomaly) -> None: ...
    def on_notified(self, notified: Notified) -> None: ...

    # For the user

    async def call(self, action: str, payload: Any, *, timeout_s: float | None = None) -> Any:
        """Call the peer and wait for its answer: the payload of the CALLRESULT.

        Raises CallError (it refused), CallTimeout, LinkError (closed, queue full), MessageError (either side's payload
        breaks the schema).
        """
        return (await self.exchange(action, payload, timeout_s=timeout_s))[1]

    async def exchange(self, action: str, payload: Any, *, timeout_s: float | None = None) -> tuple[str, Any]:
        """As `call`, with the message id: (id, payload of the answer)."""
        now = time.monotonic_ns()
        timeout = None if timeout_s is None else int(timeout_s * 1e9)
        id = self.session.call(action, payload, now, timeout=timeout)
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        self._pump(now)
        try:
            return id, await future
        except asyncio.CancelledError:
            self._waiting.pop(id, None)
            self.session.cancel(id)
            raise

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End it now: pending calls fail, nothing more is sent or handled."""
        now = time.monotonic_ns()
        self._pump(now)
        self.session.close(now)
        self._pump(now)
        if self.connection is not None:
            self.connection.close(code, reason)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it in a task that is kept until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # Receiver

    def opened(self, connection: Connection) -> None:
        self.connection = connection
        self.on_opened()
        self._pump(time.monotonic_ns())

    def received(self, data: bytes) -> None:
        self.traffic.received += 1
        now = time.monotonic_ns()
        self.session.receive(data, now)
        self._pump(now)

    def closed(self, code: int, reason: str) -> None:
        now = time.monotonic_ns()
        self.session.close(now)
        self._pump(now)
        self.on_closed(code, reason)

    # Inside

    def _pump(self, now: int) -> None:
        for event in self.session.poll(now):
            self._dispatch(event, now)
        if self.connection is not None:
            for message in self.session.to_send():
                self.traffic.sent += 1
                self.connection.send(message)
        self._arm(now)

    def _dispatch(self, event: Event, now: int) -> None:
        match event:
            case Called():
                self._called(event, now)
            case Finished():
                self._finished(event)
            case Anomaly():
                self.traffic.errors += 1
                self.on_anomaly(event)
            case Notified():
                self.on_notified(event)
            case _:
                assert_never(event)

    def _called(self, called: Called, now: int) -> None:
        try:
            result = self._handle(called)
            if inspect.isawaitable(result):
                self.spawn(self._answer_later(called, result))
            else:
                self.session.answer(called.id, result, now)
        except Exception as error:  # noqa: BLE001 - a handler's fault costs this call only
            self._refuse(called, error)

    async def _answer_later(self, called: Called, result: Awaitable[Any]) -> None:
        try:
            payload = await result
            self.session.answer(called.id, payload, time.monotonic_ns())
        except Exception as error:  # noqa: BLE001 - a handler's fault costs this call only
            self._refuse(called, error)
        self._pump(time.monotonic_ns())

    def _refuse(self, called: Called, error: Exception) -> None:
        if isinstance(error, CallError):
            self.session.refuse(called.id, error.code, error.description, error.details)
            return
        log.error("the handler of %s failed", called.action, exc_info=error)
        self.session.refuse(called.id, "InternalError", "the call could not be handled")
        self._dispatch(Anomaly("handler", type(error).__name__, called.id, called.action, True), 0)

    def _finished(self, event: Finished) -> None:
        future = self._waiting.pop(event.id, None)
        if future is None or future.done():
            return
        if event.outcome is Outcome.ANSWERED:
            future.set_result(event.payload)
        else:
            future.set_exception(event.error or LinkError(event.outcome))

    def _arm(self, now: int) -> None:
        """One timer for the session's next deadline."""
        deadline = self.session.next_deadline()
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_later(max(deadline - now, 0) / 1e9, self._due)

    def _due(self) -> None:
        self._timer = self._timer_at = None
        self._pump(time.monotonic_ns())
