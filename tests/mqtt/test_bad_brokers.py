"""Brokers that are silent, full, mad or gone: the loop never stalls and the health says why."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from evcore.backends import MqttBackend
from evcore.model import Health, Sample

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """The gaps between the ticks of a task that wants to run every 2 ms."""
    gaps: list[float] = []

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.002)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    task = asyncio.create_task(tick())
    yield gaps
    task.cancel()


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """A server whose every connection is `answer`'s."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(lambda r, w: tasks.add(asyncio.create_task(talk(r, w))), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in tasks:
        task.cancel()


def backend(port: int, **options: Any) -> MqttBackend:
    return MqttBackend(f"mqtt://127.0.0.1:{port}", node="n1", timeout_s=0.6, retry_s=(0.05, 0.1), **options)


async def down(hub, until) -> Health:
    return await until(lambda: (h := hub.last("health/mqtt")) and h.state == "down" and h)


async def test_a_broker_that_accepts_and_never_answers_stalls_nothing(run, hub, until):
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silence) as port, ticking() as gaps:
        await run(backend(port), up=False)
        health = await down(hub, until)
    assert health.detail == "no CONNACK: silence for 0.6 s (MQTT 5), silence for 0.6 s (MQTT 3.1.1)"
    assert hub.counters()["evcore_mqtt_failures_total", (("connector", "mqtt"),)] >= 1
    assert len(gaps) > 20
    # A blocking connect would show as 0.6 s; the margin is for a busy machine.
    assert max(gaps) < 0.5


async def test_an_address_that_takes_no_connection_stalls_nothing(run, hub, until):
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Nobody accepts: once the queue is full the kernel drops every SYN, as a firewall does.
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        async with ticking() as gaps:
            await run(backend(full.getsockname()[1]), up=False)
            health = await down(hub, until)
    assert health.detail.endswith("no connection within 0.6 s")
    assert max(gaps) < 0.5


async def test_a_handshake_that_never_ends_stalls_nothing(run, hub, until):
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silence) as port, ticking() as gaps:
        mqtt = MqttBackend(f"mqtts://127.0.0.1:{port}", timeout_s=0.6)
        await run(mqtt, up=False)
        health = await down(hub, until)
    assert health.detail.endswith("no connection within 0.6 s")
    assert max(gaps) < 0.5


async def test_nobody_listening_is_said_so(run, hub, until, free_port):
    await run(backend(free_port()), up=False)
    assert (await down(hub, until)).detail.endswith("Connection refused")


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x02",
        b"\x20\x00",
        b"\x20\x01\x00",
        b"\x20\x05\x00\x00\xff\xff\xff",
        b"\x20\xff\xff\xff\x7f" + b"x" * 4096,
        b"\x20\xff\xff\xff\xff\xff",
        b"\x30\x04\x00\x09ab",
        b"\x00" * 100,
        b"\xff" * 100_000,
        b"",
    ],
    ids=lambda junk: junk[:6].hex() or "nothing",
)
async def test_garbage_instead_of_a_connack_costs_one_attempt(run, hub, until, junk):
    attempts = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        await reader.read(10)
        writer.write(junk)
        await writer.drain()

    async with serving(talk) as port:
        task = await run(backend(port), up=False)
        health = await down(hub, until)
        assert health.detail
        await until(lambda: attempts >= 4)
        assert not task.done()


async def test_garbage_after_the_connack_costs_the_connection_only(run, hub, until):
    attempts = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        await reader.read(10)
        writer.write(
            b"\x20\x03\x00\x00\x00" + [b"\x40\x01\x00", b"\x30\x05\x00\x01a\x7f\x00", b"\xf0\x00"][attempts % 3]
        )
        await reader.read()

    async with serving(talk) as port:
        task = await run(backend(port), up=False)
        await until(lambda: attempts >= 5)
        assert not task.done()


async def test_a_broker_that_hangs_up_is_quoted_and_asked_less_and_less_often(run, hub, until):
    attempts: list[float] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(time.perf_counter())
        await reader.read(10)
        writer.write(b"\x20\x03\x00\x00\x00\xe0\x02\x8e\x00")  # CONNACK, DISCONNECT (MQTT 5.0, 3.14.2.1)
        await reader.read()

    async with serving(talk) as port:
        await run(MqttBackend(f"mqtt://127.0.0.1:{port}", retry_s=(0.02, 30.0)), up=False)
        assert (await down(hub, until)).detail == "Session taken over"
        await until(lambda: len(attempts) >= 6)
    # The fifth pause is 16 times the first, less at most half of it by jitter.
    assert attempts[5] - attempts[4] > 0.5 * 16 * 0.02


