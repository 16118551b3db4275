"""The JSON of each topic, both ways. What goes out is `model.wire`; what comes in is checked field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from evcore.model import Answer, Event, Sample, Session, State, wire
from evcore.ports import Fact

_FIELDS = {"id", "args", "reply_to"}


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body, default=_other)
    except TypeError:  # integers of more than 64 bits, lone surrogates, keys that are no text: told all the same
        return json.dumps(body, default=_near, skipkeys=True).encode()


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value)) if value.is_finite() else None
    return str(value)


def _near(value: Any) -> Any:
    """json has no way to write a Decimal as a number."""
    return float(value) if isinstance(value, Decimal) and value.is_finite() else str(value)


def sample_payload(sample: Sample, *, held_back: bool = False) -> bytes:
    """held_back: it waited for the broker, so it says `"replay": true`."""
    body = wire(sample)
    if held_back:
        body["replay"] = True
    return _encode(body)


def state_payload(state: State, node: str) -> bytes:
    """With the node that tells it. A session's token starts charging for whoever knows it, and a retained message is
    for every later reader: it is left out here and stands in the events alone."""
    body = wire(state)
    if isinstance(state, Session):
        body.pop("token", None)
    body["node"] = node
    return _encode(body)


def event_payload(event: Event) -> bytes:
    return _encode(wire(event))


def fact_payload(fact: Fact) -> bytes:
    """As an event, with `data` = what it tells (a session) and `fact` = its number: the same when it is told again, so
    that a reader can drop the repeat."""
    body = {
        "source": fact_source(fact),
        "kind": fact.kind,
        "evse": fact.body.get("evse", 0),
        "session": fact.order_key,
        "data": fact.body,
        "fact": fact.id,
    }
    return _encode(body)


def fact_source(fact: Fact) -> str:
    """The station that a fact is about."""
    station = fact.body.get("station")
    return station if isinstance(station, str) and station else fact.order_key


def leftover(payload: bytes, node: str) -> bytes | None:
    """The retained `status` of a station that this node left as online: the same, offline. None for any other."""
    try:
        body = orjson.loads(payload)
    except ValueError:
        return None
    if not isinstance(body, dict) or body.get("node") != node or body.get("online") is not True:
        return None
    return _encode({**body, "online": False})


def answer_payload(id: str, answer: Answer) -> bytes:
    return _encode({"id": id, **wire(answer)})


@dataclass(frozen=True, slots=True)
class Request:
    """The payload of a command: `{"id": ..., "args": {...}, "reply_to": topic}`, each of them optional."""

    id: str
    args: Mapping[str, Any]
    reply_to: str


def parse_request(payload: bytes) -> Request:
    """An empty payload is a command without arguments. Raises ValueError with what is wrong."""
    body = orjson.loads(payload) if payload else {}
    if not isinstance(body, dict):
        raise ValueError(f"expected a JSON object, got {type(body).__name__}")
    unknown = sorted(body.keys() - _FIELDS)
    if unknown:
        raise ValueError(f"expected only id, args, reply_to; got {unknown[0][:40]!r}")
    id, args, reply_to = body.get("id", ""), body.get("args", {}), body.get("reply_to", "")
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    for name, value, kind in (("id", id, str), ("args", args, dict), ("reply_to", reply_to, str)):
        if not isinstance(value, kind):
            raise ValueError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return Request(id, args, reply_to)
