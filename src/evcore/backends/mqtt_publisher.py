"""What has still to be told to the broker, bounded, and in which order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from evcore.backends.mqtt_delay import Delay
from evcore.backends.mqtt_loop import Connection
from evcore.backends.mqtt_payloads import event_payload, sample_payload, state_payload
from evcore.backends.mqtt_topics import Topics
from evcore.errors import LinkError, RefusedError
from evcore.model import Event, Item, Payment, Sample, Session, State
from evcore.ports import Hub

_EVENTS, _STATES, _HEADS = 1_000, 100_000, 50_000


@dataclass(slots=True)
class Message:
    """A QoS 1 message. done: told what became of it (`mqtt_loop.Done`)."""

    topic: str
    payload: bytes
    retain: bool = False
    correlation: bytes | None = None
    done: Callable[[RefusedError | LinkError | None], None] | None = None


class Publisher:
    """Takes the hub's items and hands them to a connection while there is one.

    Answers and facts (`add`) go first, then events in order, then states (the latest of each topic), all QoS 1 within
    the broker's window. Telemetry is QoS 0 and goes at once, or waits in a ring whose oldest are dropped.
    told_elsewhere: events of a kind that begins so are the outbox's to tell.
    """

    def __init__(
        self, hub: Hub, topics: Topics, node: str, delay: Delay, *, window: int, expiry_s: int, ring: int,
        told_elsewhere: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._hub, self._topics, self._node, self._delay = hub, topics, node, delay
        self._traffic = hub.traffic("mqtt")
        self._window, self._expiry_s, self._told_elsewhere = window, expiry_s, told_elsewhere
        self._connection: Connection | None = None
        self._messages: deque[Message] = deque()
        self._events: deque[Event] = deque()
        self._unsure: list[Event] = []
        self._states: dict[str, State] = {}
        self._ring: deque[Sample] = deque(maxlen=ring)
        self._current: dict[tuple[str, int], Session] = {}
        self._heads: dict[tuple[str, int, str], bytes] = {}
        self._unwritten: list[int] = []

    def attach(self, connection: Connection) -> None:
        """From now on to this connection, beginning with every state that the hub knows."""
        self._connection = connection
        connection.on_room, connection.on_written = self.pump, self._written
        self._heads.clear()  # they differ between the versions of MQTT
        self._states.clear()
        self._current.clear()
        for item in self._hub.snapshot():
            if not isinstance(item, Sample | Event):
                self._keep_state(item)
        self.pump()

    def detach(self) -> None:
        """The connection is lost: what nobody acknowledged waits for the next one, but for answers, whose askers are
        gone."""
        self._connection = None
        self._events.extendleft(reversed(self._unsure))
        self._unsure.clear()
        self._messages.clear()
        self._unwritten.clear()

    def take(self, item: Item) -> None:
        """One item of the hub. Raises nothing for what it holds."""
        if isinstance(item, Sample):
            self._take_sample(item)
            return
        if isinstance(item, Event):
            if item.kind.startswith(self._told_elsewhere):
                return
            if len(self._events) >= _EVENTS:
                self._events.popleft()
                self._hub.count("evcore_mqtt_dropped_total", kind="event")
            self._events.append(item)
        elif self._connection is not None:
            self._keep_state(item)
        self.pump()

    def add(self, message: Message) -> None:
        """An answer or a fact; dropped while there is no connection. The caller bounds how many wait."""
        if self._connection is not None:
            self._messages.append(message)
            self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the broker's window and the socket go."""
        connection = self._connection
        if connection is None:
            return
        window = min(self._window, connection.receive_maximum)
        while connection.room and connection.in_flight < window:
            message = self._next()
            if message is None:
                break
            self._traffic.sent += 1
            connection.publish(
                message.topic,
                message.payload,
                partial(self._finished, message),
                retain=message.retain,
                correlation=message.correlation,
            )
        while self._ring and connection.room:
            self._send(connection, self._ring.popleft(), held_back=True)

    def _take_sample(self, sample: Sample) -> None:
        connection = self._connection
        if connection is not None and not self._ring and connection.room:
            self._send(connection, sample)
            self._unwritten.append(sample.time_ns)
            return
        if len(self._ring) == self._ring.maxlen:
            self._hub.count("evcore_mqtt_dropped_total", kind="telemetry")
        self._ring.append(sample)

    def _send(self, connection: Connection, sample: Sample, *, held_back: bool = False) -> None:
        key = (sample.source, sample.evse, sample.measurand)
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            try:
                head = connection.telemetry_head(self._topics.sample(sample), self._expiry_s)
            except ValueError:
                self._traffic.errors += 1
                return
            self._heads[key] = head
        payload = sample_payload(sample, held_back=held_back)
        if len(head) + len(payload) + 5 > connection.max_packet:
            self._traffic.errors += 1
            self._hub.count("evcore_mqtt_dropped_total", kind="telemetry")
            return
        connection.publish_telemetry(head, payload)
        self._traffic.sent += 1

    def _written(self) -> None:
        now = time.time_ns()
        for since in self._unwritten:
            self._delay.add(now - since)
        self._unwritten.clear()

    def _keep_state(self, state: State) -> None:
        if isinstance(state, Payment):
            return
        if isinstance(state, Session) and not self._is_current(state):
            return
        topic = self._topics.state(state)
        if topic not in self._states and len(self._states) >= _STATES:
            self._states.pop(next(iter(self._states)))
            self._hub.count("evcore_mqtt_dropped_total", kind="state")
        self._states[topic] = state

    def _is_current(self, session: Session) -> bool:
        """The retained session of an EVSE is the one that began last: an old one's late record does not replace it."""
        place = (session.station, session.evse)
        current = self._current.get(place)
        if current is not None and session.id != current.id and session.started_ns < current.started_ns:
            return False
        self._current[place] = session
        return True

    def _next(self) -> Message | None:
        if self._messages:
            return self._messages.popleft()
        if self._events:
            event = self._events.popleft()
            topic = self._topics.event(event.source, event.kind)
            return Message(topic, event_payload(event), done=partial(self._event_done, event))
        if self._states:
            topic = next(iter(self._states))
            return Message(topic, state_payload(self._states.pop(topic), self._node), retain=True)
        return None

    def _event_done(self, event: Event, error: RefusedError | LinkError | None) -> None:
        if isinstance(error, LinkError):
            self._unsure.append(event)

    def _finished(self, message: Message, error: RefusedError | LinkError | None) -> None:
        if isinstance(error, RefusedError):
            self._traffic.errors += 1
            self._hub.count("evcore_mqtt_refused_total", reason="broker")
        if message.done is not None:
            message.done(error)
