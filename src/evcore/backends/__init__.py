"""Connectors to those who run the business."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evcore.backends.http import HttpBackend as HttpBackend
    from evcore.backends.mqtt import MqttBackend as MqttBackend
    from evcore.backends.mqtt_source import MqttSource as MqttSource

_WHERE = {
    "HttpBackend": "evcore.backends.http",
    "MqttBackend": "evcore.backends.mqtt",
    "MqttSource": "evcore.backends.mqtt_source",
}


def __getattr__(name: str) -> Any:
    """On first use, so that nobody pays for a library that he does not use."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
