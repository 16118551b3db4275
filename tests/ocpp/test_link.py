"""A session on a connection: what handlers may do, and what it costs when they do it badly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from waiting import until

from evcore.errors import CallError, CallTimeout, LinkError, PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.events import Anomaly, Called, Notified, ResultRefused
from evcore.ocpp.rules import Priority
from evcore.ocpp.session import Session
from evcore.ocpp.websocket import Link

TRANSFER = {"vendorId": "v"}
ACCEPTED = {"status": "Accepted"}


class Wire:
    """Stands for the WebSocket."""

    def __init__(self) -> None:
        self.out: list[Any] = []
        self.closed_with: tuple[int, str] | None = None

    def send(self, data: bytes) -> None:
        self.out.append(json.loads(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed_with = (code, reason)

    def take(self) -> list[Any]:
        out, self.out = self.out, []
        return out


class Noting(Link):
    """Keeps what its hooks were told."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.anomalies: list[Anomaly] = []
        self.notified: list[Notified] = []
        self.refused: list[ResultRefused] = []

    def on_anomaly(self, anomaly: Anomaly) -> None:
        self.anomalies.append(anomaly)

    def on_notified(self, notified: Notified) -> None:
        self.notified.append(notified)

    def on_result_refused(self, refused: ResultRefused) -> None:
        self.refused.append(refused)
        super().on_result_refused(refused)


def link_of(
    handle: Callable[[Called], Any], version: str = "1.6", kind: type[Noting] = Noting, **options: Any
) -> tuple[Noting, Wire]:
    session = {name: options.pop(name) for name in ("call_timeout", "queue", "unanswered") if name in options}
    link, wire = kind(Session(Codec(version), "csms", accepted=True, **session), handle, **options), Wire()
    link.opened(wire)  # type: ignore[arg-type]
    return link, wire


def hear(link: Link, id: str, payload: Any = TRANSFER) -> None:
    link.received(json.dumps([2, id, "DataTransfer", payload]).encode())


async def never(called: Called) -> Any:
    raise AssertionError(called)


# What handlers return


class OddAwaitable:
    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return ACCEPTED


async def at_once(called: Called) -> Any:
    return ACCEPTED


async def later(called: Called) -> Any:
    await asyncio.sleep(0)
    return ACCEPTED


def in_a_future(called: Called) -> Awaitable[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_result(ACCEPTED)
    return future


@pytest.mark.parametrize("handle", [lambda called: ACCEPTED, at_once])
async def test_an_answer_that_needs_no_waiting_is_sent_before_received_returns(handle: Any) -> None:
    link, wire = link_of(handle)
    hear(link, "a")
    assert wire.take() == [[3, "a", ACCEPTED]]
    assert not link.tasks
    assert (link.traffic.received, link.traffic.sent, link.traffic.errors) == (1, 1, 0)


@pytest.mark.parametrize("handle", [later, in_a_future, lambda called: OddAwaitable()])
async def test_an_answer_that_needs_waiting_is_sent_when_it_is_there(handle: Any) -> None:
    link, wire = link_of(handle)
    hear(link, "a")
    hear(link, "b")
    await until(lambda: len(wire.out) == 2)
    assert wire.take() == [[3, "a", ACCEPTED], [3, "b", ACCEPTED]]
    await until(lambda: not link.tasks)


async def test_a_slow_handler_holds_up_nobody() -> None:
    gate = asyncio.Event()

    async def handle(called: Called) -> Any:
        if called.id == "slow":
            await gate.wait()
        return ACCEPTED

    link, wire = link_of(handle)
    for id in ("a", "slow", "b", "c"):
        hear(link, id)
    assert [message[1] for message in wire.take()] == ["a", "b", "c"]
    gate.set()
    await until(lambda: wire.out)
    assert wire.take() == [[3, "slow", ACCEPTED]]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")

    __repr__ = __str__


def _cycle() -> Any:
    value: dict[str, Any] = {"status": "Accepted"}
    value["data"] = value
    return value


NONSENSE: list[Callable[[], Any]] = [
    lambda: None,
    lambda: "words",
    lambda: b"bytes",
    lambda: 5,
    lambda: [1, 2],
    object,
    lambda: {"status": "Perhaps"},
    lambda: {"status": object()},
    lambda: {5: 6},
    lambda: {"status": "\ud800"},
    lambda: {"status": "Accepted", "data": "x" * 2_000_000},
    _cycle,
    lambda: (x for x in "ab"),
    lambda: type,
    lambda: float("nan"),
]


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("how", ["at once", "in a coroutine", "in a task"])
async def test_a_handler_that_returns_nonsense_costs_that_call_only(nonsense: Callable[[], Any], how: str) -> None:
    async def handle_later(called: Called) -> Any:
        if how == "in a task":
            await asyncio.sleep(0)
        return nonsense() if called.id == "bad" else ACCEPTED

    def handle(called: Called) -> Any:
        return nonsense() if called.id == "bad" else ACCEPTED

    link, wire = link_of(handle if how == "at once" else handle_later)
    for id in ("bad", "good"):
        hear(link, id)
    await until(lambda: len(wire.out) == 2)
    assert [message[:3] for message in wire.take()] == [[4, "bad", "InternalError"], [3, "good", ACCEPTED]]
    assert [anomaly.reason for anomaly in link.anomalies] == ["invalid_answer"]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (lambda: CallError("NotSupported", "no", {"a": 1}), "NotSupported", None),
        (lambda: CallError(["no", "code"], 5, [1]), "['no', 'code']", None),  # type: ignore[arg-type]
        (lambda: KeyError("x"), "InternalError", "KeyError"),
        (Unprintable, "InternalError", "Unprintable"),
        (RecursionError, "InternalError", "RecursionError"),
        (lambda: LinkError("the store is away"), "InternalError", "LinkError"),
        (lambda: asyncio.CancelledError(), "InternalError", "CancelledError"),
        (lambda: StopAsyncIteration(), "InternalError", "StopAsyncIteration"),
    ],
)
@pytest.mark.parametrize("how", ["at once", "in a coroutine", "in a task"])
async def test_a_handler_that_raises_costs_that_call_only(error: Any, code: str, reason: str | None, how: str) -> None:
    async def handle_later(called: Called) -> Any:
        if how == "in a task":
            await asyncio.sleep(0)
        return handle(called)

    def handle(called: Called) -> Any:
        if called.id == "bad":
            raise error()
        return ACCEPTED

    link, wire = link_of(handle if how == "at once" else handle_later)
    for id in ("bad", "good"):
        hear(link, id)
    await until(lambda: len(wire.out) == 2)
    assert [message[:3] for message in wire.take()] == [[4, "bad", code], [3, "good", ACCEPTED]]
    assert [(anomaly.reason, anomaly.detail) for anomaly in link.anomalies] == ([("handler", reason)] if reason else [])


