import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcore.errors import StoreError
from evcore.gateway.outbox import SIGNAL, OutboxState, StoreOutbox, put
from evcore.gateway.store import Store

SECOND = 10**9


async def tell(store, key, number, *, kind="k", destination="mqtt", now_ns=0, **more):
    await store.write(lambda conn: put(conn, destination, key, kind, {"n": number}, now_ns, **more), wakes=SIGNAL)


class Clock:
    def __init__(self):
        self.now_ns = 1_790_000_000 * SECOND

    def __call__(self):
        return self.now_ns

    def pass_s(self, seconds):
        self.now_ns += int(seconds * SECOND)


async def ready(outbox):
    """What may go now, without waiting for more."""
    facts, _ = await outbox._look(50)
    return facts


async def test_facts_of_one_key_go_one_by_one_in_order_and_keys_do_not_wait_for_each_other(store):
    outbox = StoreOutbox(store, "mqtt")
    for n in range(3):
        await tell(store, "a", n)
        await tell(store, "b", n)
    await tell(store, "a", 99, destination="other")
    heard = []
    while (await outbox.state()).waiting:
        facts = await outbox.next()
        assert [fact.order_key for fact in facts] == ["a", "b"]
        assert await ready(outbox) == []  # the others wait for these
        heard += [(fact.order_key, fact.body["n"]) for fact in facts]
        await outbox.done([fact.id for fact in facts])
    assert heard == [(key, n) for n in range(3) for key in "ab"]
    assert (await StoreOutbox(store, "other").state()).waiting == 1


async def test_next_waits_until_there_is_a_fact(store):
    outbox = StoreOutbox(store, "mqtt")
    waiting = asyncio.ensure_future(outbox.next())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await tell(store, "a", 1)
    [fact] = await asyncio.wait_for(waiting, 5)
    assert (fact.kind, fact.body, fact.attempts) == ("k", {"n": 1}, 0)


async def test_next_gives_at_most_what_is_asked_for(store):
    outbox = StoreOutbox(store, "mqtt")
    for n in range(5):
        await tell(store, str(n), n)
    first = await outbox.next(2)
    second = await outbox.next(2)
    assert [fact.body["n"] for fact in (*first, *second)] == [0, 1, 2, 3]


async def test_a_failed_fact_comes_again_later_and_holds_its_key_back(store):
    clock = Clock()
    outbox = StoreOutbox(store, "mqtt", base_s=10, longest_s=60, clock=clock)
    await tell(store, "a", 0)
    await tell(store, "a", 1)
    waits = []
    for attempt in range(1, 6):
        [fact] = await ready(outbox)
        assert (fact.body["n"], fact.attempts) == (0, attempt - 1)
        await outbox.failed(fact.id, "refused")
        waited = 0.0
        while not await ready(outbox):
            clock.pass_s(0.5)
            waited += 0.5
        waits.append(waited)
        await outbox.failed(0, "no such fact")  # ignored
        outbox._given.clear()
    for waited, longest in zip(waits, (10, 20, 40, 60, 60), strict=True):
        assert longest / 2 <= waited <= longest + 0.5
    assert len(set(waits)) > 1


async def test_a_fact_that_is_always_refused_is_dead_and_shown_and_the_next_may_go(store):
    clock = Clock()
    outbox = StoreOutbox(store, "mqtt", max_attempts=3, clock=clock)
    await tell(store, "a", 0, now_ns=7)
    await tell(store, "a", 1, now_ns=8)
    for _ in range(3):
        [fact] = await ready(outbox)
        await outbox.failed(fact.id, "no such topic")
        clock.pass_s(10)
    assert await outbox.state() == OutboxState(waiting=1, dead=1, oldest_ns=8)
    [(dead, error)] = await outbox.dead()
    assert (dead.body, dead.attempts, error) == ({"n": 0}, 3, "no such topic")
    [following] = await ready(outbox)
    assert following.body == {"n": 1}

    await outbox.revive([dead.id])
    assert await ready(outbox) == []  # its key is under way
    await outbox.failed(following.id, "")
    [again] = await ready(outbox)
    assert (again.body, again.attempts) == ({"n": 0}, 0)
    await outbox.done([again.id])
    clock.pass_s(10)
    [last] = await ready(outbox)
    assert last.body == {"n": 1}
    await outbox.done([last.id])
    assert await outbox.state() == OutboxState(0, 0, None)


