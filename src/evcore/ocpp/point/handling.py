"""The peer's CALLs on their way through the handlers of a `ChargePoint`; the reader never waits for one."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from ocpp.exceptions import NotSupportedError, OCPPError
from ocpp.messages import Call

from evcore.errors import CallError
from evcore.ocpp.eager import first_step
from evcore.ocpp.events import Anomaly, Called, Event, Notified, Repaired, ResultRefused
from evcore.ocpp.point.errors import reply_to
from evcore.ocpp.point.exchange import Exchange
from evcore.ocpp.point.handlers import CallContext, plan_of
from evcore.ocpp.point.unjudged import without_none

HANDLERS_LIMIT = 256  # tasks of handlers at once; further CALLs are refused
GOODBYE_S = 1.0  # that a handler which was cancelled may take to say so to the peer
WARNINGS_LIMIT = 10  # of each kind of fault of the peer, then they are logged as DEBUG: no peer fills the log

# What ends the program, or the coroutine itself, also from within a handler; all else costs its CALL only.
_ENDS = (SystemExit, KeyboardInterrupt, GeneratorExit)


class RoutedCall(Call):  # type: ignore[misc]
    """A CALL on its way to `_handle_call`. payload: with wire names, as mobilityhouse has it there."""

    def __init__(self, called: Called, exchange: Exchange) -> None:
        self.unique_id, self.action, self.called, self.exchange = called.id, called.action, called, exchange

    @property
    def payload(self) -> Any:
        return orjson.loads(self.called.raw_payload)


@dataclasses.dataclass(slots=True)
class Job:
    """A CALL or SEND in work. deferred: the session waits for its answer; until then that is `reply`. answered_ns: None
    until it was answered, and well."""

    exchange: Exchange
    called: Called | Notified
    data: bytes
    received_ns: int
    route: Mapping[str, Any]
    deferred: bool = True
    reply: bytes | None = None
    answer: Any = None
    answered_ns: int | None = None


class Handling:
    """The part of a `ChargePoint` that handles what the peer sends."""

    id: Any
    _connection: Any
    logger: logging.Logger
    route_map: dict[str, dict[str, Any]]
    _call: Any
    _ocpp_version: str

    def __init__(self, handler_timeout: float | None) -> None:
        self._handler_timeout = handler_timeout
        self.anomalies: Counter[str] = Counter()  # what the peer did against the rules, by kind
        self._tasks: set[asyncio.Task[None]] = set()

    async def settle(self) -> None:
        """Wait until no handler is in work."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _send(self, message: str) -> None:
        raise NotImplementedError

    async def _handle_call(self, msg: Call) -> None:
        raise NotImplementedError

    async def _take(self, exchange: Exchange, data: bytes, *, overridden: bool) -> None:
        """Handle a message. overridden: CALLs go to a `_handle_call` that somebody has written."""
        session, now = exchange.session, time.monotonic_ns()
        called = session.take(data, now)
        job = None if called is None else self._called(exchange, called, now, overridden)
        if session.has_news():
            for event in exchange.poll(now, data):
                if isinstance(event, Notified) and len(self._tasks) >= HANDLERS_LIMIT:
                    self._note(Anomaly("too_many_sends", f"{HANDLERS_LIMIT} handlers are in work", event.id))
                elif isinstance(event, Notified):
                    job = self._handled(Job(exchange, event, data, now, self._route(event.action)))
                else:
                    self._note(event)
            await self._transmit(exchange)
        if job is not None:
            if job.reply is not None:
                async with exchange.sending:
                    if self._is_current(exchange):
                        await self._send(job.reply.decode())
            self._run_after(job)

    def _called(self, exchange: Exchange, called: Called, now: int, overridden: bool) -> Job | None:
        """As `_handled`, for a CALL."""
        session = exchange.session
        if len(self._tasks) >= HANDLERS_LIMIT:
            session.defer(called)
            session.refuse(called.id, "InternalError", f"{HANDLERS_LIMIT} handlers are in work")
        elif overridden:
            session.defer(called)
            self._spawn(self._hand_over(RoutedCall(called, exchange)))
        else:
            return self._handled(Job(exchange, called, called.data, now, self._route(called.action), False))
        return None

    def _handled(self, job: Job) -> Job | None:
        """The job if it is done already, its `reply` to be sent; None where it was refused or has become a task."""
        if "_on_action" not in job.route:
            if isinstance(job.called, Called):
                self._defer(job)
                job.exchange.session.refuse(job.called.id, *reply_to(_unhandled(job.called.action)))
            return None
        left = self._begin(job)
        if left is None:
            return job
        self._defer(job)
        self._spawn(self._complete(job, left))
        return None

    def _defer(self, job: Job) -> None:
        if not job.deferred and isinstance(job.called, Called):
            job.deferred = True
            job.exchange.session.defer(job.called)

    async def _handle_fully(self, msg: RoutedCall) -> None:
        called = msg.called
        job = Job(msg.exchange, called, called.data, called.received_ns, self._route(called.action))
        if "_on_action" not in job.route:
            raise _unhandled(called.action)
        left = self._begin(job)
        if left is None:
            await self._conclude(job)
        else:
            await self._complete(job, left)

    async def _hand_over(self, msg: RoutedCall) -> None:
        session = msg.exchange.session
        try:
            await self._handle_call(msg)
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - its author's fault costs this CALL only
            self._report(msg.action, error)
            session.refuse(msg.unique_id, *reply_to(error))
        session.forget(msg.unique_id)  # it may have been answered by a `_send` of its author's own
        await self._transmit(msg.exchange)

    # One handler

    def _route(self, action: str) -> Mapping[str, Any]:
        return self.route_map.get(action, {})

    def _begin(self, job: Job) -> Awaitable[Any] | None:
        """Call the handler. What is left to be awaited; None when the CALL has been answered."""
        try:
            result = self._run(job.route["_on_action"], job)
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - a handler's fault costs this CALL only
            self._refuse(job, error)
            return None
        if inspect.isawaitable(result):
            return result
        self._answer(job, result)
        return None

    async def _complete(self, job: Job, left: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(self._handler_timeout):
                result = await left
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - the peer waits, whatever it was
            self._refuse(job, error)
            cancelled = isinstance(error, asyncio.CancelledError)
            async with asyncio.timeout(GOODBYE_S if cancelled else None):  # no loop hangs at its end
                await self._conclude(job)
        else:
            self._answer(job, result)
            await self._conclude(job)

    async def _conclude(self, job: Job) -> None:
        await self._transmit(job.exchange)
        self._run_after(job)

    def _run(self, handler: Callable[..., Any], job: Job, **more: Any) -> Any:
        called = job.called
        plan = plan_of(handler, getattr(self._call, called.action, None))
        arguments = plan.arguments(called.payload)
        if plan.wants_id:
            arguments["call_unique_id"] = called.id
        if plan.context is not None:
            arguments[plan.context] = self._context(job)
        return handler(**arguments, **more)

    def _context(self, job: Job) -> CallContext:
        age = timedelta(microseconds=(time.monotonic_ns() - job.received_ns) // 1000)
        return CallContext(
            id=job.called.id,
            action=job.called.action,
            version=self._ocpp_version,
            station=self.id,
            raw=job.data,
            repairs=getattr(getattr(job.called, "frame", None), "repairs", ()),
            received=datetime.now(UTC) - age,
            received_ns=job.received_ns,
            answered_ns=job.answered_ns,
        )

    def _answer(self, job: Job, result: Any) -> None:
        called, session, now = job.called, job.exchange.session, time.monotonic_ns()
        if isinstance(called, Notified):  # a SEND is never answered
            job.answered_ns = now
            return
        payload = {} if result is None else result
        if job.deferred:
            answered = session.answer(called.id, payload, now)
        else:
            job.reply = session.reply(called, payload)
            answered = job.reply is not None or not job.exchange.closed
        if session.has_news():
            for event in job.exchange.poll(now):
                self._note(event)
                if isinstance(event, Anomaly) and event.reason == "invalid_answer" and event.id == called.id:
                    answered = False
        if answered:
            job.answer, job.answered_ns = payload, now

    def _refuse(self, job: Job, error: BaseException) -> None:
        self._report(job.called.action, error)
        self._defer(job)
        if isinstance(job.called, Called):
            job.exchange.session.refuse(job.called.id, *reply_to(error))

    def _report(self, action: str, error: BaseException) -> None:
        if isinstance(error, (CallError, OCPPError)):
            self.logger.info("%s: %s is refused: %s", self.id, action, error)
        else:
            self.logger.error("%s: the handler of %s failed", self.id, action, exc_info=error)

    def _run_after(self, job: Job) -> None:
        handler = job.route.get("_after_action")
        if handler is None or job.answered_ns is None:
            return
        more = {"call_response": _plain(job.answer)} if getattr(handler, "_inject_response", False) is True else {}
        try:
            result = self._run(handler, job, **more)
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - the CALL is answered
            self._report(f"@after {job.called.action}", error)
            return
        if inspect.isawaitable(result):
            self._spawn(self._finish_after(job, result))

    async def _finish_after(self, job: Job, left: Awaitable[Any]) -> None:
        try:
            await left
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - the CALL is answered
            self._report(f"@after {job.called.action}", error)

    # Around it

    async def _transmit(self, exchange: Exchange) -> None:
        messages = exchange.session.to_send()
        if messages:
            await self._write(exchange, messages)

    def _is_current(self, exchange: Exchange) -> bool:
        """Does `_send` still go where the exchange goes? While a message waited, another connection may have come."""
        return not exchange.closed and exchange.connection is self._connection

    async def _write(self, exchange: Exchange, messages: list[bytes]) -> None:
        """Send them all. The session holds them for sent, so whoever is cancelled meanwhile leaves them to a task."""
        at = 0
        try:
            async with exchange.sending:
                while at < len(messages) and self._is_current(exchange):
                    at += 1
                    await self._send(messages[at - 1].decode())
        except asyncio.CancelledError:
            if at < len(messages) and not exchange.closed:
                self._keep(asyncio.get_running_loop().create_task(self._write(exchange, messages[at:])))
            raise

    def _overdue(self, exchange: Exchange) -> None:
        if exchange.session.has_news():
            self._keep(asyncio.get_running_loop().create_task(self._transmit(exchange)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it at once as far as it does not wait for anything, the rest in a task that is kept."""
        _, task = first_step(work)
        if task is not None:
            self._keep(task)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.logger.info("%s: an answer could not be sent: %r", self.id, error)

    def _note(self, event: Event) -> None:
        if isinstance(event, ResultRefused):
            event = Anomaly("result_refused", str(event.error)[:500], event.id, event.action)
        if isinstance(event, Repaired):
            sent = " before it is sent" if event.direction == "out" else ""
            self.logger.info(
                "%s: %s mended%s: %s", self.id, event.action, sent, "; ".join(map(str, event.repairs))[:400]
            )
        if isinstance(event, Anomaly):
            self.anomalies[event.reason] += 1
            many = self.anomalies[event.reason] > WARNINGS_LIMIT
            self.logger.log(
                logging.DEBUG if many else logging.WARNING, "%s: %s: %s", self.id, event.reason, event.detail
            )


def _unhandled(action: str) -> Exception:
    error: Exception = NotSupportedError(  # in words of our own: `ocpp` has swapped those of the two codes
        description=f"{action} is known, but not supported here",
        details={"cause": f"No handler for {action} registered."},
    )
    return error


def _plain(answer: Any) -> Any:
    """A given answer as a mapping, without what is not set."""
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return without_none(dataclasses.asdict(answer))
    return answer
