"""What `ChargePoint.call` takes: the dataclass of a CALL, of the version that is spoken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from evcore.ocpp.schemas import schemas_of

_MODULES = {"1.6": "ocpp.v16.call", "2.0.1": "ocpp.v201.call", "2.1": "ocpp.v21.call"}


def check_payload(payload: Any, version: str) -> None:
    """Raises TypeError for what is no instance of a dataclass, and for one that `ocpp` has for something else: another
    version, an answer, a part of a payload. A dataclass of the user's own is none of these, nor is a mapping whose
    class has the name of an action."""
    expected = f"payload: expected an instance of a dataclass such as {_MODULES[version]}.Heartbeat"
    if isinstance(payload, type):
        raise TypeError(f"{expected}, got the class {payload.__qualname__} itself")
    kind = type(payload)
    if not dataclasses.is_dataclass(kind) and not (isinstance(payload, Mapping) and _is_action(kind.__name__, version)):
        raise TypeError(f"{expected}, got {'None' if payload is None else kind.__qualname__}")
    home = next((cls.__module__ for cls in kind.__mro__ if cls.__module__.startswith("ocpp.v")), _MODULES[version])
    if home != _MODULES[version]:
        raise TypeError(f"payload: expected a dataclass of {_MODULES[version]}, got {home}.{kind.__qualname__}")


def _is_action(name: str, version: str) -> bool:
    messages = schemas_of(version).messages
    return ("request", name) in messages or ("send", name) in messages
