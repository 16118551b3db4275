"""A session on a connection: calls that can be awaited, handlers that may be coroutines. Either role."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import CoroutineType
from typing import Any, assert_never

from evcore.errors import CallError, LinkError
from evcore.ocpp.eager import first_step
from evcore.ocpp.events import Anomaly, Called, Event, Finished, Notified, Outcome, Repaired, ResultRefused
from evcore.ocpp.session import Session
from evcore.ocpp.websocket.connection import Connection, log
from evcore.ports import Traffic

Handler = Callable[[Called], Any]  # -> payload or an awaitable of it; raises CallError to refuse


class Link:
    """A `Receiver`: hand it to `connect`, or return it from `listen`'s accept.

    handle: answers the peer's CALLs, at once where it can. A coroutine takes its first step at once too; if it suspends
    it goes on as a task, so that it may itself call the peer, and is not cancelled when the connection ends: what it
    records must be recorded. handler_timeout_s: after so long it is cancelled and its CALL refused; None: never. The
    hooks are for subclasses.
    """

    __slots__ = (
        "_going",
        "_handle",
        "_handler_timeout_s",
        "_loop",
        "_timer",
        "_timer_at",
        "_waiting",
        "connection",
        "session",
        "tasks",
        "traffic",
    )

    def __init__(
        self,
        session: Session,
        handle: Handler,
        *,
        traffic: Traffic | None = None,
        handler_timeout_s: float | None = None,
    ) -> None:
        self.session, self._handle, self._handler_timeout_s = session, handle, handler_timeout_s
        self.traffic = Traffic() if traffic is None else traffic
        self.connection: Connection | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._going: set[asyncio.Task[Any]] = set()  # handlers that suspended, while they count
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0

    # Hooks

    def on_opened(self) -> None: ...
    def on_closed(self, code: int, reason: str) -> None: ...
    def on_anomaly(self, anomaly: Anomaly) -> None: ...
    def on_notified(self, notified: Notified) -> None: ...
    def on_repaired(self, repaired: Repaired) -> None: ...
    def on_refused(self, called: Called, error: CallError) -> None: ...  # a handler's own CALLERROR
    def on_suspended(self, called: Called, task: asyncio.Task[Any]) -> bool:
        """A handler goes on as this task. True: it goes on though it takes too long and its CALL is refused, and then
        counts no more; else it is cancelled."""
        return False

    def on_result_refused(self, refused: ResultRefused) -> None:
        """The peer cannot use our answer (2.1). Unless overridden it is an anomaly."""
        self.on_anomaly(Anomaly("result_refused", str(refused.error)[:500], refused.id, refused.action))

    # For the user

    async def call(
        self, action: str, payload: Any, *, timeout_s: float | None = None, priority: int | None = None
    ) -> Any:
        """Call the peer and wait for its answer: the payload of the CALLRESULT.

        Raises CallError (it refused), CallTimeout, LinkError (closed, queue full, not before the station is accepted),
        MessageError (either side's payload breaks the schema).
        """
        return (await self.exchange(action, payload, timeout_s=timeout_s, priority=priority))[1]

    async def exchange(
        self,
        action: str,
        payload: Any,
        *,
        timeout_s: float | None = None,
        priority: int | None = None,
        id: str | None = None,
    ) -> tuple[str, Any]:
        """As `call`, with the message id: (id, payload of the answer). priority, id: see `Session.call`."""
        now = time.monotonic_ns()
        timeout = None if timeout_s is None else int(timeout_s * 1e9)
        id = self.session.call(action, payload, now, timeout=timeout, priority=priority, id=id)
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        self._pump(now)
        try:
            return id, await future
        except asyncio.CancelledError:
            self._waiting.pop(id, None)
            self.session.cancel(id)
            raise

    def send(self, action: str, payload: Any) -> None:
        """A SEND (2.1), see `Session.send`."""
        self.session.send(action, payload)
        self._pump(time.monotonic_ns())

    def refuse_result(
        self, id: str, code: str, description: str = "", details: Mapping[str, Any] | None = None
    ) -> bool:
        """Tell the peer that the answer which `exchange` returned cannot be used (2.1), see `Session.refuse_result`."""
        told = self.session.refuse_result(id, code, description, details)
        self._pump(time.monotonic_ns())
        return told

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
        self._keep(asyncio.get_running_loop().create_task(work))

    # Receiver

    def opened(self, connection: Connection) -> None:
        self.connection, self._loop = connection, asyncio.get_running_loop()
        self.on_opened()
        self._pump(time.monotonic_ns())

    def received(self, data: bytes) -> None:
        self.traffic.received += 1
        now = time.monotonic_ns()
        session = self.session
        called = session.take(data, now)
        if called is not None:
            self._called(called)
            if not session.has_news():
                return
        self._pump(now)

    def closed(self, code: int, reason: str) -> None:
        now = time.monotonic_ns()
        self.session.close(now)
        self._pump(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.on_closed(code, reason)
        self._handle = _hear_nothing  # a handler that knows this link would be a circle

    # Inside

    def _pump(self, now: int) -> None:
        session = self.session
        for event in session.poll(now):
            try:
                self._dispatch(event)
            except Exception:  # noqa: BLE001 - a hook's fault must not cost the events behind it
                log.exception("a hook for %s failed", type(event).__name__)
        if self.connection is not None:
            for message in session.to_send():
                self.traffic.sent += 1
                self.connection.send(message)
        deadline = session.next_deadline()
        if deadline is not None and (self._timer is None or deadline < self._timer_at):
            self._arm(deadline, now)

    def _dispatch(self, event: Event) -> None:
        match event:
            case Called():  # of `Session.receive` only; `received` takes them, so none comes here
                self._called(event)
            case Finished():
                self._finished(event)
            case Anomaly():
                self.traffic.errors += 1
                self.on_anomaly(event)
            case Notified():
                self.on_notified(event)
            case Repaired():
                self.on_repaired(event)
            case ResultRefused():
                self.traffic.errors += 1
                self.on_result_refused(event)
            case _:
                assert_never(event)

    def _called(self, called: Called) -> None:
        try:
            result = self._handle(called)
            if type(result) is not dict:
                if type(result) is CoroutineType:
                    result, task = first_step(result, self._loop)
                elif isinstance(result, Awaitable):
                    result, task = first_step(_await(result), self._loop)
                else:
                    task = None
                if task is not None:
                    self._go_on(called, task)
                    return
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a handler's fault costs this call only
            self.session.defer(called)
            self._refuse(called, error)
            return
        data = self.session.reply(called, result)
        if data is not None and self.connection is not None:
            self.traffic.sent += 1
            self.connection.send(data)

    def _go_on(self, called: Called, task: asyncio.Task[Any]) -> None:
        """The handler suspended: its answer comes when its task is done."""
        self.session.defer(called)
        timer: asyncio.TimerHandle | None = None
        many, lasts = len(self._going), self.on_suspended(called, task)
        self._going.add(task)
        self._keep(task)
        if many >= self.session.unanswered:  # some did not end when they were cancelled, or should have been quick
            self._give_up(called, task, lasts, "too many calls at once")
            self._told(Anomaly("too_many_calls", f"{many} are in work", called.id, called.action, True))
        elif self._handler_timeout_s is not None:
            timer = self._loop.call_later(self._handler_timeout_s, self._overdue, called, task, lasts)

        def done(task: asyncio.Task[Any]) -> None:
            self._going.discard(task)
            if timer is not None:
                timer.cancel()
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is None:
                self.session.answer(called.id, task.result(), time.monotonic_ns())
            else:
                self._refuse(called, error)
            self._pump(time.monotonic_ns())

        task.add_done_callback(done)

    def _give_up(self, called: Called, task: asyncio.Task[Any], lasts: bool, why: str) -> None:
        if lasts:
            self._going.discard(task)
        else:
            task.cancel()
        self.session.refuse(called.id, "InternalError", why)

    def _overdue(self, called: Called, task: asyncio.Task[Any], lasts: bool) -> None:
        self._give_up(called, task, lasts, "the call could not be handled in time")
        self._told(Anomaly("handler_timeout", f"{self._handler_timeout_s} s", called.id, called.action, True))
        self._pump(time.monotonic_ns())

    def _refuse(self, called: Called, error: BaseException) -> None:
        if isinstance(error, CallError):
            self.session.refuse(called.id, error.code, error.description, error.details)
            try:
                self.on_refused(called, error)
            except Exception:  # noqa: BLE001 - see _pump
                log.exception("a hook for %s failed", called.action)
            return
        waited_for = self.session.refuse(called.id, "InternalError", "the call could not be handled")
        if not isinstance(error, asyncio.CancelledError):
            log.error("the handler of %s failed", called.action, exc_info=error)
        elif not waited_for:
            return  # it took too long, which was told then
        self._told(Anomaly("handler", type(error).__name__, called.id, called.action, waited_for))

    def _told(self, anomaly: Anomaly) -> None:
        self.traffic.errors += 1
        try:
            self.on_anomaly(anomaly)
        except Exception:  # noqa: BLE001 - see _pump
            log.exception("a hook for %s failed", anomaly.reason)

    def _finished(self, event: Finished) -> None:
        future = self._waiting.pop(event.id, None)
        if future is None or future.done():
            return
        if event.outcome is Outcome.ANSWERED:
            future.set_result(event.payload)
        else:
            future.set_exception(event.error or LinkError(event.outcome))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _arm(self, deadline: int, now: int) -> None:
        """One timer for the session's next deadline. It is left to run when that moves away, and set anew when it
        fires: most calls are answered long before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_later(max(deadline - now, 0) / 1e9, self._due)

    def _due(self) -> None:
        self._timer = None
        self._pump(time.monotonic_ns())


def _hear_nothing(called: Called) -> Any:
    raise CallError("InternalError", "the connection has ended")


async def _await(work: Awaitable[Any]) -> Any:
    return await work
