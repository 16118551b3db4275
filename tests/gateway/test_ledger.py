import asyncio
import logging
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcore.errors import StoreError
from evcore.gateway.history import History
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.outbox import StoreOutbox
from evcore.gateway.store import Store
from evcore.gateway.tariff import Tariff
from evcore.gateway.tokens import Tokens
from evcore.model import Authorization, Sample, SessionRecord, wire
from evcore.ports import Token

SECOND = 10**9
NOON = 1_790_000_000 * SECOND


def start(station="CP1", time=NOON, meter="1000", token="TAG", connector=1, **more):
    """An OCPP 1.6 StartTransaction: the ledger gives the transaction id."""
    payload = f'{{"connectorId":{connector},"idTag":"{token}","meterStart":{meter},"timestamp":{time}}}'.encode()
    return SessionRecord(
        station, "start", time, payload, evse=connector, connector=connector, token=token, meter=meter, **more
    )


def said(kind, transaction, time, station="CP1", meter=None, seq=None, payload=None, **more):
    payload = payload or f"{kind} {transaction} {time} {meter} {seq}".encode()
    return SessionRecord(station, kind, time, payload, transaction_id=transaction, meter=meter, seq_no=seq, **more)


def register(time, wh, digits=None, **more):
    return Sample("CP1", "Energy.Active.Import.Register", wh, "Wh", time, evse=1, digits=digits, **more)


async def rows(store, sql, *values):
    return await store.read(lambda conn: conn.execute(sql, values).fetchall())


@pytest.fixture
def ledger(store):
    return StoreLedger(store)


async def test_what_the_station_calculated_is_the_cost_where_there_is_no_tariff(store):
    for ledger, cost in ((StoreLedger(store), 130), (StoreLedger(store, price=Tariff("EUR", per_kwh="50")), 100)):
        started = await ledger.record(start(station=f"CP{cost}"))
        told = {"station": f"CP{cost}", "cost": 130, "currency": "EUR"}
        end = said("end", started.session.transaction_id, NOON + 60 * SECOND, meter="3000", **told)
        assert (await ledger.record(end)).session.cost == cost
        late = said("update", started.session.transaction_id, NOON + 50 * SECOND, **told | {"cost": 90})
        assert (await ledger.record(late)).session.cost == cost, "a running cost after the end"


async def test_a_session_of_ocpp_1_6_from_start_to_stop(store, ledger):
    started = await ledger.record(start())
    id = started.session.transaction_id
    assert 1 <= int(id) < 2**31
    assert (started.session.state, started.duplicate) == ("active", False)
    await ledger.record(said("update", id, NOON + 60 * SECOND, samples=(register(NOON + 60 * SECOND, 1500.0, "1.5"),)))
    ended = await ledger.record(said("end", id, NOON + 120 * SECOND, meter="3000.5", reason="EVDisconnected"))
    assert ended.session == replace(
        started.session,
        state="ended",
        ended_ns=NOON + 120 * SECOND,
        meter_stop="3000.5",
        energy_wh=2000.5,
        reason="EVDisconnected",
    )
    history = History(store)
    assert await history.session(ended.session.id) == ended.session
    samples = await history.session_samples(ended.session.id)
    assert [(sample.value, sample.digits) for sample in samples] == [(1500.0, "1.5")]
    assert samples[0].session == ended.session.id
    kept = await rows(store, "SELECT kind, payload FROM records ORDER BY time_ns")
    assert [kind for kind, _ in kept] == ["start", "update", "end"]
    assert kept[0][1] == start().payload


async def test_a_start_that_is_sent_again_gets_the_same_transaction_id(store, ledger):
    first = await ledger.record(start())
    again = await ledger.record(start())
    rewritten = await ledger.record(replace(start(), payload=b"the same, other JSON"))
    assert again == replace(first, duplicate=True)
    assert rewritten.session.transaction_id == first.session.transaction_id
    assert rewritten.duplicate
    assert await rows(store, "SELECT count(*) FROM sessions") == [(1,)]


@pytest.mark.parametrize(
    "other", [start(time=NOON + 1), start(meter="1001"), start(token="OTHER"), start(connector=2), start("CP2")]
)
async def test_a_start_that_differs_is_another_session(store, ledger, other):
    first, second = await ledger.record(start()), await ledger.record(other)
    assert first.session.id != second.session.id
    assert not second.duplicate


