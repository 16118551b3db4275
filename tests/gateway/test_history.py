import asyncio

import pytest

from evcore.gateway.history import History
from evcore.gateway.ledger import StoreLedger
from evcore.local import LocalHub
from evcore.model import Sample, SessionRecord

SECOND = 10**9
DAY = 86_400 * SECOND
NOON = 20_000 * DAY


def reading(seconds, wh, *, meter="meter-1", **more):
    return Sample(meter, "Energy.Active.Import.Register", wh, "Wh", NOON + int(seconds * SECOND), **more)


async def session(ledger, station, at, *, end=False):
    begun = await ledger.record(SessionRecord(station, "start", at, f"{station}{at}".encode(), meter="0", evse=1))
    if end:
        id = begun.session.transaction_id
        begun = await ledger.record(SessionRecord(station, "end", at + 1, b"end", transaction_id=id, meter="1"))
    return begun.session


async def eventually(found):
    for _ in range(500):
        if result := await found():
            return result
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def test_sessions_come_newest_first_by_page_and_by_filter(store):
    ledger, history = StoreLedger(store), History(store)
    made = [await session(ledger, f"CP{n % 2}", NOON + n // 2, end=n % 3 == 0) for n in range(11)]
    newest_first = sorted(made, key=lambda one: (one.started_ns, made.index(one)), reverse=True)
    assert await history.sessions() == newest_first
    pages, after = [], None
    while page := await history.sessions(after=after, limit=4):
        pages.append(len(page))
        assert page == newest_first[sum(pages) - len(page) : sum(pages)]
        after = page[-1].id
    assert pages == [4, 4, 3]
    assert await history.sessions(station="CP1") == [one for one in newest_first if one.station == "CP1"]
    for state in ("active", "ended"):
        assert await history.sessions(state=state) == [one for one in newest_first if one.state == state]
    assert (
        await history.sessions(station="CP0", state="ended", limit=1)
        == [one for one in newest_first if one.station == "CP0" and one.state == "ended"][:1]
    )
    assert await history.sessions(state="' OR 1 --") == []
    assert await history.sessions(after="nobody") == []
    assert await history.session("nobody") is None
    assert await history.session_samples("nobody") == []


async def test_registers_come_back_as_they_were_by_range(store):
    history = History(store)
    exact = reading(0, 1000.5, digits="1.0005", phase="L1", quality="good")
    later = reading(60, 1100.0)
    await history.record([later, exact, reading(0, 5.0, meter="meter-2")])
    await history.record([reading(60, 9999.0)])  # what is there stays
    assert await history.energy("meter-1", NOON, NOON + 61 * SECOND) == [
        exact,
        Sample(**{name: getattr(later, name) for name in Sample.__slots__} | {"digits": "1100.0"}),
    ]
    assert await history.energy("meter-1", NOON + 1, NOON + 60 * SECOND) == []
    assert len(await history.energy("meter-2", 0, 2**62)) == 1


async def test_the_registers_of_meters_are_written_down_thinned(store):
    hub, history = LocalHub(), History(store, every_s=60, batch_s=0.01)
    running = asyncio.ensure_future(history.run(hub))
    await asyncio.sleep(0)
    for second in range(0, 300, 20):
        hub.publish(reading(second, float(second)))
        await asyncio.sleep(0)
    hub.publish(Sample("meter-1", "Power.Active.Import", 1.0, "W", NOON))
    hub.publish(reading(400, 1.0, quality="stale"))
    hub.publish(reading(500, 1.0, session="s-1"))
    hub.publish(reading(1000, 1.0, meter="last"))
    await eventually(lambda: history.energy("last", 0, 2**62))
    running.cancel()
    written = [(sample.time_ns - NOON) // SECOND for sample in await history.energy("meter-1", 0, 2**62)]
    assert written == [0, 60, 120, 180, 240]


async def test_what_was_taken_is_written_when_the_recorder_is_cancelled(store):
    hub, history = LocalHub(), History(store, batch_s=3600)
    running = asyncio.ensure_future(history.run(hub))
    await asyncio.sleep(0)
    hub.publish(reading(0, 1.0))
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(await history.energy("meter-1", 0, 2**62)) == 1


async def test_little_space_costs_registers_of_meters_only(store):
    hub, history = LocalHub(), History(store, batch_s=0.01, spare_bytes=1 << 62)
    running = asyncio.ensure_future(history.run(hub))
    await asyncio.sleep(0)
    hub.publish(reading(0, 1.0))

    async def thinned():
        return history.thinned

    assert await eventually(thinned) == 1
    running.cancel()
    assert await history.energy("meter-1", 0, 2**62) == []


async def test_old_telemetry_is_thinned_and_session_registers_are_not(store):
    ledger = StoreLedger(store, curve_s=0, clock=lambda: NOON)
    history = History(store, fine_days=2, coarse_s=900, clock=lambda: NOON + 2 * DAY + 3600 * SECOND)
    await history.record([reading(60 * n, float(n)) for n in range(120)])  # two hours
    begun = await session(ledger, "CP1", NOON)
    for n in range(120):
        time = NOON + 60 * n * SECOND
        power = Sample("CP1", "Power.Active.Import", float(n), "W", time, evse=1)
        energy = Sample("CP1", "Energy.Active.Import.Register", float(n), "Wh", time, evse=1, digits=str(n))
        update = SessionRecord(
            "CP1", "update", time, f"u{n}".encode(), transaction_id=begun.transaction_id, samples=(power, energy)
        )
        await ledger.record(update)
    assert await store.read(lambda conn: conn.execute("SELECT count(*) FROM payloads").fetchone()) == (120,)
    steps = 0
    while await history.compact():
        steps += 1
        assert steps < 100
    # the first hour is older than two days: four values are left of its sixty
    assert len(await history.energy("meter-1", 0, 2**62)) == 4 + 60
    samples = await history.session_samples(begun.id)
    assert len([sample for sample in samples if sample.measurand == "Power.Active.Import"]) == 4 + 60
    assert [sample.digits for sample in samples if sample.measurand != "Power.Active.Import"] == [
        str(n) for n in range(120)
    ]
    assert await store.read(lambda conn: conn.execute("SELECT count(*) FROM payloads").fetchone()) == (0,)
    kept = await store.read(lambda conn: conn.execute("SELECT kind, payload FROM records").fetchall())
    assert len(kept) == 121
    assert {kind: payload for kind, payload in kept if payload is not None} == {"start": f"CP1{NOON}".encode()}
    assert (await ledger.record(update)).duplicate  # the digest stays


async def test_thinning_goes_on_while_the_store_is_in_trouble(store):
    history = History(store)
    await store.close()
    assert await history.compact() == 0