async def test_a_fact_that_nobody_answered_for_is_given_again_after_its_lease(store):
    outbox = StoreOutbox(store, "mqtt", lease_s=0.05)
    await tell(store, "a", 0)
    [first] = await outbox.next()
    [again] = await asyncio.wait_for(outbox.next(), 5)
    assert again == first


async def test_what_was_not_done_is_given_again_after_a_restart(tmp_path):
    store = Store(tmp_path / "site.db")
    await store.open()
    outbox = StoreOutbox(store, "mqtt")
    for n in range(3):
        await tell(store, "a", n)
    [first] = await outbox.next()
    await outbox.done([first.id])
    await outbox.next()
    await store.close()
    await store.open()
    [second] = await StoreOutbox(store, "mqtt").next()
    assert second.body == {"n": 1}
    await store.close()


async def test_a_clock_that_is_set_back_does_not_hold_a_fact_for_years(store):
    clock = Clock()
    outbox = StoreOutbox(store, "mqtt", clock=clock)
    await tell(store, "a", 0)
    [fact] = await ready(outbox)
    await outbox.failed(fact.id, "")
    clock.now_ns = 0
    assert len(await ready(outbox)) == 1


async def test_a_conflated_fact_replaces_the_newest_of_its_kind_but_never_the_head(store):
    outbox = StoreOutbox(store, "mqtt")
    for n in range(4):
        await tell(store, "a", n, kind="update", conflate=True)
    await tell(store, "a", 9, kind="end")
    await tell(store, "a", 10, kind="update", conflate=True)
    heard = []
    for _ in range(4):
        [fact] = await outbox.next()
        heard.append((fact.kind, fact.body["n"]))
        await outbox.done([fact.id])
    assert heard == [("update", 0), ("update", 3), ("end", 9), ("update", 10)]


async def test_a_fact_that_could_not_be_marked_done_is_not_lost(store):
    outbox = StoreOutbox(store, "mqtt", lease_s=0.05)
    await tell(store, "a", 0)
    [fact] = await outbox.next()
    run = store._run

    def read_only(conn, jobs):
        conn.execute("PRAGMA query_only = ON")
        run(conn, jobs)

    store._run = read_only
    with pytest.raises(StoreError):
        await outbox.done([fact.id])
    store._run = run
    await store.read(lambda conn: None)
    assert list(await asyncio.wait_for(outbox.next(), 5)) == [fact]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_whatever_fails_each_key_is_delivered_whole_and_in_order(tmp_path_factory, data):
    clock = Clock()
    store = Store(tmp_path_factory.mktemp("any") / "site.db")
    await store.open()
    try:
        outbox = StoreOutbox(store, "mqtt", clock=clock, base_s=1, longest_s=4)
        put_in, heard, number = {"a": [], "b": []}, {"a": [], "b": []}, 0
        for _ in range(data.draw(st.integers(1, 20))):
            step = data.draw(st.sampled_from(["put", "put", "take", "restart"]))
            if step == "put":
                key, number = data.draw(st.sampled_from("ab")), number + 1
                put_in[key].append(number)
                await tell(store, key, number)
            elif step == "restart":
                outbox = StoreOutbox(store, "mqtt", clock=clock, base_s=1, longest_s=4)
            else:
                for fact in await ready(outbox):
                    if data.draw(st.booleans()):
                        await outbox.failed(fact.id, "no")
                        clock.pass_s(data.draw(st.integers(0, 3)))
                    else:
                        await outbox.done([fact.id])
                        heard[fact.order_key].append(fact.body["n"])
        outbox = StoreOutbox(store, "mqtt", clock=clock)
        while (await outbox.state()).waiting:
            clock.pass_s(10)
            for fact in await ready(outbox):
                await outbox.done([fact.id])
                heard[fact.order_key].append(fact.body["n"])
        assert heard == put_in
    finally:
        await store.close()
