"""MeterValues beside a transaction: its samples are those of the session that runs on the EVSE, each once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from evcore.gateway.history import History
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.store import Store

Start = Callable[..., Awaitable[Any]]


def at(minute: int) -> str:
    return f"2026-11-23T18:{minute:02}:00Z"


def values(minute: int, wh: int, context: str = "Sample.Clock") -> dict[str, Any]:
    return {"timestamp": at(minute), "sampled_value": [{"value": wh, "context": context}]}


async def event(station: Any, kind: str, seq_no: int, minute: int, wh: int) -> None:
    await station.tell(
        "TransactionEvent",
        event_type=kind,
        timestamp=at(minute),
        trigger_reason="MeterValueClock",
        seq_no=seq_no,
        transaction_info={"transaction_id": "tx-1"},
        evse={"id": 1, "connector_id": 1},
        meter_value=[values(minute, wh)],
    )


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_every_sample_of_an_evse_that_charges_is_its_sessions_once(
    csms: Start, peer: Start, tmp_path: Path, version: str
) -> None:
    store = Store(tmp_path / "site.db")
    await store.open()
    site = await csms(ledger=StoreLedger(store))
    station = await peer(site, version)
    await event(station, "Started", 0, 10, 100)
    [started] = site.events("session.started")
    gathered = [values(5, 50), values(11, 200), values(12, 300)]  # it was offline: the first is older than the session
    await station.tell("MeterValues", evse_id=1, meter_value=gathered)
    await station.tell("MeterValues", evse_id=1, meter_value=gathered)  # it got no answer, and says it again
    await station.tell("MeterValues", evse_id=2, meter_value=[values(12, 999)])  # another EVSE
    await event(station, "Updated", 1, 12, 300)  # the same value, in the transaction too
    await event(station, "Ended", 2, 13, 400)
    await station.tell("MeterValues", evse_id=1, meter_value=[values(14, 400)])  # nobody charges
    samples = await History(store).session_samples(started.session)
    assert [(sample.time_ns // 60_000_000_000 % 60, sample.digits) for sample in samples] == [
        (10, "100"),
        (11, "200"),
        (12, "300"),
        (13, "400"),
    ]
    assert site.hub.last(f"session/{started.session}").energy_wh == 300
    await store.close()


async def test_without_a_transaction_id_in_16_too(csms: Start, peer: Start, tmp_path: Path) -> None:
    store = Store(tmp_path / "site.db")
    await store.open()
    site = await csms(ledger=StoreLedger(store))
    station = await peer(site, "1.6")
    start = await station.tell("StartTransaction", connector_id=1, id_tag="T1", meter_start=100, timestamp=at(10))
    [started] = site.events("session.started")
    texts = [{"timestamp": at(minute), "sampled_value": [{"value": str(wh)}]} for minute, wh in ((5, 50), (11, 200))]
    await station.tell("MeterValues", connector_id=1, meter_value=texts)
    await station.tell("StopTransaction", transaction_id=start["transactionId"], meter_stop=400, timestamp=at(13))
    samples = await History(store).session_samples(started.session)
    assert [sample.digits for sample in samples if sample.context == "Sample.Periodic"] == ["200"]
    await store.close()
