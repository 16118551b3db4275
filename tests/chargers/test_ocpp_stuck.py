"""Records that take their time: nothing is promised before it is on disk, and only the asker waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from evcore.local import LocalLedger
from evcore.model import Recorded, Session, SessionRecord, Station, Verb

VERSIONS = ["1.6", "2.0.1", "2.1"]
Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]


class SlowDisk(LocalLedger):
    """A ledger that commits one station's records only when it is told to."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.slow, self.waiting, self.go_on = slow, 0, asyncio.Event()

    async def record(self, record: SessionRecord) -> Recorded:
        if record.station == self.slow:
            self.waiting += 1
            await self.go_on.wait()
        return await super().record(record)


def answered(station: Any, *actions: str) -> list[str]:
    return [answer.action for answer in station.answers if answer.action in actions]


@pytest.mark.parametrize("version", VERSIONS)
async def test_no_answer_leaves_before_the_commit_and_other_stations_do_not_wait(
    csms: Start, version: str, wait_until: Until
) -> None:
    ledger = SlowDisk("CP1")
    site = await csms(ledger=ledger)
    slow, quick = await site.station("CP1", version=version), await site.station("CP2", version=version)
    charging = asyncio.create_task(slow.plug_in(1, "T1"))
    await wait_until(lambda: ledger.waiting)
    assert await asyncio.wait_for(quick.plug_in(1, "T2"), 8), "another station charges"
    await quick.unplug(1)
    await asyncio.wait_for(quick.queue.drained(), 8)
    # the very connection whose record waits still answers a command, and is not told of any session
    assert (await site.command(Verb.CLEAR_CACHE)).ok
    assert answered(slow, "StartTransaction", "TransactionEvent") == []
    assert [event.source for event in site.events("session.started")] == ["CP2"]
    assert {item.station for item in site.items if isinstance(item, Session)} == {"CP2"}
    ledger.go_on.set()
    assert await asyncio.wait_for(charging, 8)
    assert len(answered(slow, "StartTransaction", "TransactionEvent")) >= 1


async def test_a_record_under_way_is_kept_though_its_station_is_gone(csms: Start, wait_until: Until) -> None:
    ledger = SlowDisk("CP1")
    site = await csms(ledger=ledger)
    station = await site.station()
    charging = asyncio.create_task(station.plug_in(1, "T1"))
    await wait_until(lambda: ledger.waiting)
    station.drop()
    await wait_until(lambda: site.events("station.disconnected"))
    ledger.go_on.set()
    assert await asyncio.wait_for(charging, 8), "it asks again, and the repeat is the same session"
    await station.unplug(1)
    await asyncio.wait_for(station.queue.drained(), 8)
    assert len(ledger.sessions) == len(site.events("session.started")) == len(site.events("session.ended")) == 1


async def test_a_command_whose_station_leaves_is_answered_at_once(csms: Start, wait_until: Until) -> None:
    site = await csms(call_timeout_s=600)
    station = await site.station()
    asked = [asyncio.create_task(site.command(Verb.TRIGGER, message="MeterValues", evse=1)) for _ in range(20)]
    await asyncio.sleep(0)  # the first is on the wire, the others wait for their turn
    station.drop()
    answers = await asyncio.wait_for(asyncio.gather(*asked), 8)
    assert {answer.status for answer in answers} <= {"Accepted", "Offline"}
    assert "Offline" in {answer.status for answer in answers}


async def test_two_hundred_stations_come_at_once_charge_and_leave(csms: Start, wait_until: Until) -> None:
    site = await csms()
    stations = [
        await site.station(f"CP{n}", online=False, version=VERSIONS[n % 3], interval_s=60, speed=1) for n in range(200)
    ]
    async with asyncio.timeout(60):
        await asyncio.gather(*(station.online.wait() for station in stations))
        assert all(await asyncio.gather(*(station.plug_in(1, f"T{n}") for n, station in enumerate(stations))))
        answers = await asyncio.gather(*(site.command(Verb.STOP, f"CP{n}", evse=1) for n in range(200)))
        assert {answer.status for answer in answers} == {"Accepted"}
        await asyncio.gather(*(station.queue.drained() for station in stations))
    await wait_until(lambda: len(site.events("session.ended")) == 200)
    assert len(site.ledger.sessions) == 200
    assert {session.token for session in site.ledger.sessions.values()} == {f"T{n}" for n in range(200)}
    assert site.errors() == {}
    online = [item for item in site.hub.snapshot("charger/") if isinstance(item, Station) and item.online]
    assert len(online) == 200
