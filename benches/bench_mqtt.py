"""MQTT: from a value (QoS 0) or a fact (QoS 1) to the broker's socket, CPU time of this process for 1 000 of them.

All contestants begin with the same objects, write the same JSON with the same functions and speak MQTT 5 to one
mosquitto. QoS 0 is done when the socket has taken it, QoS 1 when the broker has acknowledged it, with 50 under way at
once. evcore: hub, MqttBackend, and for facts the outbox's `done`. aiomqtt: `publish`, gathered by 50 for QoS 1. paho:
alone, no thread, no loop: what nobody can fall below who lets it write each message by itself.
"""

from __future__ import annotations

import asyncio
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

from evcore.backends import MqttBackend
from evcore.backends.mqtt_payloads import fact_payload, sample_payload
from evcore.local import LocalHub
from evcore.model import Sample
from evcore.ports import Fact

COUNT, WINDOW = 1_000, 50
SAMPLES = [
    Sample(f"CP{n % 50}", "Power.Active.Import", 7360.5 + n, "W", 1_795_462_237_000_000_000, evse=1 + n // 50)
    for n in range(COUNT)
]
FACTS = [
    Fact(n, f"s{n}", "session.updated", {"id": f"s{n}", "station": f"CP{n % 50}", "evse": 1, "energy_wh": 1234.5})
    for n in range(COUNT)
]


def sample_topic(sample: Sample) -> str:
    return f"evcore/v1/site/{sample.source}/{sample.evse}/meter/{sample.measurand}"


def fact_topic(fact: Fact) -> str:
    return f"evcore/v1/site/{fact.body['station']}/event/{fact.kind}"


class Memory:
    """An outbox that gives what it has, again from the start when it is empty."""

    def __init__(self) -> None:
        self.waiting: list[Fact] = []
        self.news, self.empty = asyncio.Event(), asyncio.Event()
        self.left = 0

    def fill(self) -> None:
        self.waiting, self.left = list(FACTS), len(FACTS)
        self.empty.clear()
        self.news.set()

    async def next(self, limit: int = 50) -> Sequence[Fact]:
        while not self.waiting:
            self.news.clear()
            await self.news.wait()
        facts, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return facts

    async def done(self, ids: Sequence[int]) -> None:
        self.left -= len(ids)
        if not self.left:
            self.empty.set()

    async def failed(self, id: int, error: str) -> None:
        raise AssertionError(error)


class Evcore:
    def __init__(self, port: int) -> None:
        self.runner = asyncio.Runner()
        self.hub = LocalHub()
        self.runner.run(self._open(port))

    async def _open(self, port: int) -> None:
        self.outbox = Memory()
        self.mqtt = MqttBackend(f"mqtt://127.0.0.1:{port}", node="bench", outbox=self.outbox, window=WINDOW)
        self.task = asyncio.create_task(self.mqtt.run(self.hub))
        await self.mqtt.connected.wait()

    def qos0(self) -> None:
        self.runner.run(self._samples())

    async def _samples(self) -> None:
        before = self.mqtt.delay_ns.count
        for at in range(0, COUNT, 20):  # as a hub gets them: what one reply of a meter or a station holds
            for sample in SAMPLES[at : at + 20]:
                self.hub.publish(sample)
            await asyncio.sleep(0)
        while self.mqtt.delay_ns.count - before < COUNT:  # noqa: ASYNC110 - there is nothing to wait for but the loop
            await asyncio.sleep(0)

    def qos1(self) -> None:
        self.runner.run(self._facts())

    async def _facts(self) -> None:
        self.outbox.fill()
        await self.outbox.empty.wait()

    def close(self) -> None:
        self.task.cancel()
        self.runner.run(asyncio.wait([self.task]))
        self.runner.close()


class Aiomqtt:
    def __init__(self, port: int) -> None:
        import aiomqtt

        self.runner = asyncio.Runner()
        self.client: Any = None

        async def open() -> None:
            self.client = aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5)
            self.client.pending_calls_threshold = COUNT  # it would log a warning for each call beyond 10
            await self.client.__aenter__()

        self.runner.run(open())

    def qos0(self) -> None:
        self.runner.run(self._samples())

    async def _samples(self) -> None:
        for sample in SAMPLES:
            await self.client.publish(sample_topic(sample), sample_payload(sample))

    def qos1(self) -> None:
        self.runner.run(self._facts())

    async def _facts(self) -> None:
        publish = self.client.publish
        for at in range(0, COUNT, WINDOW):
            facts = FACTS[at : at + WINDOW]
            await asyncio.gather(*(publish(fact_topic(fact), fact_payload(fact), qos=1) for fact in facts))

    def close(self) -> None:
        self.runner.run(self.client.__aexit__(None, None, None))
        self.runner.close()


class Paho:
    def __init__(self, port: int) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.max_inflight_messages_set(WINDOW)
        self.acknowledged = 0
        self.client.on_publish = lambda *_: setattr(self, "acknowledged", self.acknowledged + 1)
        self.client.connect("127.0.0.1", port)
        while not self.client.is_connected():
            self.client.loop(0.1)

    def qos0(self) -> None:
        for sample in SAMPLES:
            self.client.publish(sample_topic(sample), sample_payload(sample))
        while self.client.want_write():
            self.client.loop_write()

    def qos1(self) -> None:
        for at in range(0, COUNT, WINDOW):
            self.acknowledged = 0
            for fact in FACTS[at : at + WINDOW]:
                self.client.publish(fact_topic(fact), fact_payload(fact), qos=1)
            while self.acknowledged < WINDOW:
                select.select([self.client.socket()], [], [])
                self.client.loop_read()

    def close(self) -> None:
        self.client.disconnect()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is missing")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config: Path = tmp_path_factory.mktemp("mosquitto") / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    broker = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 8
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.01)
    yield port
    broker.kill()
    broker.wait()


def heard(port: int, work: Any, expected: set[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
    """What another client hears of what `work` tells."""
    got: set[tuple[str, bytes]] = set()
    listener = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    subscribed: list[bool] = []
    listener.on_subscribe = lambda *_: subscribed.append(True)
    listener.on_message = lambda _, __, message: got.add((message.topic, bytes(message.payload)))
    listener.connect("127.0.0.1", port)
    listener.subscribe([("evcore/v1/site/+/+/meter/#", 1), ("evcore/v1/site/+/event/#", 1)])
    while not subscribed:
        listener.loop(0.1)
    work()
    deadline = time.monotonic() + 8
    while not got >= expected and time.monotonic() < deadline:
        listener.loop(0.1)
    listener.disconnect()
    return got


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("contestant", [Evcore, Aiomqtt, Paho], ids=["evcore", "aiomqtt", "paho"])
@pytest.mark.parametrize("qos", [0, 1], ids=["qos0", "qos1"])
def test_publish(benchmark: Any, port: int, contestant: Any, qos: int) -> None:
    benchmark.group = f"mqtt publish, QoS {qos}, CPU of 1 000"
    ours = contestant(port)
    work = ours.qos1 if qos else ours.qos0
    expected = {(fact_topic(fact), fact_payload(fact)) for fact in FACTS}
    if not qos:
        expected = {(sample_topic(sample), sample_payload(sample)) for sample in SAMPLES}
    assert heard(port, work, expected) == expected
    benchmark.pedantic(work, rounds=12, warmup_rounds=2)
    ours.close()
