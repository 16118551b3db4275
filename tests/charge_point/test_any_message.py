"""Whatever a peer sends costs that message only: nothing is raised, and the next CALL is answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.ocpp import v16, v21, v201
from evcore.ocpp.routing import after, on
from evcore.ocpp.schemas import schemas_of

VERSIONS = {"1.6": v16, "2.0.1": v201, "2.1": v21}
NOW = "2026-11-23T18:00:00Z"
numbers = itertools.count()


@pytest.fixture(autouse=True)
def quiet():
    """Each broken message is a line in the log."""
    logging.getLogger("ocpp").disabled = True
    yield
    logging.getLogger("ocpp").disabled = False


def handlers(module, version):
    """A handler that does little for every action, a coroutine for every second one."""
    members = {}
    for number, (kind, action) in enumerate(sorted(schemas_of(version).messages)):
        if kind == "response" or action == "Heartbeat":
            continue

        async def handle(self, **payload):
            await asyncio.sleep(0)

        members[f"on_{action}"] = on(action, typed=number % 3 == 0)(handle if number % 2 else lambda self, **_: None)
        members[f"after_{action}"] = after(action)(lambda self, **payload: None)

    async def on_heartbeat(self):
        return module.call_result.Heartbeat(current_time=NOW)

    members["on_heartbeat"] = on("Heartbeat")(on_heartbeat)
    return members


POINTS = {
    version: type("Point", (module.ChargePoint,), handlers(module, version)) for version, module in VERSIONS.items()
}

ACTIONS = sorted({action for version in VERSIONS for _, action in schemas_of(version).messages})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
IDS = st.sampled_from(["1", "2", "", "x" * 40]) | JSON
CALLS = st.tuples(st.sampled_from([2, 6]), st.uuids().map(str), st.sampled_from(ACTIONS), JSON)
FRAMES = st.lists(JSON, max_size=6) | st.tuples(st.integers(0, 8), IDS, JSON, JSON, JSON) | CALLS
MESSAGES = FRAMES.map(json.dumps) | st.text(max_size=40) | st.binary(max_size=40)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=80, deadline=None)
@given(messages=st.lists(MESSAGES, min_size=1, max_size=5), waits=st.booleans())
def test_any_message_costs_itself_only(version, messages, waits):
    async def talk():
        sent = []

        class Connection:
            async def send(self, text):
                sent.append(json.loads(text))

        module = VERSIONS[version]
        point = POINTS[version]("CP", Connection(), response_timeout=30)
        asking = asyncio.ensure_future(point.call(module.call.ClearCache(), unique_id="1")) if waits else None
        await asyncio.sleep(0)
        for message in messages:
            await point.route_message(message)
        id = f"last {next(numbers)}"
        await point.route_message(json.dumps([2, id, "Heartbeat", {}]))
        await point.settle()
        assert [3, id, {"currentTime": NOW}] in sent
        if asking is not None:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(talk())
