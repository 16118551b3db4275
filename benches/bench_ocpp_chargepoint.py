"""A CALL through `route_message` of a ChargePoint: read, judged, handled by a `def` method, its answer judged and sent.

mobilityhouse_threads is 2.1.0 as it comes, which judges in worker threads; mobilityhouse has that turned off, which is
faster. mobilityhouse_accelerated is the same class after `evcore.ocpp.accelerate()`. The connection only counts what it
is given.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from itertools import count
from typing import Any

import pytest
from ocpp import messages
from ocpp import routing as their_routing
from ocpp_messages import MESSAGES

from evcore.ocpp import accelerate, routing

BATCH = 20  # messages in one timing, so that the loop's own start and end do not count
MODULES = {"1.6": "v16", "2.0.1": "v201"}


class Counting:
    def __init__(self) -> None:
        self.answers = 0

    async def send(self, text: str) -> None:
        self.answers += text.startswith("[3,")


def point_of(contestant: str, version: str, action: str) -> tuple[Any, Counting]:
    ours = contestant == "evcore"
    module = importlib.import_module(f"{'evcore.' if ours else ''}ocpp.{MODULES[version]}")
    mark = (routing if ours else their_routing).on
    answers = module.call_result
    given = {"current_time": "2026-11-23T18:00:00Z"} if action == "Heartbeat" else {}

    def handle(self: Any, **payload: Any) -> Any:
        return getattr(answers, action)(**given)

    handle.__name__ = f"on_{action}"
    connection = Counting()
    return type("Point", (module.ChargePoint,), {handle.__name__: mark(action)(handle)})("CP", connection), connection


@pytest.mark.parametrize(
    "contestant", ["evcore", "mobilityhouse", "mobilityhouse_threads", "mobilityhouse_accelerated"]
)
@pytest.mark.parametrize("work", MESSAGES)
def test_route_message(benchmark: Any, monkeypatch: pytest.MonkeyPatch, work: str, contestant: str) -> None:
    benchmark.group = f"ocpp ChargePoint, {BATCH} messages: {work}"
    version, (kind, _, action, payload) = MESSAGES[work]
    restore = accelerate() if contestant == "mobilityhouse_accelerated" else lambda: None
    monkeypatch.setattr(messages, "ASYNC_VALIDATION", contestant == "mobilityhouse_threads")
    point, connection = point_of(contestant, version, action)
    numbers = count()

    def texts() -> tuple[tuple[list[str]], dict[str, Any]]:
        """An id is never used twice: evcore would give its answer again."""
        return ([json.dumps([kind, f"message {next(numbers)}", action, payload]) for _ in range(BATCH)],), {}

    async def route(batch: list[str]) -> None:
        for text in batch:
            await point.route_message(text)

    with asyncio.Runner() as runner:
        runner.run(route(*texts()[0]))
        assert connection.answers == BATCH
        benchmark.pedantic(lambda batch: runner.run(route(batch)), setup=texts, rounds=60, warmup_rounds=5)
        assert connection.answers >= BATCH * 60
    monkeypatch.undo()
    restore()
