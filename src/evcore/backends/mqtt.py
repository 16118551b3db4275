"""The MQTT backend: the site's states, values, events and commands on any broker. Topics and payloads: docs/mqtt.md."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import MQTTMessage

from evcore.backends.mqtt_commands import Commands
from evcore.backends.mqtt_delay import Delay, DelaySummary
from evcore.backends.mqtt_facts import Facts
from evcore.backends.mqtt_leftovers import Leftovers
from evcore.backends.mqtt_loop import BrokerRefused, Connection, Options, connect
from evcore.backends.mqtt_publisher import Message, Publisher
from evcore.backends.mqtt_source import MqttSource
from evcore.backends.mqtt_topics import Topics
from evcore.errors import ConfigError, LinkError, PayloadError
from evcore.model import Health
from evcore.ports import Hub, Outbox

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_YIELD_EVERY = 200
_log = logging.getLogger("evcore.mqtt")


@dataclass(frozen=True, slots=True)
class _Run:
    """What lives as long as one `run`."""

    hub: Hub
    publisher: Publisher
    commands: Commands
    facts: Facts | None
    leftovers: Leftovers


class MqttBackend:
    """One broker. Runs on the event loop without threads, reconnects by itself, and nothing it does can stop the site.

    url: mqtt://host[:port] or mqtts://host[:port]. site_id, node: the topics' root and this gateway below it (default:
    the host's name); a node id must be in use once, since a broker hangs up on the older of two equal clients.
    outbox: facts that must arrive; outbox_kinds: how the kinds begin that it tells of. All other events come from the
    hub and do not survive a restart. sources: topics of other devices to take in as samples. tls: own SSLContext
    (default for mqtts: the system's certificates). protocol: "auto" is MQTT 5, or 3.1.1 where the broker does not know
    5. window: QoS 1 messages at once. expiry_s: a sample that a reader has not taken for so long is dropped by the
    broker (MQTT 5). ring: samples kept while the broker is away, the oldest go first. timeout_s: for each of address,
    TCP, TLS and CONNACK. retry_s: shortest and longest pause between attempts; refused_retry_s: the pause after wrong
    credentials. Raises ConfigError.

    connected: set while the broker has us and sends us commands.
    """

    def __init__(
        self,
        url: str = "mqtt://127.0.0.1:1883",
        *,
        site_id: str = "site",
        node: str = "",
        outbox: Outbox | None = None,
        outbox_kinds: Sequence[str] = ("session.",),
        sources: Sequence[MqttSource] = (),
        name: str = "mqtt",
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        client_id: str = "",
        protocol: Literal["auto", "5", "3.1.1"] = "auto",
        keepalive_s: int = 30,
        timeout_s: float = 10.0,
        retry_s: tuple[float, float] = (1.0, 60.0),
        refused_retry_s: float = 60.0,
        window: int = 50,
        expiry_s: int = 120,
        ring: int = 10_000,
    ) -> None:
        _check_ranges(
            protocol=protocol,
            keepalive_s=keepalive_s,
            timeout_s=timeout_s,
            retry_s=retry_s,
            refused_retry_s=refused_retry_s,
            window=window,
            expiry_s=expiry_s,
            ring=ring,
        )
        self.name = name
        self.connected = asyncio.Event()
        node = node or socket.gethostname()
        self.topics = Topics(site_id, node)
        self._node = node
        self._options = _options(url, username, password, tls)
        self._options.client_id = client_id or f"evcore-{site_id}-{node}"
        self._options.protocol, self._options.keepalive_s = protocol, keepalive_s
        self._options.timeout_s = timeout_s
        # A stable client id: the broker drops a half-dead connection of ours, and tells its will, before we are back.
        self._options.will = (self.topics.status, b"offline")
        self._retry_s, self._refused_retry_s = retry_s, refused_retry_s
        self._window, self._expiry_s, self._ring = window, expiry_s, ring
        self._outbox, self._outbox_kinds = outbox, tuple(outbox_kinds)
        self._sources: dict[str, list[MqttSource]] = {}
        for source in sources:
            if source.topic.startswith(self.topics.root + "/"):
                raise ConfigError("mqtt", "sources.topic", f"a topic outside {self.topics.root}", source.topic)
            self._sources.setdefault(source.topic, []).append(source)
        self._delay = Delay()
        self._health = Health(name, "starting")

    def __repr__(self) -> str:
        return f"MqttBackend({self._options.host}:{self._options.port}, {self.topics.root!r})"

    @property
    def delay_ns(self) -> DelaySummary:
        """From a sample's own time (`time_ns`) to the broker's socket; what an outage held back does not count."""
        return self._delay.summary()

    async def run(self, hub: Hub) -> None:
        """Until cancelled."""
        publisher = Publisher(
            hub,
            self.topics,
            self._node,
            self._delay,
            window=self._window,
            expiry_s=self._expiry_s,
            ring=self._ring,
            told_elsewhere=() if self._outbox is None else self._outbox_kinds,
        )
        facts = None
        if self._outbox is not None:
            facts = Facts(hub, self._outbox, self.topics, publisher, limit=self._window)
        feed = hub.subscribe(limit=10_000)
        self._tell(hub, "starting", f"connecting to {self._options.host}:{self._options.port}")
        taken = dropped = 0
        try:
            async with asyncio.TaskGroup() as group:
                commands = Commands(hub, self.topics, publisher, group)
                run = _Run(hub, publisher, commands, facts, Leftovers(hub, self.topics, self._node, publisher))
                group.create_task(self._stay_connected(run), name=f"{self.name} connection")
                while True:
                    publisher.take(await feed.get())
                    taken += 1
                    if taken % _YIELD_EVERY == 0:  # `get` does not wait while there is something
                        await asyncio.sleep(0)
                    if feed.dropped != dropped:
                        hub.count("evcore_mqtt_dropped_total", feed.dropped - dropped, kind="feed")
                        dropped = feed.dropped
        finally:
            feed.close()
            self._tell(hub, "stopped", "")

    async def _stay_connected(self, run: _Run) -> None:
        shortest, longest = self._retry_s
        pause = shortest
        while True:
            began = time.monotonic()
            try:
                connection = await connect(self._options)
                reason = await self._serve(run, connection)
                this_pause = pause
            except BrokerRefused as error:
                reason, this_pause = f"refused: {error}", self._refused_retry_s
            except LinkError as error:
                reason, this_pause = str(error), pause
            run.hub.count("evcore_mqtt_failures_total", connector=self.name)
            self._tell(run.hub, "down", reason)
            if time.monotonic() - began > longest:
                pause = this_pause = shortest
            # Jitter: many gateways lose one broker at the same moment.
            await asyncio.sleep(this_pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, longest)

    async def _serve(self, run: _Run, connection: Connection) -> str:
        """Until the connection is lost; the reason."""
        connection.on_message = lambda message: self._receive(run, message)
        connection.on_refused = lambda name, reason: self._refused(run.hub, name, reason)
        connection.on_subscribed = lambda names: self.connected.set() if self.topics.commands in names else None
        # First, since a broker takes packets in turn: who sees "online" can send commands.
        connection.subscribe([self.topics.commands], retained=False)
        run.publisher.attach(connection)
        run.publisher.add(Message(self.topics.status, b"online", retain=True))
        if self._sources:
            connection.subscribe(self._sources)
        beside = [asyncio.create_task(run.leftovers.sweep(connection), name=f"{self.name} leftovers")]
        if run.facts is not None:
            beside.append(asyncio.create_task(run.facts.deliver(), name=f"{self.name} facts"))
        self._tell(run.hub, "up", f"{self._options.host}:{self._options.port}, MQTT {connection.version}")
        try:
            return await connection.wait_lost()
        finally:
            connection.on_subscribed = lambda names: None
            self.connected.clear()
            run.publisher.detach()
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await self._say_offline(connection)
            connection.close()

    async def _say_offline(self, connection: Connection) -> None:
        """The last will is for who falls; who leaves says so, and waits a moment that the broker has heard it."""
        if not connection.room:
            return
        heard = asyncio.Event()
        connection.publish(self.topics.status, b"offline", lambda error: heard.set(), retain=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await heard.wait()

    def _refused(self, hub: Hub, name: str, reason: str) -> None:
        hub.count("evcore_mqtt_refused_total", reason="subscription")
        if name != self.topics.all_status:  # that one is for tidying up only
            self._tell(hub, "degraded", f"subscription to {name} refused: {reason}")

    def _receive(self, run: _Run, message: MQTTMessage) -> None:
        traffic = run.hub.traffic("mqtt")
        traffic.received += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:
            traffic.errors += 1
            return
        sources = self._sources.get(topic)
        if sources is None:
            if not run.commands.receive(message) and not run.leftovers.receive(message):
                run.hub.count("evcore_mqtt_ignored_total")
            return
        now = time.time_ns()
        for source in sources:
            try:
                run.hub.publish(source.sample(bytes(message.payload), now))
            except PayloadError as error:
                traffic.errors += 1
                run.hub.count("evcore_mqtt_refused_total", reason="source")
                _log.debug("%s: %s", topic, error)

    def _tell(self, hub: Hub, state: Literal["starting", "up", "degraded", "down", "stopped"], detail: str) -> None:
        if (self._health.state, self._health.detail) == (state, detail) and self._health.time_ns:
            return
        self._health = Health(self.name, state, detail, time.time_ns())
        hub.publish(self._health)
        _log.info("%s: %s %s", self.name, state, detail)


# MQTT 5.0, 3.1.2.10 and 3.3.2.3.3: a keep-alive has 16 bits, an expiry 32. Packet ids are shared with subscriptions.
_RANGES: dict[str, tuple[float, float]] = {
    "keepalive_s": (1, 65_535),
    "timeout_s": (0.001, 3600),
    "refused_retry_s": (0.001, 86_400),
    "window": (1, 10_000),
    "expiry_s": (1, 2**32 - 1),
    "ring": (1, 10_000_000),
}


def _check_ranges(protocol: str, retry_s: tuple[float, float], **numbers: float) -> None:
    if protocol not in ("auto", "5", "3.1.1"):
        raise ConfigError("mqtt", "protocol", "auto, 5 or 3.1.1", protocol)
    shortest, longest = retry_s
    if not 0 < shortest <= longest <= 86_400:
        raise ConfigError("mqtt", "retry_s", "the shortest pause, more than 0, and the longest", f"{retry_s}")
    for key, number in numbers.items():
        least, most = _RANGES[key]
        if not least <= number <= most:
            raise ConfigError("mqtt", key, f"{least:g} to {most:.10g}", f"{number}")


def _options(url: str, username: str | None, password: str | None, tls: ssl.SSLContext | None) -> Options:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("mqtt", "url", "mqtt://host[:port] or mqtts://host[:port]", "another port") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise ConfigError("mqtt", "url", "mqtt://host[:port] or mqtts://host[:port]", f"{parts.scheme}://...")
    if tls is not None and parts.scheme != "mqtts":
        raise ConfigError("mqtt", "url", "mqtts:// (tls is given)", "mqtt://")
    if parts.scheme == "mqtts" and tls is None:
        tls = ssl.create_default_context()
    if username is None and parts.username is not None:
        username, password = unquote(parts.username), unquote(parts.password or "") or None
    if password is not None and username is None:
        raise ConfigError("mqtt", "username", "a name beside the password", "none")
    return Options(parts.hostname, port or _PORTS[parts.scheme], "", tls, username, password)
