import asyncio

from evcore.local import LocalHub, LocalLedger
from evcore.model import Answer, Command, Event, Health, Payment, Sample, Session, SessionRecord, Station, Verb


def sample(value, source="meter"):
    return Sample(source, "Voltage", value, "V", 0)


def event(kind):
    return Event("CP1", kind, 0)


async def everything(subscription):
    items = []
    try:
        while True:
            items.append(await asyncio.wait_for(subscription.get(), 0.01))
    except TimeoutError:
        return items


async def test_an_event_comes_after_the_state_of_its_subject_and_before_later_ones():
    hub = LocalHub()
    subscription = hub.subscribe()
    before, after = Station("CP1", True), Station("CP2", True)
    for item in (before, event("e"), after):
        hub.publish(item)
    assert await everything(subscription) == [before, event("e"), after]


async def test_a_waiting_state_takes_the_newest_value_at_its_old_place():
    hub = LocalHub()
    subscription = hub.subscribe()
    for item in (sample(1.0), event("e"), sample(2.0, "other"), sample(3.0)):
        hub.publish(item)
    assert await everything(subscription) == [sample(3.0), event("e"), sample(2.0, "other")]


async def test_a_flood_of_samples_does_not_hold_an_event_back():
    hub = LocalHub()
    subscription = hub.subscribe(limit=10)
    hub.publish(event("e"))
    got = []
    for n in range(5):
        for source in range(10):
            hub.publish(sample(float(n), str(source)))
        got.append(await subscription.get())
    assert event("e") in got


async def test_a_slow_consumer_loses_the_oldest_events_and_they_are_counted():
    hub = LocalHub()
    subscription = hub.subscribe(Event, limit=3)
    for n in range(5):
        hub.publish(event(str(n)))
        hub.publish(sample(float(n)))
    assert await everything(subscription) == [event("2"), event("3"), event("4")]
    assert subscription.dropped == 2


async def test_a_closed_subscription_gets_nothing_more():
    hub = LocalHub()
    subscription = hub.subscribe()
    subscription.close()
    subscription.close()
    hub.publish(event("e"))
    assert await everything(subscription) == []


def session(n, state):
    return Session(str(n), "CP1", 1, str(n), state, 0)


def test_endless_sessions_and_payments_do_not_grow_the_hub():
    hub = LocalHub(over=10)
    for n in range(1000):
        hub.publish(session(n, "active"))
        hub.publish(session(n, "ended"))
        hub.publish(session(n, "ended"))
        hub.publish(Payment(str(n), "psp", "captured", "CP1", 1, 1, "EUR", 0, 0))
    hub.publish(session("still", "active"))
    hub.publish(Payment("ended", "psp", "ended", "CP1", 1, 1, "EUR", 0, 0))  # of a payment this is not the last state
    assert len(hub.snapshot()) == 12
    assert hub.last("session/999") == session(999, "ended")
    assert hub.last("session/still") is not None
    assert hub.last("payment/ended") is not None


def test_sessions_that_never_end_do_not_grow_the_hub_and_the_longest_silent_go_first():
    hub = LocalHub(over=10, going=3)
    for n in range(3):
        hub.publish(session(n, "active"))
    hub.publish(session(0, "active"))  # a meter value
    hub.publish(session(3, "active"))
    assert {item.id for item in hub.snapshot()} == {"0", "2", "3"}
    hub.publish(session(0, "ended"))
    hub.publish(session(4, "active"))
    assert {item.id for item in hub.snapshot()} == {"0", "2", "3", "4"}


def test_a_snapshot_is_by_prefix_and_knows_no_events():
    hub = LocalHub()
    health = Health("ocpp", "up")
    for item in (sample(1.0), event("e"), health):
        hub.publish(item)
    assert hub.snapshot("health/") == [health]
    assert len(hub.snapshot()) == 2
    assert hub.last("sample/meter/0/Voltage") == sample(1.0)


async def test_the_newest_registration_serves_and_an_older_release_leaves_it():
    hub = LocalHub()

    async def same(command):
        return Answer("Accepted", True)

    first = hub.serve("CP1", same)
    second = hub.serve("CP1", same)
    first()
    assert (await hub.command(Command("CP1", Verb.RESET))).ok
    second()
    second()
    assert (await hub.command(Command("CP1", Verb.RESET))).status == "Offline"


async def test_what_a_handler_does_wrong_is_an_answer():
    hub = LocalHub()

    async def broken(command):
        raise RuntimeError("no")

    async def slow(command):
        await asyncio.sleep(60)

    hub.serve("broken", broken)
    hub.serve("slow", slow)
    assert (await hub.command(Command("broken", Verb.RESET))).status == "Error"
    assert (await hub.command(Command("slow", Verb.RESET), timeout=0.01)).status == "Timeout"
    assert sum(hub.counters().values()) == 1


async def test_of_very_many_sessions_the_first_are_forgotten_and_numbers_are_never_given_twice(monkeypatch):
    monkeypatch.setattr("evcore.local.LEDGER_KEEPS", 3)
    ledger = LocalLedger()
    starts = [SessionRecord("CP1", "start", n, b"%d" % n, evse=1, connector=1, token="A") for n in range(6)]
    given = [(await ledger.record(start)).session.transaction_id for start in starts]
    again = await ledger.record(starts[-1])
    assert (given, again.duplicate, again.session.transaction_id) == (["1", "2", "3", "4", "5", "6"], True, "6")
    assert len(ledger.sessions) == len(ledger._seen) == 3
    assert not (await ledger.record(starts[0])).duplicate


async def test_energy_is_the_difference_of_registers_to_the_last_digit():
    ledger = LocalLedger()
    start = SessionRecord("CP1", "start", 1, b"1", transaction_id="t", meter="123456789012345678.10")
    end = SessionRecord("CP1", "end", 2, b"2", transaction_id="t", meter="123456789012345679.35")
    assert (await ledger.record(start)).session.energy_wh == 0
    assert (await ledger.record(end)).session.energy_wh == 1.25


async def test_a_session_that_is_heard_of_is_not_forgotten_for_new_ones(monkeypatch):
    monkeypatch.setattr("evcore.local.LEDGER_KEEPS", 3)
    ledger = LocalLedger()
    old = SessionRecord("CP1", "start", 1, b"old", transaction_id="old", meter="1")
    await ledger.record(old)
    for n in range(6):
        await ledger.record(SessionRecord("CP2", "start", n, b"%d" % n, transaction_id=str(n)))
        update = SessionRecord("CP1", "update", n, b"u%d" % n, transaction_id="old", meter=str(n + 2))
        assert (await ledger.record(update)).session.energy_wh == n + 1
        assert (await ledger.record(old)).duplicate
