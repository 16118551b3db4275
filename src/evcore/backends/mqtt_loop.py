"""paho-mqtt on the event loop: one connection to a broker, without threads and without a task per message.

Each connection is a new paho client with a clean session, so nothing of a lost one comes back by itself; what must be
told again is the backend's to know. paho never sees the network: it gets a `Link`. It speaks and reads MQTT but for the
two packets that go by the thousand (`mqtt_packets`).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from evcore.backends.mqtt_link import Link, open_link, why
from evcore.backends.mqtt_packets import correlation_property, expiry_property, put_publish, topic_head
from evcore.errors import LinkError, RefusedError

# MQTT 5.0, 3.2.2.2 (paho gives the CONNACK codes of 3.1.1 the same names): the broker knows us and says no. Asking
# again soon does not help and locks accounts.
_REFUSALS = {0x85, 0x86, 0x87, 0x8A, 0x8C}
_UNSUPPORTED_VERSION = 0x84
_FIRST_ID = 0x4000
_NO_PUBACK_S = 30.0

# What became of a QoS 1 message: None, a RefusedError with the broker's reason, or a LinkError (nobody knows).
Done = Callable[[RefusedError | LinkError | None], None]

if not hasattr(Client, "_create_socket"):  # the one private name used here; without it paho would block the loop
    raise ImportError("this paho-mqtt opens its sockets in another way: paho-mqtt>=2.1,<3 is known to work")


class BrokerRefused(RefusedError):
    """The broker understood and refused: credentials, client id, not authorised."""


class _NotBefore(LinkError):
    """No CONNACK came: brokers that do not know a version of MQTT hang up, say so, or wait for ever."""


@dataclass(slots=True)
class Options:
    """How to reach a broker. timeout_s: for each of address, TCP, TLS and CONNACK. Secrets stay out of repr."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_s: int = 30
    timeout_s: float = 10.0
    will: tuple[str, bytes] | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"


class _Client(Client):
    """paho, given its socket instead of opening (and blocking for) one."""

    link: Link

    def _create_socket(self) -> Link:
        return self.link


@dataclass(slots=True)
class _InFlight:
    since: float
    done: Done


