"""evcore: OCPP, Modbus, CAN, MQTT, HTTP and WebSocket for EV charging in one package, the per-message work in C.

`import evcore` loads no protocol library: the rooms below are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore import backends, can, chargers, errors, gateway, meters, modbus, model, ocpp, sim

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


__getattr__ = exports(__name__, {name: f"{__name__}.{name}" for name in __all__[1:]})
__dir__ = listing(__name__)
