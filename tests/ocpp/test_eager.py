"""The first step of a coroutine runs at once, and nothing can tell it from a task's."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from evcore.ocpp.eager import first_step

COLOUR = contextvars.ContextVar("COLOUR", default="none")


async def run(coro: Coroutine[Any, Any, Any]) -> Any:
    """Its result, whether it suspends or not."""
    result, task = first_step(coro)
    return result if task is None else await task


async def test_what_does_not_suspend_ends_at_once_and_needs_no_task_of_its_own() -> None:
    seen = []

    async def work(n: int) -> int:
        seen.append(asyncio.current_task())
        return n

    assert [first_step(work(n)) for n in range(3)] == [(0, None), (1, None), (2, None)]
    assert seen[0] is seen[1] is seen[2]
    assert seen[0] is not asyncio.current_task(), "ours is back"
    assert seen[0] not in asyncio.all_tasks()


async def test_what_suspends_goes_on_as_the_task_that_it_began_in() -> None:
    seen = []

    async def work() -> str:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())
        return "done"

    _, task = first_step(work())
    assert task is not None
    assert task in asyncio.all_tasks()
    assert len(seen) == 1
    assert await task == "done"
    assert seen == [task] * 3
    _, other = first_step(work())
    assert other is not task
    assert await (other or task) == "done"


async def test_an_error_comes_out_where_it_happens() -> None:
    async def fail(after: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        raise KeyError("broken")

    with pytest.raises(KeyError):
        first_step(fail(0))
    with pytest.raises(KeyError):
        await run(fail(2))
    assert first_step(asyncio.sleep(0, "fine"))[1] is not None


async def test_a_timeout_that_begins_in_the_first_step_ends_the_right_coroutine() -> None:
    async def slow() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            current = asyncio.current_task()
            assert current is not None
            assert current.cancelling() == 0
            return "timed out"
        return "never"

    async def quick() -> str:
        async with asyncio.timeout(0.01):  # noqa: ASYNC100 - that it ends before its first await is the point
            return "quick"

    assert await run(quick()) == "quick"
    tasks = [first_step(slow())[1] for _ in range(3)]
    assert await run(quick()) == "quick"
    assert [await task for task in tasks if task is not None] == ["timed out"] * 3
    await asyncio.sleep(0.02)
    assert await run(quick()) == "quick", "its timer is gone"


async def test_a_timeout_of_no_time_at_all_ends_it_at_its_first_await() -> None:
    async def work() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(10)
        return "done"

    assert await run(work()) == "done"


async def test_a_task_group_opened_in_the_first_step_works_and_its_failure_too() -> None:
    async def child(n: int) -> int:
        await asyncio.sleep(0)
        if n < 0:
            raise ValueError(n)
        return n

    async def work(*numbers: int) -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(n)) for n in numbers]
        return sum(task.result() for task in tasks)

    assert await run(work(1, 2, 3)) == 6
    with pytest.raises(ExceptionGroup):
        await run(work(1, -2, 3))


async def test_a_lock_held_over_the_first_step_is_held_by_the_same_task() -> None:
    lock, order = asyncio.Lock(), []

    async def work(n: int) -> None:
        async with lock:
            order.append(n)
            await asyncio.sleep(0)
            order.append(n)

    tasks = [first_step(work(n))[1] for n in range(3)]
    await asyncio.gather(*(task for task in tasks if task is not None))
    assert order == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancellation_reaches_it_through_what_it_waits_for_at_any_time(turns: int) -> None:
    inner = asyncio.get_running_loop().create_future()
    heard: list[Any] = []

    async def work() -> None:
        try:
            await inner
        except asyncio.CancelledError as error:
            heard.append(error.args)
            raise

    _, task = first_step(work())
    assert task is not None
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inner.cancelled(), "as asyncio does it"
    assert len(heard) == 1
    assert task.cancelled()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("warm", [False, True])
async def test_a_cancellation_that_is_swallowed_leaves_it_running(turns: int, warm: bool) -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "still here"
        return "never"

    if warm:  # the spare task has begun to wait
        await run(asyncio.sleep(0))
        first_step(_nothing())
        await asyncio.sleep(0)
    _, task = first_step(work())
    assert task is not None
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    assert await task == "still here"


@pytest.mark.parametrize("warm", [False, True])
async def test_who_cancels_himself_is_cancelled_at_his_next_await_and_nobody_else_is(warm: bool) -> None:
    async def work(suspends: bool) -> str:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        if suspends:
            await asyncio.sleep(0)
        return "done"

    if warm:
        first_step(_nothing())
        await asyncio.sleep(0)
    assert await run(work(False)) == "done"
    assert await run(_nothing()) is None
    await asyncio.sleep(0)
    assert await run(asyncio.sleep(0, "unharmed")) == "unharmed"
    with pytest.raises(asyncio.CancelledError):
        await run(work(True))
    assert await run(asyncio.sleep(0, "unharmed")) == "unharmed"


async def test_a_future_that_is_done_before_the_task_takes_over_is_not_missed() -> None:
    future = asyncio.get_running_loop().create_future()

    async def work() -> Any:
        return await future

    _, task = first_step(work())
    future.set_result("at once")
    assert task is not None
    assert await task == "at once"


async def test_context_variables_stay_with_their_coroutine() -> None:
    COLOUR.set("outer")
    seen = []

    async def paint(colour: str, suspends: bool) -> str:
        seen.append(COLOUR.get())
        COLOUR.set(colour)
        if suspends:
            await asyncio.sleep(0)
        return COLOUR.get()

    assert [await run(paint(f"c{n}", n % 2 == 0)) for n in range(4)] == ["c0", "c1", "c2", "c3"]
    assert seen == ["outer"] * 4
    assert COLOUR.get() == "outer"
    COLOUR.set("changed")
    assert await run(paint("x", False)) == "x"
    assert seen[-1] == "changed"


async def test_one_first_step_may_run_inside_another() -> None:
    async def inner() -> Any:
        return asyncio.current_task()

    async def outer() -> bool:
        own = asyncio.current_task()
        other, _ = first_step(inner())
        return own is not other and asyncio.current_task() is own

    assert await run(outer()) is True


async def test_it_works_without_a_current_task_as_in_a_callback_of_the_loop() -> None:
    loop = asyncio.get_running_loop()
    results = loop.create_future()

    def callback() -> None:
        assert asyncio.current_task() is None
        before = first_step(_nothing())
        results.set_result((before, first_step(asyncio.sleep(0, "later")), asyncio.current_task()))

    loop.call_soon(callback)
    before, (_, task), current = await results
    assert before == (None, None)
    assert current is None
    assert await task == "later"


async def test_a_coroutine_that_yields_nonsense_is_told_so_as_in_a_task() -> None:
    class Nonsense:
        def __await__(self) -> Any:
            yield 42

    async def work() -> None:
        await Nonsense()

    with pytest.raises(RuntimeError, match="42"):
        await run(work())


async def test_the_stack_of_a_hung_one_can_be_seen() -> None:
    async def hung() -> None:
        await asyncio.Event().wait()

    _, task = first_step(hung())
    assert task is not None
    assert [frame.f_code.co_name for frame in task.get_stack()] == ["hung"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_loop_that_ends_leaves_nothing_behind_to_complain_about(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> Any:
        first_step(_nothing())
        await asyncio.sleep(0)
        return asyncio.current_task()

    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        asyncio.run(main())
    gc.collect()
    assert caplog.records == []


async def _nothing() -> None:
    return None