class Connection:
    """A connection that has had its CONNACK. Made by `connect`; ends by itself or by `close`.

    version: "5" or "3.1.1". receive_maximum: how many QoS 1 messages the broker takes unacknowledged. max_packet:
    bytes of the longest packet it takes. on_message: gets paho's message. on_subscribed: the broker has answered
    for these filters. on_refused: a subscription (its filter, the reason). on_room: messages were acknowledged, or
    the socket took what had been waiting. on_written: all that was published is in the socket's hands.
    """

    def __init__(self, options: Options, version: Literal["5", "3.1.1"], link: Link) -> None:
        self.version = version
        self.receive_maximum, self.max_packet, self.retains = 65535, 268_435_455, True
        self.on_message: Callable[[MQTTMessage], None] = lambda message: None
        self.on_subscribed: Callable[[Collection[str]], None] = lambda names: None
        self.on_refused: Callable[[str, str], None] = lambda name, reason: None
        self.on_room: Callable[[], None] = lambda: None
        self.on_written: Callable[[], None] = lambda: None
        self._options, self._link = options, link
        self._loop = asyncio.get_running_loop()
        self._connack: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._flush_due: asyncio.Handle | None = None
        self._misc_due: asyncio.TimerHandle | None = None
        self._writing = self._watched = False
        self._in_flight: dict[int, _InFlight] = {}
        self._last_id = 65535
        self._subscribing: dict[int, list[str]] = {}
        self._five = version == "5"
        self._client = self._make_client()

    @property
    def room(self) -> bool:
        """May more be published without the socket falling behind?"""
        return self._link.room and not self._lost.done()

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def telemetry_head(self, topic: str, expiry_s: int) -> bytes:
        """What stands before the payload of a QoS 0 PUBLISH, for `publish_telemetry`. Raises ValueError (topic too
        long)."""
        return topic_head(topic) + (expiry_property(expiry_s) if self._five else b"")

    def publish_telemetry(self, head: bytes, payload: bytes) -> None:
        """QoS 0, not retained. Only while `room`, and within `max_packet`."""
        put_publish(self._link.out, 0, head, payload)
        self.flush_soon()

    def publish(
        self,
        topic: str,
        payload: bytes,
        done: Done,
        *,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> None:
        """QoS 1; done is called once. The caller keeps `in_flight` within the broker's `receive_maximum`."""
        try:
            head = topic_head(topic) + self._next_id()
        except ValueError as error:
            done(RefusedError(str(error)))
            return
        if self._five:
            head += correlation_property(correlation)
        if len(head) + len(payload) + 5 > self.max_packet:
            done(RefusedError(f"longer than the {self.max_packet} bytes that the broker takes"))
            return
        self._in_flight[self._last_id] = _InFlight(time.monotonic(), done)
        put_publish(self._link.out, 2 | (retain and self.retains), head, payload)
        self.flush_soon()

    def _next_id(self) -> bytes:
        """A packet id that is not in use. Ours are the upper ones: paho counts its subscriptions from 1."""
        while True:
            self._last_id = self._last_id + 1 if self._last_id < 65535 else _FIRST_ID
            if self._last_id not in self._in_flight:
                return self._last_id.to_bytes(2, "big")

    def subscribe(self, filters: Iterable[str], *, qos: int = 1, retained: bool = True) -> None:
        """retained: want the values that the broker keeps (MQTT 5; 3.1.1 always sends them). See `on_refused`."""
        names = list(filters)
        if self._five:
            options = SubscribeOptions(qos, noLocal=True, retainHandling=0 if retained else 2)
            _, mid = self._client.subscribe([(name, options) for name in names])
        else:
            _, mid = self._client.subscribe([(name, qos) for name in names])
        if mid is not None:
            self._subscribing[mid] = names
        self._client.loop_write()  # paho queues; what is published after this must not overtake it

    def unsubscribe(self, name: str) -> None:
        self._client.unsubscribe(name)

    async def wait_lost(self) -> str:
        """Why the connection ended."""
        return await asyncio.shield(self._lost)

    def close(self) -> None:
        """Say DISCONNECT, hand the socket what it takes at once, and close. No callback comes after this."""
        if not self._lost.done():
            self._client.disconnect()
            self._flush()
        self._end("closed")

    def flush_soon(self) -> None:
        if self._flush_due is None and not self._writing:
            self._flush_due = self._loop.call_soon(self._flush)

    # --- from here on: between paho and the loop

    def _make_client(self) -> _Client:
        options = self._options
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            clean_session=None if self._five else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self._five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.link = self._link
        if options.username is not None:
            client.username_pw_set(options.username, options.password)
        if options.will is not None:
            client.will_set(options.will[0], options.will[1], qos=1, retain=True)
        client.on_socket_open = lambda *_: self._watch()
        client.on_socket_close = lambda *_: self._unwatch()
        client.on_socket_register_write = lambda *_: self.flush_soon()
        client.on_connect = lambda _, __, ___, reason, properties: self._on_connack(reason, properties)
        client.on_disconnect = lambda _, __, flags, reason, ____: self._end(
            str(reason) if flags.is_disconnect_packet_from_server else self._link.end or str(reason)
        )
        client.on_subscribe = lambda _, __, mid, reasons, ___: self._on_suback(mid, reasons)
        client.on_message = lambda _, __, message: self.on_message(message)
        return client

    async def handshake(self) -> None:
        """Send CONNECT and wait for the answer. Raises LinkError, BrokerRefused."""
        properties = None
        if self._five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = 100
            properties.MaximumPacketSize = 262_144
        options = self._options
        self._client.connect_async(
            options.host, options.port, options.keepalive_s, clean_start=True, properties=properties
        )
        self._client.reconnect()
        self._misc_due = self._loop.call_later(1.0, self._misc)
        try:
            async with asyncio.timeout(options.timeout_s):
                await self._connack
        except TimeoutError:
            raise _NotBefore(f"silence for {options.timeout_s:g} s") from None

    def _on_connack(self, reason: ReasonCode, properties: Properties) -> None:
        if self._connack.done():
            self._end("a second CONNACK")
        elif reason.value == _UNSUPPORTED_VERSION:
            self._connack.set_exception(_NotBefore(str(reason)))
        elif reason.value in _REFUSALS:
            self._connack.set_exception(BrokerRefused(str(reason)))
        elif reason.is_failure:
            self._connack.set_exception(LinkError(str(reason)))
        else:
            self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
            self.max_packet = getattr(properties, "MaximumPacketSize", self.max_packet)
            self.retains = bool(getattr(properties, "RetainAvailable", 1))
            if getattr(properties, "MaximumQoS", 1) == 0:
                self._connack.set_exception(BrokerRefused("the broker takes no QoS 1"))
            else:
                self._connack.set_result(None)

    def _on_pubacks(self) -> None:
        acks, self._link.acks = self._link.acks, []
        for id, reason in acks:
            entry = self._in_flight.pop(id, None)
            if entry is not None:
                entry.done(RefusedError(_reason_text(reason)) if reason >= 0x80 else None)
        if acks:
            self.on_room()

    def _on_suback(self, mid: int, reasons: list[ReasonCode]) -> None:
        names = self._subscribing.pop(mid, [])
        self.on_subscribed(names)
        for name, reason in zip(names, reasons, strict=False):
            if reason.is_failure:
                self.on_refused(name, str(reason))

    def _watch(self) -> None:
        self._watched = True
        self._loop.add_reader(self._link.fileno(), self._readable)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._link.fileno())
            self._loop.remove_writer(self._link.fileno())

    def _readable(self) -> None:
        if not self._watched:
            return
        more = self._link.fill()
        self._on_pubacks()
        try:
            while self._watched and self._link.unread:
                self._client.loop_read()
        except Exception as error:  # noqa: BLE001 - whatever paho trips over in a broker's bytes costs this connection
            self._end(f"protocol error: {type(error).__name__}: {error}")
        else:
            if self._client.want_write() or self._link.out:
                self.flush_soon()
            if more and self._watched:
                self._loop.call_soon(self._readable)

    def _flush(self) -> None:
        self._flush_due = None
        if not self._watched:
            return
        was_full = not self._link.room
        try:
            self._client.loop_write()
            empty = self._link.flush()
            while empty and self._client.want_write():
                self._client.loop_write()
                empty = self._link.flush()
        except OSError as error:
            self._end(why(error))
            return
        if not self._watched:  # it was the DISCONNECT
            return
        if empty == self._writing:
            self._writing = not empty
            if empty:
                self._loop.remove_writer(self._link.fileno())
            else:
                self._loop.add_writer(self._link.fileno(), self._flush)
        if empty:
            self.on_written()
        if was_full and self._link.room:
            self.on_room()

    def _misc(self) -> None:
        """Once a second: keep-alive, and a broker that answers pings but acknowledges nothing."""
        self._misc_due = None
        if self._lost.done():
            return
        self._client.loop_misc()
        oldest = next(iter(self._in_flight.values()), None)
        if oldest is not None and time.monotonic() - oldest.since > _NO_PUBACK_S:
            self._end(f"no PUBACK within {_NO_PUBACK_S:g} s")
        if not self._lost.done():
            self._misc_due = self._loop.call_later(1.0, self._misc)

    def _end(self, reason: str) -> None:
        if self._lost.done():
            return
        self._lost.set_result(reason)
        if not self._connack.done():
            self._connack.set_exception(_NotBefore(reason))
            self._connack.exception()  # seen, should nobody wait
        self._unwatch()
        self._link.close()
        for due in (self._misc_due, self._flush_due):
            if due is not None:
                due.cancel()
        self.on_message, self.on_room, self.on_written = lambda message: None, lambda: None, lambda: None
        in_flight, self._in_flight = self._in_flight, {}
        for entry in in_flight.values():
            entry.done(LinkError(reason))


def _reason_text(code: int) -> str:
    try:
        return str(ReasonCode(PacketTypes.PUBACK, identifier=code))
    except (KeyError, ValueError):
        return f"reason code 0x{code:02x}"


async def connect(options: Options) -> Connection:
    """A connection with its CONNACK: MQTT 5, or 3.1.1 with a broker that gives none to 5.

    Raises LinkError (unreachable, silent, garbage), BrokerRefused (credentials).
    """
    if options.protocol != "auto":
        return await _connect(options, options.protocol)
    try:
        return await _connect(options, "5")
    except _NotBefore as first:
        try:
            return await _connect(options, "3.1.1")
        except _NotBefore as second:
            raise LinkError(f"no CONNACK: {first} (MQTT 5), {second} (MQTT 3.1.1)") from second


async def _connect(options: Options, version: Literal["5", "3.1.1"]) -> Connection:
    link = await open_link(options.host, options.port, options.tls, options.timeout_s)
    try:
        connection = Connection(options, version, link)
    except BaseException:
        link.close()
        raise
    try:
        await connection.handshake()
    except BaseException:
        connection.close()
        raise
    return connection
