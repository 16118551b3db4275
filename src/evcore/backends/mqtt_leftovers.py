"""After a restart: what this node left retained as online, and nobody here knows, is told to be offline."""

from __future__ import annotations

import asyncio

from paho.mqtt.client import MQTTMessage

from evcore.backends.mqtt_loop import Connection
from evcore.backends.mqtt_payloads import leftover
from evcore.backends.mqtt_publisher import Message, Publisher
from evcore.backends.mqtt_topics import Topics
from evcore.ports import Hub

_SWEEP_S = 10.0
_LIMIT = 20_000


class Leftovers:
    """A retained value is never deleted at a restart, or screens would lose their stations; but it must not lie."""

    def __init__(self, hub: Hub, topics: Topics, node: str, publisher: Publisher) -> None:
        self._hub, self._topics, self._node, self._publisher = hub, topics, node, publisher
        self._found = 0
        self._done = False

    async def sweep(self, connection: Connection) -> None:
        """Once a run, on the first connection that lasts: read what the broker keeps."""
        if not self._done:
            connection.subscribe([self._topics.all_status], qos=0)
            await asyncio.sleep(_SWEEP_S)
            connection.unsubscribe(self._topics.all_status)
            self._done = True

    def receive(self, message: MQTTMessage) -> bool:
        """False if the message is no status of a device."""
        id = self._topics.parse_status(message.topic)
        if id is None:
            return False
        if not message.retain or self._found >= _LIMIT:
            return True
        if all(self._hub.last(f"{kind}/{id}") is None for kind in ("charger", "meter", "vehicle")):
            payload = leftover(bytes(message.payload), self._node)
            if payload is not None:
                self._found += 1
                self._publisher.add(Message(message.topic, payload, retain=True))
        return True
