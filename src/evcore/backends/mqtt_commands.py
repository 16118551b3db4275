"""Commands that come in by MQTT: each is asked of the hub, and its answer is the device's own."""

from __future__ import annotations

import asyncio

from paho.mqtt.client import MQTTMessage

from evcore.backends.mqtt_payloads import Request, answer_payload, parse_request
from evcore.backends.mqtt_publisher import Message, Publisher
from evcore.backends.mqtt_topics import Topics
from evcore.model import Answer, Command, Verb
from evcore.ports import Hub

_NAMES = ", ".join(verb.value for verb in Verb)


class Commands:
    """Runs commands beside one another, at most `limit` at once; the tasks live in `group`."""

    def __init__(
        self, hub: Hub, topics: Topics, publisher: Publisher, group: asyncio.TaskGroup, *, limit: int = 100
    ) -> None:
        self._hub, self._topics, self._publisher, self._group = hub, topics, publisher, group
        self._limit = limit
        self._running = 0

    def receive(self, message: MQTTMessage) -> bool:
        """False if the topic is no command. What is wrong with one is counted and answered; nothing is raised."""
        try:
            found = self._topics.parse_command(message.topic)
        except ValueError as error:
            self._refuse("topic", str(error))
            return True
        if found is None:
            return False
        target, name = found
        if message.retain:
            # It would be done again at every reconnect, hours after it was meant.
            self._refuse("retained", message.topic)
            return True
        wanted = getattr(message.properties, "ResponseTopic", "")
        correlation = getattr(message.properties, "CorrelationData", None)
        fallback = self._topics.answer(target, name)
        try:
            request = parse_request(bytes(message.payload))
        except ValueError as error:
            self._refuse("payload", str(error))
            to = wanted if self._topics.may_answer_to(wanted) else fallback
            self._answer(to, correlation, "", Answer("Error", False, f"payload: {error}"))
            return True
        to = wanted or request.reply_to or fallback
        if not self._topics.may_answer_to(to):
            self._refuse("reply_to", to)
            reason = "the answer may not go there: no wildcards, and below evcore/ only to .../rsp/..."
            self._answer(fallback, correlation, request.id, Answer("Error", False, reason))
            return True
        self._start(target, name, request, to, correlation)
        return True

    def _start(self, target: str, name: str, request: Request, to: str, correlation: bytes | None) -> None:
        if name not in Verb.__members__.values():
            self._refuse("verb", name)
            self._answer(to, correlation, request.id, Answer("NotSupported", False, f"no such command; it is {_NAMES}"))
        elif self._running >= self._limit:
            self._hub.count("evcore_mqtt_refused_total", reason="busy")
            reason = f"{self._limit} commands wait for their answers already"
            self._answer(to, correlation, request.id, Answer("Error", False, reason))
        else:
            self._running += 1
            command = Command(target, Verb(name), request.args, request.id)
            self._group.create_task(self._run(command, to, correlation), name=f"mqtt {name} {target}")

    async def _run(self, command: Command, to: str, correlation: bytes | None) -> None:
        try:
            answer = await self._hub.command(command)
            self._answer(to, correlation, command.id, answer)
        finally:
            self._running -= 1

    def _answer(self, to: str, correlation: bytes | None, id: str, answer: Answer) -> None:
        self._publisher.add(Message(to, answer_payload(id, answer), correlation=correlation))

    def _refuse(self, reason: str, detail: str) -> None:
        self._hub.traffic("mqtt").errors += 1
        self._hub.count("evcore_mqtt_refused_total", reason=reason)
