"""The process around a gateway: event loop, signals, and an end that comes in any case."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

GRACE_S = 5.0  # after the time that a stop may take
_log = logging.getLogger("evcore.gateway")


def run_until_signal(
    run: Callable[[], Coroutine[Any, Any, None]], stop: Callable[[], None], *, patience_s: float
) -> None:
    """Run `run()` on a fast event loop. SIGTERM and SIGINT call `stop`; the second of them ends the process at once,
    and so does a `run` that has not returned `patience_s` + 5 s after the first (exit code 1). Raises what `run`
    raises."""
    calm_collector()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        loop = runner.get_loop()
        ending = False

        def asked() -> None:
            nonlocal ending
            if ending:
                _end_now("a second signal")
            ending = True
            last = threading.Timer(patience_s + GRACE_S, _end_now, ["it hangs"])
            last.daemon = True
            last.start()
            stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, asked)
        runner.run(run())


def calm_collector() -> None:
    """Have Python look for cyclic garbage less often: it looks at everything each time it has grown by a quarter, which
    with 10 000 stations stops all of them for 0.2 s, several times while they connect. Almost nothing here is freed by
    it. What there is already is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2000, 20, 20)  # everything: after 800 000 objects more than were freed


def _end_now(reason: str) -> None:
    """What was answered to anybody is on disk already."""
    _log.error("ended at once: %s", reason)
    os._exit(1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