# Handlers that take too long


async def test_a_handler_that_hangs_is_cancelled_in_time_and_its_call_refused() -> None:
    ended = asyncio.Event()

    async def handle(called: Called) -> Any:
        if called.id != "hangs":
            return ACCEPTED
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    link, wire = link_of(handle, handler_timeout_s=0.02)
    hear(link, "hangs")
    hear(link, "good")
    await until(lambda: len(wire.out) == 2)
    assert [message[:3] for message in wire.take()] == [[3, "good", ACCEPTED], [4, "hangs", "InternalError"]]
    await until(ended.is_set)
    await until(lambda: not link.tasks)
    assert [anomaly.reason for anomaly in link.anomalies] == ["handler_timeout"]
    assert wire.take() == [], "the end of the handler is no second answer"


async def test_a_handler_that_is_to_go_on_takes_no_place_once_its_call_was_refused() -> None:
    release, done = asyncio.Event(), list[str]()

    async def handle(called: Called) -> Any:
        await release.wait()
        done.append(called.id)
        return ACCEPTED

    class Lasting(Noting):
        def on_suspended(self, called: Called, task: asyncio.Task[Any]) -> bool:
            return called.id.startswith("lasts")

    link, wire = link_of(handle, kind=Lasting, handler_timeout_s=0.005, unanswered=2)
    for n in range(6):
        hear(link, f"lasts{n}")
        await until(lambda n=n: len(wire.out) == n + 1)
    assert {(message[0], message[2]) for message in wire.take()} == {(4, "InternalError")}
    assert [anomaly.reason for anomaly in link.anomalies] == ["handler_timeout"] * 6
    hear(link, "cancelled")
    await until(lambda: wire.out)
    link.closed(1006, "lost")
    release.set()
    await until(lambda: not link.tasks)
    assert done == [f"lasts{n}" for n in range(6)]


async def test_handlers_that_will_not_be_cancelled_are_bounded() -> None:
    release = asyncio.Event()

    async def handle(called: Called) -> Any:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return ACCEPTED

    link, wire = link_of(handle, handler_timeout_s=0.005, unanswered=3)
    for n in range(3):
        hear(link, f"a{n}")
    await until(lambda: len(wire.out) == 3)
    wire.take()
    hear(link, "one more")
    assert [message[:3] for message in wire.take()] == [[4, "one more", "InternalError"]]
    assert link.anomalies[-1].reason == "too_many_calls"
    release.set()
    await until(lambda: not link.tasks)
    assert wire.take() == []
    hear(link, "again")
    assert wire.take() == [[3, "again", ACCEPTED]]