async def test_a_hundred_starts_at_once_sent_twice_are_a_hundred_sessions(store, ledger):
    records = [start(f"CP{n % 10}", NOON + n) for n in range(100)]
    answers = await asyncio.gather(*(ledger.record(record) for record in records * 2))
    assert len({answer.session.id for answer in answers}) == 100
    assert len({(answer.session.station, answer.session.transaction_id) for answer in answers}) == 100
    assert store.commits < 100


async def test_every_repeat_after_the_end_gets_the_first_answer(store, ledger):
    id = (await ledger.record(start())).session.transaction_id
    update, end = said("update", id, NOON + 1, meter="1100"), said("end", id, NOON + 2, meter="1200")
    await ledger.record(update)
    ended = await ledger.record(end)
    for record in (start(), update, end):
        again = await ledger.record(record)
        assert (again.duplicate, again.session) == (True, ended.session)
    assert await rows(store, "SELECT count(*) FROM records") == [(3,)]


async def test_a_station_cannot_touch_the_session_of_another(store, ledger):
    mine = (await ledger.record(start("CP1"))).session
    theirs = await ledger.record(said("end", mine.transaction_id, NOON + 5, station="CP2", meter="999999"))
    assert theirs.session.station == "CP2"
    assert theirs.session.id != mine.id
    assert await History(store).session(mine.id) == mine


async def test_a_stop_of_an_unknown_transaction_is_a_session_of_its_own(store, ledger, caplog):
    end = said("end", "4711", NOON, meter="5000", reason="PowerLoss")
    recorded = await ledger.record(end)
    assert (recorded.session.state, recorded.session.meter_stop, recorded.duplicate) == ("ended", "5000", False)
    assert "whose start never came" in caplog.text
    assert (await ledger.record(end)).duplicate


@pytest.mark.parametrize("id", ["0", "-1"])
async def test_stops_of_a_station_that_never_heard_an_id_are_each_a_session(store, ledger, id):
    stops = [said("end", id, NOON + n, meter=str(n)) for n in range(3)]
    sessions = {(await ledger.record(stop)).session.id for stop in stops}
    assert len(sessions) == 3
    assert {(await ledger.record(stop)).session.id for stop in stops} == sessions
    assert await rows(store, "SELECT count(*) FROM records") == [(3,)]


async def test_a_2x_station_that_numbers_its_transactions_anew_begins_another_session(ledger):
    first = await ledger.record(said("start", "1", NOON, meter="10", seq=0))
    await ledger.record(said("end", "1", NOON + 5, meter="20", seq=1))
    second = await ledger.record(said("start", "1", NOON + 9, meter="20", seq=0))
    ended = await ledger.record(said("end", "1", NOON + 20, meter="50", seq=1))
    assert first.session.id != second.session.id == ended.session.id
    assert ended.session.energy_wh == 30
    assert (await ledger.record(said("end", "1", NOON + 5, meter="20", seq=1))).session.id == first.session.id


async def test_a_station_without_a_clock_may_start_twice_at_the_same_time_of_1970(ledger):
    first = await ledger.record(start(time=0))
    assert (await ledger.record(start(time=0))).session.id == first.session.id
    await ledger.record(said("end", first.session.transaction_id, SECOND, meter="1000"))
    assert (await ledger.record(start(time=0))).session.id != first.session.id


async def test_a_2x_end_may_come_before_what_it_ends(ledger):
    end = await ledger.record(said("end", "t", NOON + 9, meter="1900", seq=2, reason="Local"))
    assert end.session.state == "ended"
    await ledger.record(said("update", "t", NOON + 5, meter="1500", seq=1, offline=True))
    late = await ledger.record(said("start", "t", NOON, meter="1000", seq=0, token="TAG", evse=2))
    assert not late.duplicate
    assert late.session == replace(
        end.session, started_ns=NOON, meter_start="1000", energy_wh=900, token="TAG", evse=2, connector=0
    )


