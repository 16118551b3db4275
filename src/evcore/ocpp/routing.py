"""Which method of a `ChargePoint` answers which CALL: the decorators of mobilityhouse's `ocpp.routing`, and one more
wish.

Handlers marked by `ocpp.routing` itself are found as well, so that moving can begin with the class alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["after", "create_route_map", "on"]

Function = TypeVar("Function", bound=Callable[..., Any])


def on(action: str, *, skip_schema_validation: bool = False, typed: bool = False) -> Callable[[Function], Function]:
    """Answer the CALLs of `action` (a string or an `Action` of `ocpp`) with this method, `def` or `async def`.

    It gets the members of the payload as keyword arguments in snake case, only those that it names unless it has
    `**kwargs`; with a parameter `call_unique_id` the message id too, with one called `context` or annotated
    `CallContext` that. It returns the answer: a dataclass of `ocpp`'s `call_result`, a mapping, or None for an empty
    one. An `OCPPError` or `evcore.errors.CallError` that it raises becomes the CALLERROR, any other exception
    InternalError.

    skip_schema_validation: neither the payload nor the answer needs to be valid. typed: nested values arrive as what
    the parameter is annotated with, or else as what `ocpp`'s `call` dataclass says: dataclasses, enums, lists of them.
    """

    def mark(function: Function) -> Function:
        function._on_action = action  # type: ignore[attr-defined]
        function._skip_schema_validation = skip_schema_validation  # type: ignore[attr-defined]
        function._typed = typed  # type: ignore[attr-defined]
        return function

    return mark


def after(action: str, *, inject_response: bool = False, typed: bool = False) -> Callable[[Function], Function]:
    """Run this method after a CALL of `action` was answered, with the same arguments as `on`.

    inject_response: the answer that was given is the argument `call_response`. What it returns is not used; what it
    raises is logged. Its tasks are kept until they end.
    """

    def mark(function: Function) -> Function:
        function._after_action = action  # type: ignore[attr-defined]
        function._inject_response = inject_response  # type: ignore[attr-defined]
        function._typed = typed  # type: ignore[attr-defined]
        return function

    return mark


def create_route_map(obj: Any) -> dict[str, dict[str, Any]]:
    """The handlers of an object: action -> `_on_action`, `_after_action` and `_skip_schema_validation`, as far as there
    are any. What is defined later wins, the class before its bases, the object itself before its class. No property is
    read.
    """
    routes: dict[str, dict[str, Any]] = {}
    found: dict[str, Any] = {}
    for members in (*map(vars, reversed(type(obj).__mro__)), getattr(obj, "__dict__", {})):
        for name, value in members.items():
            found.pop(name, None)  # what is defined anew is later, also under an old name
            found[name] = value
    for name, value in found.items():
        if not callable(value) and not isinstance(value, (staticmethod, classmethod)):
            continue
        for mark in ("_on_action", "_after_action"):
            action = _mark(value, mark)
            if action is None:
                continue
            route = routes.setdefault(action, {})
            route[mark] = getattr(obj, name)
            if mark == "_on_action":
                route["_skip_schema_validation"] = bool(_mark(value, "_skip_schema_validation"))
    return routes


def _mark(value: Any, name: str) -> Any:
    """What a decorator left on a function; a mock, which has every attribute, has none of these."""
    mark = getattr(value, "__dict__", {}).get(name)
    return mark if mark is None or isinstance(mark, (str, bool)) else None
