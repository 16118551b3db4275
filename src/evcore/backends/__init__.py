"""Connectors to those who run the business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.lazy import exports, listing

if TYPE_CHECKING:
    from evcore.backends.http import HttpBackend
    from evcore.backends.mqtt import MqttBackend
    from evcore.backends.mqtt_source import MqttSource
    from evcore.backends.psp import GenericProvider

__all__ = [
    "GenericProvider",
    "HttpBackend",
    "MqttBackend",
    "MqttSource",
]

__getattr__ = exports(
    __name__,
    {
        "GenericProvider": "evcore.backends.psp",
        "HttpBackend": "evcore.backends.http",
        "MqttBackend": "evcore.backends.mqtt",
        "MqttSource": "evcore.backends.mqtt_source",
    },
)
__dir__ = listing(__name__)