async def test_another_content_at_the_same_seq_no_is_kept_and_reported(store, caplog):
    ledger = StoreLedger(store, destinations=["mqtt"])
    await ledger.record(said("start", "t", NOON, meter="1000", seq=0))
    first = await ledger.record(said("update", "t", NOON + 1, meter="1100", seq=1))
    other = said("update", "t", NOON + 1, meter="9999", seq=1, samples=(register(NOON + 1, 9999.0),))
    recorded = await ledger.record(other)
    assert (recorded.duplicate, recorded.session) == (True, first.session)
    assert "contradicts" in caplog.text
    [conflict] = await ledger.conflicts()
    assert (conflict.station, conflict.transaction_id, conflict.seq_no, conflict.payload) == (
        "CP1",
        "t",
        1,
        other.payload,
    )
    assert await rows(store, "SELECT kind FROM outbox ORDER BY id") == [("session.started",), ("session.conflict",)]
    await ledger.record(other)
    assert len(await ledger.conflicts()) == 1


async def test_a_second_stop_with_another_meter_is_kept_and_reported(ledger):
    id = (await ledger.record(start())).session.transaction_id
    ended = await ledger.record(said("end", id, NOON + 5, meter="2000"))
    other = await ledger.record(said("end", id, NOON + 5, meter="7000"))
    assert (other.session, other.duplicate) == (ended.session, True)
    assert [conflict.seq_no for conflict in await ledger.conflicts()] == [None]


async def test_an_update_that_names_no_transaction_is_refused(ledger):
    with pytest.raises(ValueError, match="transaction_id"):
        await ledger.record(SessionRecord("CP1", "update", NOON, b"x"))


async def test_a_time_that_no_row_can_hold_does_not_lose_the_record(store, ledger):
    recorded = await ledger.record(start(time=253_402_300_799 * SECOND))  # the year 9999
    assert recorded.session.started_ns == 2**63 - 1
    assert wire(recorded.session)["started"].startswith("2262")
    assert await rows(store, "SELECT count(*) FROM records") == [(1,)]


async def test_values_that_are_no_numbers_stay_in_the_payload(store, ledger):
    sample = register(NOON, float("nan"), "NaN")
    await ledger.record(replace(start(), samples=(sample,)))
    assert await rows(store, "SELECT count(*) FROM samples") == [(0,)]


@pytest.mark.parametrize("hostile", ["' OR 1=1; DROP TABLE sessions --", "../../etc", "%00\x00", "‮", "x" * 10**6])
async def test_hostile_ids_are_only_text(ledger, hostile):
    first = await ledger.record(start(hostile, token=hostile))
    ended = await ledger.record(said("end", first.session.transaction_id, NOON + 1, station=hostile))
    assert (ended.session.station, ended.session.state) == (hostile, "ended")


async def test_registers_are_all_kept_with_their_digits_and_curves_are_thinned(store, ledger):
    id = (await ledger.record(start())).session.transaction_id
    for n in range(0, 180, 10):
        time = NOON + n * SECOND
        power = Sample("CP1", "Power.Active.Import", 11000.0, "W", time, evse=1)
        signed = Sample("CP1", "Voltage", 230.0, "V", time, evse=1, signed="OCMF|...")
        energy = register(time, 1000.0 + n, f"{1000 + n}.000")
        await ledger.record(said("update", id, time, samples=(energy, power, signed)))
    kept = await rows(
        store, "SELECT measurand, count(*), min(digits) FROM samples JOIN series ON n = series GROUP BY measurand"
    )
    assert kept == [
        ("Energy.Active.Import.Register", 18, "1000.000"),
        ("Power.Active.Import", 3, ""),
        ("Voltage", 18, "230.0"),
    ]


async def test_little_space_costs_curves_and_never_a_record_or_a_register(store):
    ledger = StoreLedger(store, spare_bytes=1 << 62)
    power = Sample("CP1", "Power.Active.Import", 11000.0, "W", NOON, evse=1)
    await ledger.record(replace(start(), samples=(power, register(NOON, 1000.0))))
    assert await rows(store, "SELECT measurand FROM samples JOIN series ON n = series") == [
        ("Energy.Active.Import.Register",)
    ]
    assert await rows(store, "SELECT count(*) FROM records") == [(1,)]


async def test_a_full_disk_refuses_the_record_and_takes_it_when_it_comes_again(small_disk):
    store = Store(small_disk / "site.db")
    await store.open()
    ledger = StoreLedger(store, destinations=["mqtt"])
    before = await ledger.record(start())
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
    large = replace(start("CP2"), payload=b"x" * 300_000)
    with pytest.raises(StoreError, match="full"):
        await ledger.record(large)
    assert await rows(store, "SELECT count(*) FROM sessions") == [(1,)]
    assert await rows(store, "SELECT count(*) FROM outbox") == [(1,)]
    ballast.unlink()
    assert not (await ledger.record(large)).duplicate
    assert (await ledger.record(start())).session == before.session
    await store.close()