async def test_a_refused_subscription_is_said_and_the_rest_goes_on(run, hub, until):
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x20\x03\x00\x00\x00")  # CONNACK
        while data := await reader.read(1000):
            got.extend(data)
            if b"cmd/+" in data:
                writer.write(b"\x90\x04\x00\x01\x00\x87")  # SUBACK for packet id 1: not authorised (MQTT 5.0, 3.9.3)

    async with serving(talk) as port:
        mqtt = backend(port)
        await run(mqtt)
        health = await until(lambda: (h := hub.last("health/mqtt")) and h.state == "degraded" and h)
        assert health.detail == "subscription to evcore/v1/site/+/cmd/+ refused: Not authorized"
        await until(lambda: b"online" in got)
        assert mqtt.connected.is_set()


async def test_a_broker_without_qos_1_is_refused_with_the_reason(run, hub, until):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x20\x05\x00\x00\x02\x24\x00")  # CONNACK with MaximumQoS 0 (MQTT 5.0, 3.2.2.3.4)
        await reader.read()

    async with serving(talk) as port:
        await run(backend(port), up=False)
        assert (await down(hub, until)).detail == "refused: the broker takes no QoS 1"


async def test_cancelling_while_it_connects_leaves_no_task_and_no_socket(run, hub, until):
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone.set() if not await reader.read() else None

    gone = asyncio.Event()
    before = asyncio.all_tasks()
    async with serving(silence) as port:
        task = asyncio.create_task(MqttBackend(f"mqtt://127.0.0.1:{port}").run(hub))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    await until(lambda: asyncio.all_tasks() <= before)
    last = hub.last("health/mqtt")
    assert isinstance(last, Health)
    assert last.state == "stopped"


async def test_a_broker_that_stands_still_fills_bounded_queues_and_loses_the_oldest_only(
    mosquitto, watch, run, hub, until
):
    mosquitto.start()
    mqtt = MqttBackend(mosquitto.url, node="n1", ring=200)
    await run(mqtt)
    assert mosquitto.process is not None
    os.kill(mosquitto.process.pid, signal.SIGSTOP)
    dropped = ("evcore_mqtt_dropped_total", (("kind", "telemetry"),))
    try:
        async with ticking() as gaps:
            for number in range(20_000):
                if number % 5 == 0:
                    await asyncio.sleep(0)
                value = Sample("CP1", "Voltage", float(number), "V", time.time_ns(), phase=str(number % 50))
                hub.publish(replace(value, signed="x" * 4000))  # long, so that few of them fill the kernel's buffers
                if hub.counters().get(dropped, 0) > 50:
                    break
        assert hub.counters()[dropped] > 50, "the queues have no bound"
        assert max(gaps) < 0.5
    finally:
        os.kill(mosquitto.process.pid, signal.SIGCONT)
    watcher = await watch(mosquitto.port)

    def heard() -> object:  # again and again: while a reader is behind, a broker may drop what is QoS 0
        hub.publish(Sample("CP2", "Voltage", 1.0, "V", time.time_ns()))
        return watcher.last("evcore/v1/site/CP2/0/meter/Voltage")

    await until(heard)
    assert mqtt.connected.is_set(), "it needed a new connection"


async def connack_and_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"\x20\x03\x00\x00\x00")
    while await reader.read(1000):
        pass


async def test_a_broker_that_acknowledges_nothing_is_left(run, hub, until, monkeypatch):
    monkeypatch.setattr("evcore.backends.mqtt_loop._NO_PUBACK_S", 0.2)
    async with serving(connack_and_nothing) as port:
        await run(backend(port), up=False)
        assert (await down(hub, until)).detail == "no PUBACK within 0.2 s"


async def test_it_is_online_only_once_commands_are_heard(run, hub, until):
    """Whoever waits for the retained "online", or for `connected`, may send a command at once."""
    packets = bytearray()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x20\x03\x00\x00\x00")
        while chunk := await reader.read(1000):
            packets.extend(chunk)

    async with serving(keep) as port:
        mqtt = backend(port)
        await run(mqtt, up=False)
        await until(lambda: b"online" in packets)
        assert packets.index(b"/cmd/") < packets.index(b"online")
        assert not mqtt.connected.is_set()


async def test_a_broker_that_answers_no_ping_is_left(run, hub, until):
    async with serving(connack_and_nothing) as port:
        await run(backend(port, keepalive_s=1), up=False)
        assert (await down(hub, until)).detail == "Keep alive timeout"
