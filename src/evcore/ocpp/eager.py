"""The first step of a coroutine at once, in the caller's turn; a task goes on with it only if it suspends.

Most handlers never suspend, and a task costs more than all else that is done for a message. Yet code in the first step
may ask for the current task: `asyncio.timeout`, `TaskGroup` and locks keep it, so that it must be the task that goes on
later. Python 3.12 has eager tasks for this, at the price of a task each time; 3.11 has none. Here a task stands ready
whose coroutine is a `Carrier`. While a first step runs it is the current task, in its own context; when the step ends
the coroutine, the same task stands ready for the next one; when it suspends, the task carries it on and is replaced.
What happens to the task meanwhile, such as a cancellation, happens to the coroutine, as if the task had run it from the
start. A task that stands ready is in no list of `asyncio.all_tasks`, and nothing waits for it.

`asyncio.tasks._enter_task` and the other three are what asyncio's documentation offers to those who write tasks of
their own; they are there in every version from 3.7 on.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task, _register_task, _unregister_task
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any


class Carrier(Coroutine[Any, Any, Any]):
    """The coroutine of a task that is there before its work is."""

    __slots__ = ("_coro", "_handing", "_ready", "_waits_for", "context", "loop", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.context = loop, copy_context()
        self._coro: Coroutine[Any, Any, Any] | None = None
        self._waits_for: Any = None  # what the coroutine yielded in its first step: a future, or None for sleep(0)
        self._handing = False  # the task has not been given that yet
        self._ready: Any = loop.create_future()
        self.task: asyncio.Task[Any] = asyncio.Task(self, loop=loop, context=self.context)
        _unregister_task(self.task)
        self.task._log_destroy_pending = False  # type: ignore[attr-defined]

    @property
    def is_fresh(self) -> bool:
        """Nobody has cancelled the task."""
        task: Any = self.task
        return not (self._ready.done() or task._must_cancel)

    def carry(self, coro: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        """Go on with a coroutine that suspended in its first step."""
        self._coro, self._waits_for, self._handing = coro, waits_for, True
        self.task._log_destroy_pending = True  # type: ignore[attr-defined]
        _register_task(self.task)
        if not self._ready.done():  # cancelled in that first step
            self._ready.set_result(None)

    # For the task

    def send(self, value: Any) -> Any:
        if self._coro is None:
            self._ready._asyncio_future_blocking = True  # as `await` does
            return self._ready
        if self._handing:
            self._handing, waits_for, self._waits_for = False, self._waits_for, None
            return waits_for
        return self._coro.send(value)

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        if self._coro is None:
            raise error
        if self._handing:
            self._handing, waits_for, self._waits_for = False, self._waits_for, None
            # Task.cancel cancels what is waited for, and the coroutine hears of it from there
            if isinstance(error, asyncio.CancelledError) and asyncio.isfuture(waits_for):
                if waits_for.cancel(*error.args):
                    return waits_for
                waits_for._asyncio_future_blocking = False
        return self._coro.throw(error)

    def close(self) -> None:
        if self._coro is not None:
            self._coro.close()

    def __await__(self) -> Any:
        raise TypeError("a carrier belongs to its task")

    @property
    def cr_frame(self) -> Any:
        """For Task.get_stack and Task.print_stack."""
        return getattr(self._coro, "cr_frame", None)


# One is enough: it is in use only while a first step runs. Loops of several threads take it from one another, which
# costs a new one; none uses another loop's.
_spare: Carrier | None = None


def first_step(
    coro: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop | None = None
) -> tuple[Any, asyncio.Task[Any] | None]:
    """Run a coroutine until it ends or suspends: (its result, None), or (None, the task that goes on with it).

    Keep a reference to the task. loop: the running one, if the caller knows it: to find it costs 3.11 a system call.
    Raises what the coroutine raises in its first step.
    """
    global _spare
    loop = asyncio.get_running_loop() if loop is None else loop
    carrier, _spare = _spare, None
    if carrier is None or carrier.loop is not loop or carrier.context != copy_context():
        carrier = Carrier(loop)  # the last user changed the context, or ours is another one
    outer = asyncio.current_task(loop)
    if outer is not None:
        _leave_task(loop, outer)
    _enter_task(loop, carrier.task)
    try:
        waits_for = carrier.context.run(coro.send, None)
    except BaseException as end:
        if carrier.is_fresh:
            _spare = carrier
        if isinstance(end, StopIteration):
            return end.value, None
        raise
    else:
        carrier.carry(coro, waits_for)
        return None, carrier.task
    finally:
        _leave_task(loop, carrier.task)
        if outer is not None:
            _enter_task(loop, outer)
