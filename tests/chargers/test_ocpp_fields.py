"""Each action of each version, each of its fields {removed, of a wrong type, huge, null}, said to a running server over
one connection: the right code for each, the connection lives, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson
import pytest
import websockets

from evcore.ocpp.schemas import VERSIONS, schemas_of
from evcore.ocpp.violations import CODES, spell

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
Schema = dict[str, Any]
CALL, SEND = 2, 6
BEYOND_SCHEMA = ("NotSupported", "PropertyConstraintViolation")  # not offered; no station has so many EVSEs
REMOVED = object()
AT_ONCE = 12  # CALLs that wait for an answer; the server refuses more than 16
TEXTS = {"date-time": "2026-11-23T18:00:00Z", "uri": "https://example.com/x", None: "x"}
WRONG = {"string": 7, "integer": "x", "number": "x", "boolean": "x", "object": "x", "array": "x"}


def full(schema: Schema, *, least: bool = False) -> Any:
    """A valid value with every member there is, one item in each list. least: with the required members only."""
    kind = schema.get("type")
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object":
        names = schema.get("required" if least else "properties", ())
        return {name: full(schema["properties"][name], least=least) for name in names}
    if kind == "array":
        return [full(schema["items"], least=least)] * max(schema.get("minItems", 0), 1)
    if kind == "string":
        return TEXTS[schema.get("format")]
    if kind in ("integer", "number"):
        return int(min(max(1, schema.get("minimum", 1)), schema.get("maximum", 1)))
    return True if kind == "boolean" else "x"


def least_with(schema: Schema, path: tuple[Any, ...]) -> tuple[dict[str, Any], Any]:
    """A valid value with the required members and the one at the path; and what holds that one."""
    value = holder = full(schema, least=True)
    for step in path[:-1]:
        schema = schema["items"] if step == 0 else schema["properties"][step]
        if step != 0 and step not in holder:
            holder[step] = full(schema, least=True)
        holder = holder[step]
    return value, holder


def fields(schema: Schema, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Schema, bool]]:
    """(path, schema, is it required?) of each member at any depth."""
    if schema.get("type") == "array":
        yield from fields(schema["items"], (*path, 0))
    for name, member in schema.get("properties", {}).items():
        yield (*path, name), member, name in schema.get("required", ())
        yield from fields(member, (*path, name))


def huge(schema: Schema) -> tuple[Any, str | None]:
    """A value that is too much, and the rule that forbids it; None: nothing does."""
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return 2**53, "maximum" if "maximum" in schema else None
    if kind == "array":
        items = [full(schema["items"], least=True)] * (schema.get("maxItems", 20) + 1)
        return items, "maxItems" if "maxItems" in schema else None
    if kind == "object":
        value = full(schema, least=True) | {"surplus": "x" * 3000}
        return value, None if schema.get("additionalProperties", True) else "additionalProperties"
    if kind == "boolean":
        return 10**15, "type"
    rule = next((rule for rule in ("enum", "maxLength", "format") if rule in schema), None)
    return "x" * max(schema.get("maxLength", 0) + 1, 3000), rule


def broken(root: Schema) -> Iterator[tuple[str, dict[str, Any], str | None]]:
    """(what, payload, rule that it breaks or None) for each field and each way to break it."""
    yield "whole", full(root), None
    for path, schema, required in fields(root):
        name, typed = ".".join(map(str, path)), "type" if "type" in schema else None
        too_much, rule = huge(schema)
        for what, value, broken in (
            ("removed", REMOVED, "required" if required else None),
            ("of a wrong type", WRONG.get(schema.get("type", ""), 7), typed),
            ("null", None, typed),
            ("huge", too_much, rule),
        ):
            payload, holder = least_with(root, path)
            holder[path[-1]] = value
            if value is REMOVED:
                del holder[path[-1]]
            yield f"{name} {what}", payload, broken


def messages(version: str) -> Iterator[tuple[int, str, str, dict[str, Any], str | None]]:
    """(type, action, what, payload, code or None) of every CALL and SEND of a version."""
    for kind, action in sorted(schemas_of(version).messages):
        if kind != "response":
            schema = schemas_of(version).get(kind, action)
            assert schema is not None
            type = CALL if kind == "request" else SEND
            for what, payload, rule in broken(schema.root):
                yield type, action, what, payload, rule and spell(version, CODES[rule])


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_field_of_every_action_broken_in_each_way_gets_its_code_and_costs_nobody_else(
    csms: Start, wait_until: Until, version: str
) -> None:
    site = await csms(registered=["BAD"], max_message=256 * 1024)
    good = await site.station("GOOD", version=version)
    assert await good.plug_in(1, "T1")
    cases, said, wrong = list(messages(version)), Counter[str](), list[str]()
    socket = await websockets.connect(f"{site.url}/BAD", subprotocols=[f"ocpp{version}"])  # type: ignore[list-item]
    for at in range(0, len(cases), AT_ONCE):
        batch = {f"{at + n}": case for n, case in enumerate(cases[at : at + AT_ONCE])}
        for id, (type, action, _, payload, _) in batch.items():
            await socket.send(orjson.dumps([type, id, action, payload]), text=True)
        await socket.send(f'[2,"after {at}","Heartbeat",{{}}]')
        expected = {id for id, case in batch.items() if case[0] == CALL} | {f"after {at}"}
        answers: dict[str, Any] = {}
        while expected - answers.keys():
            frame = orjson.loads(await asyncio.wait_for(socket.recv(), 8))
            if frame[0] != CALL:  # the server asks as well
                answers[frame[1]] = frame
        assert answers.keys() == expected, "a SEND is never answered"
        assert answers[f"after {at}"][0] == 3, "the connection lives"
        for id in batch.keys() & expected:
            _, action, what, _, code = batch[id]
            got = answers[id][2] if answers[id][0] == 4 else None
            said[str(got)] += 1
            if got != code and not (code is None and got in BEYOND_SCHEMA):
                wrong.append(f"{action}: {what}: expected {code}, got {answers[id][2:]}"[:300])
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:20])
    refused = Counter(case[4] for case in cases if case[4] is not None)
    assert {code: site.errors()[f"payload_{code}"] for code in refused} == refused, "all of it is counted"
    assert said[str(None)] > 0
    await socket.close()
    assert [event.data for event in site.events("protocol.") if event.source != "BAD"] == []
    assert "GOOD" in site.server.connected
    await good.unplug(1)
    await wait_until(lambda: site.events("session.ended"))
