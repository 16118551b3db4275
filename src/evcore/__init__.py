"""evcore: OCPP, Modbus, CAN, MQTT, HTTP and WebSocket for EV charging in one package, the per-message work in C.

`import evcore` loads no protocol library: the rooms below are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "backends",
    "can",
    "chargers",
    "errors",
    "gateway",
    "meters",
    "modbus",
    "model",
    "ocpp",
    "sim",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
