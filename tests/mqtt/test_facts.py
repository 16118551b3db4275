"""Facts of the outbox against a mosquitto that is killed in between: each arrives, those of one session in order."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from evcore.backends import MqttBackend
from evcore.errors import StoreError
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.outbox import StoreOutbox
from evcore.gateway.store import Store
from evcore.model import Event, SessionRecord
from evcore.ports import Fact


class ListOutbox:
    """An outbox in memory: the oldest of each key, given once until done or failed."""

    def __init__(self) -> None:
        self.waiting: list[Fact] = []
        self.given: set[int] = set()
        self.delivered: list[int] = []
        self.refused: list[tuple[int, str]] = []
        self.broken = 0
        self._news = asyncio.Event()

    def put(self, fact: Fact) -> None:
        self.waiting.append(fact)
        self._news.set()

    async def next(self, limit: int = 50) -> Sequence[Fact]:
        while True:
            first = {fact.order_key: fact for fact in reversed(self.waiting)}
            facts = [fact for fact in first.values() if fact.id not in self.given][:limit]
            if facts:
                self.given |= {fact.id for fact in facts}
                return facts
            self._news.clear()
            await self._news.wait()

    async def done(self, ids: Sequence[int]) -> None:
        if self.broken:
            self.broken -= 1
            raise StoreError("the disk is full")
        self.delivered += ids
        self.waiting = [fact for fact in self.waiting if fact.id not in ids]
        self._news.set()

    async def failed(self, id: int, error: str) -> None:
        self.refused.append((id, error))
        self.given.discard(id)
        self.waiting = [replace(fact, attempts=fact.attempts + 1) if fact.id == id else fact for fact in self.waiting]


def fact(number: int, session: str, station: str = "CP1") -> Fact:
    return Fact(number, session, "session.updated", {"id": session, "station": station, "evse": 1, "energy_wh": number})


async def test_no_fact_is_lost_when_the_broker_is_killed_and_each_session_stays_in_order(
    mosquitto, watch, run, hub, until
):
    mosquitto.start()
    outbox = ListOutbox()
    mqtt = MqttBackend(mosquitto.url, node="n1", outbox=outbox, window=4, retry_s=(0.05, 0.1))
    await run(mqtt)
    watcher = await watch(mosquitto.port)
    topic = "evcore/v1/site/CP1/event/session.updated"
    seen: list[dict] = []
    for number in range(60):
        outbox.put(fact(number, f"s{number % 7}"))
    await until(lambda: len(outbox.delivered) >= 10)
    for number in range(60, 100):
        outbox.put(fact(number, f"s{number % 7}"))
    mosquitto.kill()
    await until(lambda: not mqtt.connected.is_set())
    seen += [json.loads(m.payload) for m in watcher.on(topic)]
    before = len(outbox.delivered)
    assert before < 100, "the test is too slow to kill it in the middle"
    await asyncio.sleep(0.05)
    assert len(outbox.delivered) == before
    mosquitto.start()
    again = await watch(mosquitto.port)
    await until(lambda: not outbox.waiting)
    await until(lambda: len({json.loads(m.payload)["fact"] for m in again.on(topic)}) >= 100 - before - 8)
    assert sorted(outbox.delivered) == list(range(100))
    assert not outbox.refused, "an outage is no refusal"
    order = defaultdict(list)
    for number in outbox.delivered:
        order[number % 7].append(number)
    assert all(numbers == sorted(numbers) for numbers in order.values())
    bodies = [json.loads(m.payload) for m in again.on(topic)]
    assert bodies[0]["source"] == "CP1"
    assert bodies[0]["kind"] == "session.updated"
    assert bodies[0]["data"]["energy_wh"] == bodies[0]["fact"]


async def test_what_the_outbox_tells_the_hub_does_not_tell_again(mosquitto, watch, run, hub, until):
    mosquitto.start()
    outbox = ListOutbox()
    await run(MqttBackend(mosquitto.url, node="n1", outbox=outbox))
    watcher = await watch(mosquitto.port)
    hub.publish(Event("CP1", "session.started", 1))
    hub.publish(Event("CP1", "fault.raised", 1))
    outbox.put(fact(1, "s1"))
    await until(lambda: watcher.on("evcore/v1/site/CP1/event/session.updated"))
    await until(lambda: watcher.on("evcore/v1/site/CP1/event/fault.raised"))
    assert not watcher.on("evcore/v1/site/CP1/event/session.started")


async def test_a_full_disk_delays_the_deletion_and_tells_nothing_twice(mosquitto, watch, run, hub, until, monkeypatch):
    monkeypatch.setattr("evcore.backends.mqtt_facts._RETRY_S", 0.02)
    mosquitto.start()
    outbox = ListOutbox()
    outbox.broken = 3
    await run(MqttBackend(mosquitto.url, node="n1", outbox=outbox))
    watcher = await watch(mosquitto.port)
    outbox.put(fact(1, "s1"))
    await until(lambda: outbox.delivered == [1])
    outbox.put(fact(2, "s1"))
    await until(lambda: outbox.delivered == [1, 2])
    topic = "evcore/v1/site/CP1/event/session.updated"
    await until(lambda: len(watcher.on(topic)) >= 2)
    assert [json.loads(m.payload)["fact"] for m in watcher.on(topic)] == [1, 2]
    assert hub.counters()["evcore_mqtt_outbox_errors_total", ()] == 3


async def test_a_fact_that_the_broker_refuses_goes_back_with_the_reason(mosquitto, run, hub, until, tmp_path):
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite evcore/v1/site/CP2/#\ntopic readwrite evcore/v1/site/$gateway/#\n")
    rules.chmod(0o600)
    mosquitto.lines.append(f"acl_file {rules}")
    mosquitto.start()
    outbox = ListOutbox()
    await run(MqttBackend(mosquitto.url, node="n1", outbox=outbox))
    outbox.put(fact(1, "s1", "CP1"))
    outbox.put(fact(2, "s2", "CP2"))
    await until(lambda: outbox.refused and outbox.delivered)
    assert outbox.delivered == [2]
    assert outbox.refused[0] == (1, "Not authorized")


async def test_a_session_on_disk_reaches_the_broker_and_leaves_the_real_outbox(
    mosquitto, watch, run, hub, until, tmp_path
):
    store = Store(tmp_path / "site.db")
    await store.open()
    ledger = StoreLedger(store, destinations=["mqtt"])
    outbox = StoreOutbox(store, "mqtt")
    now = time.time_ns()
    # The broker is away while the session begins.
    begun = await ledger.record(SessionRecord("CP1", "start", now, b"{1}", evse=1, token="CARD", meter="1000"))
    mqtt = MqttBackend(mosquitto.url, node="n1", outbox=outbox, retry_s=(0.05, 0.1))
    running = await run(mqtt, up=False)
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    transaction = begun.session.transaction_id
    await ledger.record(SessionRecord("CP1", "end", now + 1, b"{2}", evse=1, transaction_id=transaction, meter="8420"))
    topic = "evcore/v1/site/CP1/event/session."
    ended = await until(lambda: watcher.last(topic + "ended"))
    assert ended["session"] == begun.session.id
    assert ended["data"]["energy_wh"] == 7420.0
    assert ended["data"]["token"] == "CARD"
    while (await outbox.state()).waiting:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    await store.close()
