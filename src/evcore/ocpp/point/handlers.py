"""How a handler of a `ChargePoint` is called: which arguments it wants, found out once for each function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from evcore.ocpp.point.typed import Build, builder, hints_of


@dataclass(frozen=True, slots=True)
class CallContext:
    """Where the arguments of a handler come from.

    id: of the message. version: "1.6", "2.0.1" or "2.1". station: `ChargePoint.id`. raw: the whole message as received.
    repairs: what a lenient codec mended. received: when it came, in UTC. received_ns, answered_ns: monotonic time of
    its arrival, and of our answer (for `@after`; None before).
    """

    id: str
    action: str
    version: str
    station: Any
    raw: bytes
    repairs: tuple[Any, ...]
    received: datetime
    received_ns: int
    answered_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """takes: names of the parameters, None for all. wants_id: `call_unique_id`. context: the parameter for the
    `CallContext`. builders: of the arguments that are wanted typed.
    """

    takes: frozenset[str] | None
    wants_id: bool
    context: str | None
    builders: Mapping[str, Build]

    def arguments(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The payload's part of the arguments."""
        takes = self.takes
        arguments = dict(payload) if takes is None else {name: payload[name] for name in payload if name in takes}
        for name, build in self.builders.items():
            if arguments.get(name) is not None:
                arguments[name] = build(arguments[name])
        return arguments


def plan_of(handler: Callable[..., Any], request: type | None) -> Plan:
    """The plan of a handler. request: `ocpp`'s dataclass of the action, None if it has none."""
    return _plan_of(getattr(handler, "__func__", handler), request)


@lru_cache(maxsize=4096)
def _plan_of(function: Callable[..., Any], request: type | None) -> Plan:
    parameters = inspect.signature(function).parameters
    by_name = {name for name, parameter in parameters.items() if parameter.kind not in _STARRED}
    context = next((name for name, parameter in parameters.items() if _is_context(name, parameter.annotation)), None)
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return Plan(
        takes=None if takes_all else frozenset(by_name - {"call_unique_id", context}),
        wants_id="call_unique_id" in parameters,
        context=context,
        builders=_builders(function, request) if getattr(function, "_typed", False) is True else {},
    )


_STARRED = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def _is_context(name: str, annotation: Any) -> bool:
    """No payload of any version has a member `context` of its own, so the name alone will do."""
    named = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name == "context" or named.rpartition(".")[2] == "CallContext"


def _builders(function: Callable[..., Any], request: type | None) -> dict[str, Build]:
    hints = {} if request is None else hints_of(request)
    wanted = hints_of(inspect.unwrap(function))
    hints.update({name: hint for name, hint in wanted.items() if hint is not Any})
    return {name: build for name, hint in hints.items() if (build := builder(hint)) is not None}
