"""The whole gateway is killed at random moments while stations charge; what they were answered is on disk, once.

EVCORE_KILLS: how many kills (10); the long run takes 200.
"""

import asyncio
import contextlib
import json
import os
import random
from collections import Counter

import pytest
from killed_gateway import KilledGateway

from evcore.sim import SimStation

KILLS = int(os.environ.get("EVCORE_KILLS", "10"))
RECORDS = {"StartTransaction", "MeterValues", "StopTransaction", "TransactionEvent"}
# Its broker is away, so that all it has to tell stays in the outbox.
SITE = """
[store]
path = "site.db"
[[ocpp]]
port = {port}
allow_unauthenticated = true
[[mqtt]]
name = "backend"
url = "mqtt://127.0.0.1:{nobody}"
[http]
port = 0
[tariff]
currency = "EUR"
per_kwh = 0.5
"""
TOKEN = """
[[tokens]]
id = "{id}"
"""


async def drive(station, evse, stop, chance):
    """Cars come and go, whether the gateway is there or not."""
    token = f"{station.id}-{evse}"
    while not stop.is_set():
        if await station.plug_in(evse, token):
            await asyncio.sleep(chance.uniform(0.1, 1.5))
        await station.unplug(evse)
        await asyncio.sleep(chance.uniform(0.01, 0.1))


def said(payload):
    """One text for one payload, whoever wrote the JSON."""
    return json.dumps(payload, sort_keys=True)


def answered(station):
    """The station's own log: every record that it got an answer for."""
    refused = [entry for entry in station.answers if entry.answer is None]
    assert refused == []
    records = [entry for entry in station.answers if entry.action in RECORDS]
    return [entry for entry in records if entry.action != "MeterValues" or "transactionId" in entry.payload]


@pytest.mark.timeout(60 + 10 * KILLS)
async def test_no_answered_record_is_lost_or_doubled_when_the_gateway_is_killed(tmp_path, free_port):
    chance = random.Random(20261123)
    versions = ["1.6", "1.6", "1.6", "2.0.1", "2.0.1", "2.1"]
    tokens = [f"CP{n}-{evse}" for n in range(len(versions)) for evse in (1, 2)]
    port = free_port()
    site = SITE.format(port=port, nobody=free_port()) + "".join(TOKEN.format(id=id) for id in tokens)
    gateway = KilledGateway(tmp_path, site)
    await gateway.start()
    stations = [
        SimStation(f"ws://127.0.0.1:{port}", f"CP{n}", version=version, evses=2, speed=60, interval_s=5, backoff_s=0.02)
        for n, version in enumerate(versions)
    ]
    running = [asyncio.ensure_future(station.run()) for station in stations]
    stop = asyncio.Event()
    drivers = [asyncio.ensure_future(drive(station, evse, stop, chance)) for station in stations for evse in (1, 2)]

    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        await gateway.kill()
        await asyncio.sleep(chance.uniform(0, 0.2))
        await gateway.start()
    await asyncio.sleep(0.5)
    stop.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*drivers)
        for station in stations:
            await station.queue.drained()
    await gateway.kill()
    for task in running:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    logs = {station.id: answered(station) for station in stations}
    expected = Counter((id, said(entry.payload)) for id, log in logs.items() for entry in log)
    found = Counter(
        (id, said(json.loads(payload)))
        for id, payload in await gateway.rows(
            "SELECT station, coalesce(r.payload, p.payload) FROM records r JOIN sessions s ON s.n = r.session "
            "LEFT JOIN payloads p USING (session, seq, digest)",
        )
    )
    assert max(expected.values()) == 1
    assert found - expected == Counter(), "a record is there twice, or was never sent"
    assert expected - found == Counter(), "an answered record is lost"
    assert len(expected) > 5 * KILLS

    starts = [
        entry
        for log in logs.values()
        for entry in log
        if entry.action == "StartTransaction" or entry.payload.get("eventType") == "Started"
    ]
    sessions = await gateway.rows(
        "SELECT s.id, state, energy_wh, meter_start, meter_stop, min(received_ns), max(received_ns), "
        "sum(kind = 'start'), sum(kind = 'end'), sum(conflict) FROM sessions s JOIN records ON n = session GROUP BY n",
    )
    assert len(sessions) == len(starts)
    assert {session[1] for session in sessions} == {"ended"}
    assert {session[7:] for session in sessions} == {(1, 1, 0)}
    for _, _, energy, first, last, *_ in sessions:
        assert float(energy) == pytest.approx(float(last) - float(first))
    assert sum(float(session[2]) for session in sessions) > 0
    across = [one for one in sessions if any(one[5] < kill < one[6] for kill in gateway.kills_ns)]
    assert len(across) >= max(1, KILLS // 4), "sessions go on across restarts"

    given = {str(entry.answer["transactionId"]) for entry in starts if entry.action == "StartTransaction"}
    kept = await gateway.rows("SELECT transaction_id FROM sessions WHERE start_key IS NOT NULL")
    assert given == {id for (id,) in kept}

    facts = await gateway.rows("SELECT order_key, kind FROM outbox WHERE kind != 'session.updated' ORDER BY id")
    told = {session[0]: [] for session in sessions}
    for key, kind in facts:
        told[key].append(kind)
    assert {tuple(kinds) for kinds in told.values()} == {("session.started", "session.ended")}
