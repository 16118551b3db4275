"""Connectors made into one program: configuration, hub, store, ledger, wiring, command line, demonstration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.gateway.config import Config, load, parse
    from evcore.gateway.gateway import Gateway

__all__ = [
    "Config",
    "Gateway",
    "load",
    "parse",
]

__getattr__ = exports(
    __name__,
    {
        "Config": "evcore.gateway.config",
        "Gateway": "evcore.gateway.gateway",
        "load": "evcore.gateway.config",
        "parse": "evcore.gateway.config",
    },
)
__dir__ = listing(__name__)