async def test_the_verdict_is_that_of_the_token_in_the_record_else_of_the_session(store):
    tokens = Tokens(store)
    await tokens.put(Token("TAG", group="fleet"))
    await tokens.put(Token("BAD", status="Blocked"))
    ledger = StoreLedger(store, tokens=tokens)
    started = await ledger.record(start())
    assert started.authorization == Authorization("Accepted", group="fleet")
    id = started.session.transaction_id
    assert (await ledger.record(said("update", id, NOON + 1))).authorization.status == "Accepted"
    assert (await ledger.record(said("end", id, NOON + 2, token="BAD"))).authorization.status == "Blocked"
    assert (await ledger.record(start(token="nobody"))).authorization.status == "Invalid"


async def test_the_destinations_hear_start_thinned_updates_and_end_in_order(store):
    now = NOON
    ledger = StoreLedger(store, destinations=["mqtt", "csms"], clock=lambda: now)
    started = (await ledger.record(start())).session
    for n in range(1, 601):
        now = NOON + n * SECOND
        await ledger.record(said("update", started.transaction_id, now, meter=str(1000 + n)))
    ended = (await ledger.record(said("end", started.transaction_id, now, meter="2000"))).session
    for destination in ("mqtt", "csms"):
        outbox = StoreOutbox(store, destination)
        heard = []
        for _ in range(3):
            [fact] = await outbox.next()
            heard.append((fact.order_key, fact.kind, fact.body["state"], fact.body["energy_wh"]))
            await outbox.done([fact.id])
        assert heard == [
            (started.id, "session.started", "active", 0.0),
            (started.id, "session.updated", "active", 600.0),  # ten, conflated to the newest
            (started.id, "session.ended", "ended", 1000.0),
        ]
        assert (await outbox.state()).waiting == 0
    assert wire(ended)["energy_wh"] == 1000.0


async def test_a_session_known_only_by_its_end_is_started_and_ended_and_a_late_start_updates_it(store):
    ledger = StoreLedger(store, destinations=["mqtt"])
    await ledger.record(said("end", "t", NOON + 9, meter="1900", seq=2))
    await ledger.record(said("start", "t", NOON, meter="1000", seq=0))
    assert await rows(store, "SELECT kind, body ->> 'energy_wh' FROM outbox ORDER BY id") == [
        ("session.started", 0.0),
        ("session.ended", 0.0),
        ("session.updated", 900.0),
    ]


class Hooks:
    def __init__(self):
        self.calls = []
        self.error = None

    def _call(self, kind, conn, session):
        self.calls.append((kind, session.state, session.energy_wh, session.cost))
        conn.execute("INSERT INTO tokens VALUES (?, 'x', 'Accepted', NULL, NULL, '')", (f"hook {len(self.calls)}",))
        if self.error is not None:
            raise self.error
        return replace(session, payment="pay-1", energy_wh=1e9)

    def started(self, conn, session):
        return self._call("started", conn, session)

    def updated(self, conn, session):
        return self._call("updated", conn, session)

    def ended(self, conn, session):
        return self._call("ended", conn, session)


async def test_hooks_run_in_the_transaction_of_the_record_after_the_price(store):
    hooks = Hooks()
    ledger = StoreLedger(store, hooks=[hooks], price=Tariff("EUR", per_kwh="50"))
    id = (await ledger.record(start())).session.transaction_id
    await ledger.record(said("update", id, NOON + 1, meter="2000"))
    ended = (await ledger.record(said("end", id, NOON + 2, meter="3000"))).session
    await ledger.record(said("end", id, NOON + 2, meter="3000"))
    assert hooks.calls == [("started", "active", 0, 0), ("updated", "active", 1000, 50), ("ended", "ended", 2000, 100)]
    assert (ended.payment, ended.cost, ended.currency, ended.energy_wh) == ("pay-1", 100, "EUR", 2000)
    assert await History(store).session(ended.id) == ended
    assert len(await rows(store, "SELECT 1 FROM tokens")) == 3


async def test_a_hook_or_price_that_fails_costs_only_itself(store, caplog):
    hooks = Hooks()
    hooks.error = RuntimeError("hook")

    def price(session):
        raise ZeroDivisionError

    ledger = StoreLedger(store, hooks=[hooks], price=price)
    recorded = await ledger.record(start())
    assert (recorded.session.payment, recorded.session.cost) == (None, None)
    assert await History(store).session(recorded.session.id) == recorded.session
    assert not await rows(store, "SELECT 1 FROM tokens")
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]


