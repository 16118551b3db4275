"""Bad input by MQTT to a whole site: garbage on its topics by a genuine broker, and a broker that is none."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

ROOT = "evcore/v1/s1"
COMMAND = f"{ROOT}/CP1/cmd/start"
CONNACK = bytes.fromhex("2003000000")
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(190))

BROKEN = [
    (COMMAND, b"nonsense"),
    (COMMAND, b"[]"),
    (COMMAND, b"5"),
    (COMMAND, b"\xff\xfe\x00"),
    (COMMAND, b"{"),
    (COMMAND, b'{"args":[]}'),
    (COMMAND, b'{"id":{}}'),
    (COMMAND, b'{"id":"a","more":1}'),
    (COMMAND, b'{"reply_to":5}'),
    (COMMAND, b'{"reply_to":"evcore/v1/s1/CP1/cmd/stop"}'),
    (COMMAND, b'{"reply_to":"#"}'),
    (COMMAND, b'{"args":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    (COMMAND, b"x" * 200_000),
    (f"{ROOT}/CP1/cmd/fly", b"{}"),
    (f"{ROOT}/CP1/cmd/%FF", b"{}"),
    (f"{ROOT}/%C3%28/cmd/start", b"{}"),
    ("pv/power", b"nonsense"),
    ("pv/power", b""),
    ("pv/power", b"NaN"),
    ("pv/power", b"1e400"),
    ("pv/power", b"[" * 10_000),
    ("pv/power", b"9" * 100_000),
]

MAD = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    CLIENT_HELLO,
    b"\xff" * 4000,
    CONNACK + b"\xff" * 4000,
    CONNACK + b"\x00\x00" * 50,
    CONNACK + b"\x30\xff\xff\xff\x7f" + b"\0" * 50_000,  # a message of 256 MB
    CONNACK + b"\x30\x04\xff\xff\x00\x00",  # a topic longer than its packet
    CONNACK + b"\x32\x08\x00\x04\xff\xfe\xfd\xfc\x00\x01",  # a topic that is no UTF-8
    CONNACK + b"\x40\x02\x00\x63" * 500,  # acknowledges what nobody sent
    CONNACK + CONNACK,
    bytes.fromhex("20ff7f") + b"\0" * 100,
    b"",
]


class Asker:
    """Another program on the broker, with paho in a thread of its own; what was answered, by topic."""

    def __init__(self, port: int) -> None:
        self.answers: list[tuple[str, dict]] = []
        self.subscribed = False
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.on_message = lambda _, __, got: self.answers.append((got.topic, json.loads(got.payload)))
        self.client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(f"{ROOT}/+/rsp/+", qos=1)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
async def asker(until):
    """asker(port): it hears every answer."""
    askers: list[Asker] = []

    async def start(port: int) -> Asker:
        askers.append(await asyncio.to_thread(Asker, port))
        await until(lambda: askers[-1].subscribed)
        return askers[-1]

    yield start
    for one in askers:
        await asyncio.to_thread(one.close)


async def test_garbage_on_the_topics_costs_that_message_only(bad_site, asker, until):
    site = await bad_site()
    mad = await asker(site.broker_port)
    site.remember()
    for n, (topic, payload) in enumerate(BROKEN, 1):
        mad.client.publish(topic, payload, qos=1)
        await until(lambda n=n: site.hub.traffic("mqtt").errors >= n, f"counting {topic} {payload[:30]!r}")
    assert site.hub.traffic("mqtt").errors == len(BROKEN)
    await site.counts(len(BROKEN), "evcore_message_errors_total", protocol="mqtt")
    await site.counts(len(BROKEN) - 1, "evcore_mqtt_refused_total")
    assert all(not answer["ok"] for _, answer in mad.answers)
    assert site.hub.snapshot("sample/pv/") == []

    mad.client.publish(COMMAND, b"x" * (1 << 20), qos=1)  # the broker keeps it from us: it was told how much we take
    mad.client.publish(COMMAND, b'{"id":"late","args":{}}', qos=1, retain=True)
    for n in range(300):
        mad.client.publish(f"{ROOT}/NOBODY-{n}/cmd/start", json.dumps({"id": f"n-{n}"}), qos=1)
    offline = [f"n-{n}" for n in range(300)]
    await until(lambda: {answer["id"] for _, answer in list(mad.answers)} >= set(offline), "300 answers")
    assert {answer["status"] for _, answer in mad.answers if answer["id"] in offline} <= {"Offline", "Error"}  # busy
    mad.client.publish("pv/power", b"1234.5", qos=1)
    await until(lambda: site.hub.snapshot("sample/pv/"), "the good value after the bad ones")
    mad.client.publish(COMMAND, b"", qos=1, retain=True)
    await site.goes_on()
    await site.leaves_nothing()


@contextlib.asynccontextmanager
async def broker_that_says(*says: bytes):
    """A server that greets its first peer with the first, the next with the next...; the last goes on for ever."""
    connections: set[asyncio.Task[None]] = set()
    greeted = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        task = asyncio.current_task()
        connections.add(task)
        greeted += 1
        with contextlib.suppress(ConnectionError):
            await reader.read(1000)
            writer.write(says[min(greeted, len(says)) - 1])
            await writer.drain()
            async with asyncio.timeout(1):
                while await reader.read(65_536):
                    pass
        writer.close()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


async def test_brokers_that_send_garbage_are_counted_and_the_good_one_stays(bad_site, until):
    async with contextlib.AsyncExitStack() as stack:
        more = ""
        for n, says in enumerate(MAD):
            port = await stack.enter_async_context(broker_that_says(says))
            more += f'[[mqtt]]\nname = "mad-{n}"\nurl = "mqtt://127.0.0.1:{port}"\nnode = "n1"\n'
        site = await bad_site(more)
        for n in range(len(MAD)):
            await site.counts(2, "evcore_mqtt_failures_total", connector=f"mad-{n}")
            await until(lambda n=n: site.health(f"mad-{n}").startswith("down"), f"mad-{n} shown as down")
        assert await site.counted("evcore_mqtt_failures_total", connector="mqtt") == 0
        await site.goes_on()
        await site.leaves_nothing()
