"""A real mosquitto, an independent client in a thread of its own, and a backend that is up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from waiting import until

from evcore.backends import MqttBackend
from evcore.local import LocalHub


class Mosquitto:
    """A mosquitto of our own; `start` again after `kill` takes the same port."""

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self.program, self.folder, self.port = program, folder, port
        self.url = f"mqtt://127.0.0.1:{port}"
        self.lines = ["allow_anonymous true"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        config = self.folder / f"mosquitto-{self.port}.conf"
        # `lines` stand behind the listener, whose own they are. As root mosquitto would become a user who may not
        # read the folder of the test.
        user = pwd.getpwuid(os.getuid()).pw_name
        top = [f"user {user}", "per_listener_settings true", f"listener {self.port} 127.0.0.1"]
        config.write_text("\n".join([*top, *self.lines, ""]))
        self.process = subprocess.Popen(
            [self.program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 8
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            assert self.process.poll() is None, "mosquitto did not start"
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


class Watcher:
    """Another program on the same broker: paho in its own thread, MQTT 5 unless `old`."""

    def __init__(self, port: int, username: str | None = None, password: str | None = None, old: bool = False) -> None:
        self.messages: list[MQTTMessage] = []
        self.old = old
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311 if old else MQTTv5)
        if username:
            self.client.username_pw_set(username, password)
        self.client.on_message = lambda _, __, message: self.messages.append(message)
        self.subscribed = False
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port, keepalive=10)
        self.client.loop_start()

    def publish(
        self, topic: str, body: Any, *, retain: bool = False, reply_to: str = "", correlation: bytes = b""
    ) -> None:
        properties = None if self.old else Properties(PacketTypes.PUBLISH)
        if reply_to:
            properties.ResponseTopic = reply_to
        if correlation:
            properties.CorrelationData = correlation
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.client.publish(topic, payload, qos=1, retain=retain, properties=properties)

    def on(self, topic: str) -> list[MQTTMessage]:
        return [message for message in list(self.messages) if message.topic == topic]

    def last(self, topic: str) -> Any:
        """The newest payload of a topic as JSON, None before the first."""
        found = self.on(topic)
        return json.loads(found[-1].payload) if found else None

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def mosquitto(program: Callable[[str], str], tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Mosquitto]:
    """Not started yet: a test adds its `lines` first."""
    broker = Mosquitto(program("mosquitto"), tmp_path, free_port())
    yield broker
    broker.kill()


@pytest.fixture
async def watch() -> AsyncIterator[Callable[..., Any]]:
    """await watch(port): a Watcher that has subscribed to everything."""
    watchers: list[Watcher] = []

    async def open(port: int, *credentials: str, old: bool = False) -> Watcher:
        watcher = await asyncio.to_thread(Watcher, port, *credentials, old=old)
        watchers.append(watcher)
        await until(lambda: watcher.subscribed)
        return watcher

    yield open
    for watcher in watchers:
        await asyncio.to_thread(watcher.close)


@pytest.fixture
def hub() -> LocalHub:
    return LocalHub()


@pytest.fixture
async def run(hub: LocalHub) -> AsyncIterator[Callable[[MqttBackend], Any]]:
    """await run(backend, up=True): runs it on `hub` until the test ends; waits until it is connected."""
    tasks: list[asyncio.Task[None]] = []

    async def start(backend: MqttBackend, *, up: bool = True) -> asyncio.Task[None]:
        task = asyncio.create_task(backend.run(hub))
        tasks.append(task)
        if up:
            async with asyncio.timeout(8):
                await backend.connected.wait()
        return task

    yield start
    for task in tasks:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until
