"""A backend that is away for weeks: nothing of a session is lost, and the disk does not fill.

Ten connectors, four sessions of 5.5 hours a day each, a meter value a minute. EVCORE_DAYS: how many (1); the long run
takes 30, and some minutes.
"""

import asyncio
import os

import pytest

from evcore.gateway.history import History
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.outbox import StoreOutbox
from evcore.model import Sample, SessionRecord

DAYS = int(os.environ.get("EVCORE_DAYS", "1"))
STATIONS = [f"CP{n}" for n in range(10)]
MINUTE = 60 * 10**9
BEGIN = 20_000 * 24 * 60 * MINUTE
REGISTER = "Energy.Active.Import.Register"


class Clock:
    now_ns = BEGIN

    def __call__(self):
        return self.now_ns

    @property
    def wh(self):
        return (self.now_ns - BEGIN) / MINUTE / 8 + 1000.0


def record(station, kind, clock, transaction=None):
    wh, now_ns = clock.wh, clock.now_ns
    energy = Sample(station, REGISTER, wh, "Wh", now_ns, evse=1, digits=f"{wh:.3f}")
    others = [("Power.Active.Import", "W"), ("Current.Import", "A"), ("SoC", "Percent")]
    curves = [Sample(station, measurand, wh % 100, unit, now_ns, evse=1) for measurand, unit in others]
    payload = f"{station} {kind} {now_ns}".encode().ljust(400)
    return SessionRecord(
        station,
        kind,
        now_ns,
        payload,
        evse=1,
        transaction_id=transaction,
        meter=f"{wh:.3f}",
        samples=() if kind == "start" else (energy, *curves),
    )


async def charge_once(ledger, history, clock):
    """Six hours of the site."""
    begun = await asyncio.gather(*(ledger.record(record(station, "start", clock)) for station in STATIONS))
    for minute in range(1, 331):
        clock.now_ns += MINUTE
        kind = "end" if minute == 330 else "update"
        said = [record(one.session.station, kind, clock, one.session.transaction_id) for one in begun]
        meter = [Sample(f"meter-{station}", REGISTER, clock.wh, "Wh", clock.now_ns) for station in STATIONS]
        await asyncio.gather(history.record(meter), *(ledger.record(one) for one in said))
    clock.now_ns += 30 * MINUTE
    while await history.compact():
        pass


async def hear_all(outbox):
    heard = {}
    while (await outbox.state()).waiting:
        facts = await outbox.next(1000)
        for fact in facts:
            heard.setdefault(fact.order_key, []).append((fact.kind, fact.body))
        await outbox.done([fact.id for fact in facts])
    return heard


@pytest.mark.timeout(60 + 30 * DAYS)
async def test_weeks_without_a_backend_lose_nothing_and_do_not_fill_the_disk(store):
    clock = Clock()
    ledger, history = StoreLedger(store, destinations=["backend"], clock=clock), History(store, clock=clock)
    for _ in range(DAYS * 4):
        await charge_once(ledger, history, clock)
    size = sum(file.stat().st_size for file in store.path.parent.glob(store.path.name + "*"))
    print(f"{DAYS} days: {size / 2**20:.1f} MiB")
    assert size <= (64 if DAYS > 10 else 16) * 2**20

    heard = await hear_all(StoreOutbox(store, "backend", clock=clock))
    assert len(heard) == DAYS * 4 * len(STATIONS)
    for facts in heard.values():
        kinds = [kind for kind, _ in facts]
        assert kinds in (
            ["session.started", "session.updated", "session.ended"],
            ["session.started", "session.ended"],
        )
        assert facts[-1][1]["energy_wh"] == pytest.approx(330 / 8)
    count = await store.read(
        lambda conn: conn.execute(
            "SELECT count(*) FROM samples JOIN series ON n = series WHERE measurand = ?", [REGISTER]
        ).fetchone()
    )
    assert count == (DAYS * 4 * len(STATIONS) * 330,)
    assert await store.read(lambda conn: conn.execute("SELECT count(*) FROM records").fetchone()) == (
        DAYS * 4 * len(STATIONS) * 331,
    )
