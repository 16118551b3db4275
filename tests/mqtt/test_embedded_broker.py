"""The broker for demonstrations, on the same loop as the backend: a real one that knows 3.1.1 only."""

from __future__ import annotations

import asyncio
import logging
import time

from evcore.backends import MqttBackend
from evcore.model import Health, Sample, Station
from evcore.sim import EmbeddedBroker

ROOT = "evcore/v1/site"


async def test_the_backend_falls_back_to_mqtt_3_and_is_heard(watch, run, hub, until):
    async with EmbeddedBroker() as broker:
        began = time.monotonic()
        mqtt = MqttBackend(broker.url, node="n1", timeout_s=5)
        await run(mqtt)
        assert time.monotonic() - began < 4, "it waited for MQTT 5 to time out"
        health = hub.last("health/mqtt")
        assert isinstance(health, Health)
        assert health.detail == f"127.0.0.1:{broker.port}, MQTT 3.1.1"
        watcher = await watch(broker.port, old=True)
        hub.publish(Station("CP1", True, since_ns=1))
        hub.publish(Sample("CP1", "Voltage", 230.0, "V", time.time_ns(), evse=1))
        assert (await until(lambda: watcher.last(f"{ROOT}/CP1/status")))["online"] is True
        assert (await until(lambda: watcher.last(f"{ROOT}/CP1/1/meter/Voltage")))["value"] == 230.0
        watcher.publish(f"{ROOT}/CP1/cmd/reset", {"id": "a", "reply_to": "answers"})
        assert (await until(lambda: watcher.last("answers")))["status"] == "Offline"


async def test_the_broker_stops_while_clients_are_connected_and_starts_again(run, hub, until, caplog):
    broker = EmbeddedBroker()
    await broker.start()
    port = broker.port
    mqtt = MqttBackend(broker.url, node="n1", retry_s=(0.05, 0.2))
    await run(mqtt)
    with caplog.at_level(logging.WARNING):
        await broker.stop()
        await until(lambda: not mqtt.connected.is_set())
        again = EmbeddedBroker(port)
        await again.start()
        await until(mqtt.connected.is_set)
    await broker.stop()
    await again.stop()
    await until(lambda: not mqtt.connected.is_set())
    assert not caplog.records


async def test_a_client_that_is_no_client_costs_the_broker_nothing(watch, until):
    async with EmbeddedBroker() as broker:
        for junk in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x01", b"\x10\x0c\x00"):
            _, writer = await asyncio.open_connection("127.0.0.1", broker.port)
            writer.write(junk)
            await writer.drain()
            writer.close()
        watcher = await watch(broker.port, old=True)
        watcher.publish("hello", {"a": 1})
        assert await until(lambda: watcher.last("hello")) == {"a": 1}
