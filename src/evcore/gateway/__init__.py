"""Connectors made into one program: configuration, hub, store, ledger, wiring, command line, demonstration."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.gateway.config import Config as Config
    from evcore.gateway.config import load as load
    from evcore.gateway.config import parse as parse
    from evcore.gateway.gateway import Gateway as Gateway

_WHERE = {
    "Config": "evcore.gateway.config",
    "Gateway": "evcore.gateway.gateway",
    "load": "evcore.gateway.config",
    "parse": "evcore.gateway.config",
}


def __getattr__(name: str) -> Any:
    """On first use, so that nobody pays for a library that he does not use."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