async def test_without_a_limit_a_handler_may_take_its_time_and_outlive_its_connection() -> None:
    gate, done = asyncio.Event(), []

    async def handle(called: Called) -> Any:
        await gate.wait()
        done.append(called.id)
        return ACCEPTED

    link, wire = link_of(handle)
    hear(link, "a")
    link.closed(1006, "lost")
    gate.set()
    await until(lambda: done == ["a"])
    await until(lambda: not link.tasks)
    assert wire.take() == []


async def test_what_a_handler_fails_to_record_after_the_connection_is_gone_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = asyncio.Event()

    async def handle(called: Called) -> Any:
        await gate.wait()
        raise OSError("disk full")

    link, _ = link_of(handle)
    hear(link, "a")
    link.closed(1006, "lost")
    gate.set()
    await until(lambda: link.anomalies)
    assert [(anomaly.reason, anomaly.answered) for anomaly in link.anomalies] == [("handler", False)]
    assert "disk full" in caplog.text


async def test_too_many_calls_at_once_are_refused() -> None:
    link, wire = link_of(lambda called: asyncio.Event().wait(), unanswered=2)
    for id in "abc":
        hear(link, id)
    assert [message[:3] for message in wire.take()] == [[4, "c", "InternalError"]]
    for task in link.tasks:
        task.cancel()
    await until(lambda: not link.tasks)


async def test_a_handler_may_close_the_connection_and_fail() -> None:
    def handle(called: Called) -> Any:
        link.close(1008, "enough")
        raise ValueError

    link, wire = link_of(handle)
    hear(link, "a")
    assert wire.take() == []
    assert wire.closed_with == (1008, "enough")


# Calls to the peer


async def test_a_handler_may_call_the_peer_whose_answer_comes_through() -> None:
    async def handle(called: Called) -> Any:
        answer = await link.call("ClearCache", {})
        return {"status": "Accepted", "data": answer["status"]}

    link, wire = link_of(handle)
    hear(link, "a")
    [call] = wire.take()
    link.received(json.dumps([3, call[1], {"status": "Rejected"}]).encode())
    await until(lambda: wire.out)
    assert wire.take() == [[3, "a", {"status": "Accepted", "data": "Rejected"}]]


async def test_calls_end_as_they_should() -> None:
    link, wire = link_of(never, call_timeout=20_000_000)
    call = asyncio.ensure_future(link.exchange("ClearCache", {}, id="mine"))
    await until(lambda: wire.out)
    assert wire.take() == [[2, "mine", "ClearCache", {}]]
    link.received(b'[3,"mine",{"status":"Accepted"}]')
    assert await call == ("mine", ACCEPTED)

    refused = asyncio.ensure_future(link.call("ClearCache", {}, timeout_s=60))
    await until(lambda: wire.out)
    link.received(json.dumps([4, wire.take()[0][1], "NotSupported", "no", {}]).encode())
    with pytest.raises(CallError, match="NotSupported"):
        await refused

    with pytest.raises(CallTimeout):
        await link.call("ClearCache", {})
    wire.take()
    with pytest.raises(PayloadError):
        await link.call("ClearCache", {"no": "such"})
    invalid = asyncio.ensure_future(link.call("ClearCache", {}, timeout_s=60))
    await until(lambda: wire.out)
    link.received(json.dumps([3, wire.take()[0][1], {"status": "Perhaps"}]).encode())
    with pytest.raises(PayloadError):
        await invalid
    waiting = [asyncio.ensure_future(link.call("ClearCache", {}, timeout_s=60)) for _ in range(3)]
    await until(lambda: wire.out)
    link.closed(1006, "lost")
    for one in waiting:
        with pytest.raises(LinkError):
            await one
    with pytest.raises(LinkError):
        await link.call("ClearCache", {})