async def interleave(store, data, updates, version):
    ledger = StoreLedger(store)
    meters = [Decimal(1000) + Decimal("0.1") * n * n for n in range(updates + 2)]

    def the(n, id):
        kind = "end" if n == updates + 1 else "update"
        return said(kind, id, NOON + n, meter=str(meters[n]), seq=None if version == "1.6" else n)

    if version == "1.6":  # nothing can be said of a transaction before its id is known
        id = (await ledger.record(start(meter=str(meters[0])))).session.transaction_id
        records = [start(meter=str(meters[0]))] + [the(n, id) for n in range(1, updates + 2)]
    else:
        first = said("start", "t", NOON, meter=str(meters[0]), seq=0, token="TAG", evse=1, connector=1)
        records = [first] + [the(n, "t") for n in range(1, updates + 2)]
    sent = data.draw(st.permutations(records + data.draw(st.lists(st.sampled_from(records), max_size=6))))
    if data.draw(st.booleans()):
        await asyncio.gather(*(ledger.record(record) for record in sent))
    else:
        for record in sent:
            await ledger.record(record)
    [session] = await History(store).sessions()
    assert (session.state, session.started_ns, session.token) == ("ended", NOON, "TAG")
    assert Decimal(repr(session.energy_wh)) == meters[-1] - meters[0]
    assert await rows(store, "SELECT count(*), sum(conflict) FROM records") == [(updates + 2, 0)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), updates=st.integers(0, 5), version=st.sampled_from(["1.6", "2.0.1"]))
async def test_any_interleaving_of_repeats_and_orders_is_one_session_with_the_right_energy(
    tmp_path_factory, data, updates, version
):
    store = Store(tmp_path_factory.mktemp("any") / "site.db")
    await store.open()
    try:
        await interleave(store, data, updates, version)
    finally:
        await store.close()


async def test_the_example_charges_and_tells_its_backend_also_the_second_time(tmp_path):
    example = Path(__file__).resolve().parents[2] / "examples" / "durable_csms.py"
    for _ in range(2):
        command = [sys.executable, example, tmp_path / "site.db"]
        run = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        said = run.stdout.splitlines()
        assert said[0] == "charges: True"
        assert said[-1].startswith("session.ended")
        assert said[-1].endswith("EUR")


async def test_a_token_may_have_one_session_where_the_site_says_so(store):
    ledger = StoreLedger(store, tokens=Tokens(store, accept_unknown=True), one_session=True, clock=lambda: NOON)
    first = await ledger.record(start())
    assert first.authorization.status == "Accepted"
    second = await ledger.record(start(station="CP2", token="tag", time=NOON + SECOND))
    assert second.authorization.status == "ConcurrentTx", "whatever the case, whatever the station"
    assert second.session.state == "active", "it is the station that ends it, and the record is kept"
    again = await ledger.record(said("update", first.session.transaction_id, NOON + 2 * SECOND, token="TAG"))
    assert again.authorization.status == "Accepted", "the first keeps its right"
    assert (await ledger.record(start(station="CP3", token="OTHER"))).authorization.status == "Accepted"
    for recorded, station in ((first, "CP1"), (second, "CP2")):
        end = said("end", recorded.session.transaction_id, NOON + 9 * SECOND, station, meter="2000", token="TAG")
        assert (await ledger.record(end)).authorization.status == "Accepted"
    third = await ledger.record(start(station="CP3", connector=2, time=NOON + 10 * SECOND))
    assert third.authorization.status == "Accepted"


async def test_a_session_that_never_ended_does_not_lock_its_token_for_ever(store):
    now = [NOON]
    tokens = Tokens(store, accept_unknown=True)
    ledger = StoreLedger(store, tokens=tokens, one_session=True, clock=lambda: now[0])
    await ledger.record(start())
    now[0] += 2 * 86_400 * SECOND
    later = await ledger.record(start(station="CP2", time=now[0]))
    assert later.authorization.status == "Accepted"
    free = StoreLedger(store, tokens=tokens, clock=lambda: now[0])
    assert (await free.record(start(station="CP3", time=now[0]))).authorization.status == "Accepted", "not by default"