async def test_an_urgent_call_goes_before_those_that_wait() -> None:
    link, wire = link_of(never)
    calls = [
        asyncio.ensure_future(work)
        for work in (
            link.call("ClearCache", {}),
            link.call("GetLocalListVersion", {}),
            link.call("UnlockConnector", {"connectorId": 1}),
            link.call("GetConfiguration", {}, priority=Priority.URGENT),
        )
    ]
    order = []
    for _ in calls:
        await until(lambda: wire.out)
        [message] = wire.take()
        order.append(message[2])
        link.received(json.dumps([4, message[1], "GenericError", "", {}]).encode())
    assert order == ["ClearCache", "UnlockConnector", "GetConfiguration", "GetLocalListVersion"]
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_call_given_up_by_its_caller_ends_nothing_else() -> None:
    link, wire = link_of(never)
    first = asyncio.ensure_future(link.call("ClearCache", {}))
    second = asyncio.ensure_future(link.call("ClearCache", {}))
    await until(lambda: wire.out)
    [message] = wire.take()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert wire.take() == [], "the peer owes an answer first"
    link.received(json.dumps([3, message[1], ACCEPTED]).encode())
    [message] = wire.take()
    link.received(json.dumps([3, message[1], ACCEPTED]).encode())
    assert await second == ACCEPTED
    assert [anomaly.reason for anomaly in link.anomalies] == ["late_answer"]


async def test_one_timer_serves_all_deadlines_and_is_gone_with_the_connection() -> None:
    link, wire = link_of(never)
    loop = asyncio.get_running_loop()
    armed = []
    call_later = loop.call_later
    loop.call_later = lambda delay, *rest: armed.append(delay) or call_later(delay, *rest)  # type: ignore[method-assign, assignment, func-returns-value]
    try:
        for _ in range(10):
            call = asyncio.ensure_future(link.call("ClearCache", {}, timeout_s=30))
            await asyncio.sleep(0)
            link.received(json.dumps([3, wire.take()[0][1], ACCEPTED]).encode())
            await call
        assert len(armed) == 1
        short = asyncio.ensure_future(link.call("ClearCache", {}, timeout_s=0.01))
        with pytest.raises(CallTimeout):
            await short
    finally:
        loop.call_later = call_later  # type: ignore[method-assign]
    assert len(armed) <= 3
    last = asyncio.ensure_future(link.call("ClearCache", {}, timeout_s=30))
    await asyncio.sleep(0)
    link.closed(1006, "lost")
    assert link._timer is None
    with pytest.raises(LinkError):
        await last


# 2.1


async def test_a_refused_answer_reaches_the_hook_and_is_counted() -> None:
    link, wire = link_of(lambda called: ACCEPTED, "2.1")
    hear(link, "a")
    wire.take()
    link.received(b'[5,"a","TypeConstraintViolation","what?",{}]')
    assert [(refused.id, refused.action) for refused in link.refused] == [("a", "DataTransfer")]
    assert [anomaly.reason for anomaly in link.anomalies] == ["result_refused"]
    assert link.traffic.errors == 1
    assert wire.take() == []


async def test_who_called_may_refuse_the_result() -> None:
    link, wire = link_of(never, "2.1")
    call = asyncio.ensure_future(link.exchange("ClearCache", {}))
    await until(lambda: wire.out)
    link.received(json.dumps([3, wire.take()[0][1], ACCEPTED]).encode())
    id, _ = await call
    assert link.refuse_result(id, "PropertyConstraintViolation", "not that")
    assert [message[:3] for message in wire.take()] == [[5, id, "PropertyConstraintViolation"]]
    assert not link.refuse_result(id, "GenericError")


async def test_sends_go_out_and_come_in() -> None:
    stream = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}
    link, wire = link_of(never, "2.1")
    link.send("NotifyPeriodicEventStream", stream)
    assert [message[0] for message in wire.take()] == [6]
    link.received(json.dumps([6, "s", "NotifyPeriodicEventStream", stream]).encode())
    assert [notified.payload for notified in link.notified] == [stream]


# Around it


async def test_a_hook_that_fails_costs_no_other_event(caplog: pytest.LogCaptureFixture) -> None:
    link, wire = link_of(lambda called: ACCEPTED)
    link.on_anomaly = lambda anomaly: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    call = asyncio.ensure_future(link.call("ClearCache", {}))
    await until(lambda: wire.out)
    link.received(b"nonsense")
    link.received(json.dumps([3, wire.take()[0][1], {"status": "Perhaps"}]).encode())
    with pytest.raises(PayloadError):
        await call
    hear(link, "a")
    assert wire.take() == [[3, "a", ACCEPTED]]
    assert caplog.text.count("a hook for Anomaly failed") == 2


async def test_a_call_knows_when_it_came() -> None:
    seen: list[Called] = []
    link, _ = link_of(lambda called: seen.append(called) or ACCEPTED)  # type: ignore[func-returns-value]
    before = time.monotonic_ns()
    hear(link, "a")
    assert before <= seen[0].received_ns <= time.monotonic_ns()
    assert json.loads(seen[0].data)[1] == "a"
