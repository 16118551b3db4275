"""StationClient against a CSMS by hand: versions, the boot gate, reconnects, what is kept, the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from scripted_csms import NOW, Csms
from waiting import until

from evcore.errors import CallError, ConfigError, LinkError, PayloadError, StoreError
from evcore.ocpp import StationAbout, StationClient
from evcore.ocpp.backoff import RetryBackOff
from evcore.ocpp.events import Repaired
from evcore.ocpp.policy import Policy
from evcore.ocpp.records import Change, MemoryStore, Record
from evcore.ocpp.station import Connected, NotStored, Online, Registered
from evcore.ocpp.station_clock import StationClock
from evcore.ocpp.transactions import Delivered, Dropped, GivenUp

ABOUT = StationAbout("Vendor", "Model", "SN-1", "1.0")
ALL = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
EVENT = {
    "timestamp": NOW,
    "triggerReason": "MeterValuePeriodic",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "t"},
}


@asynccontextmanager
async def running(csms: Csms, events: list[Any] | None = None, **options: Any) -> AsyncIterator[StationClient]:
    defaults: dict[str, Any] = {"back_off": RetryBackOff(0.05, 0, 0), "retry_s": 0.05, "call_timeout_s": 0.5}
    tell = None if events is None else events.append
    station = StationClient(csms.url, "CP1", ABOUT, on_event=tell, **defaults | options)
    life = asyncio.create_task(station.run())
    try:
        yield station
    finally:
        life.cancel()
        with pytest.raises(asyncio.CancelledError):
            await life


def event(kind: str = "Updated") -> dict[str, Any]:
    return EVENT | {"eventType": kind}


async def online(station: StationClient) -> None:
    await asyncio.wait_for(station.online.wait(), 8)


async def test_a_policy_says_what_is_mended_in_either_direction_and_each_repair_is_told() -> None:
    async with Csms(*ALL) as csms:
        csms.rules["DataTransfer"] = lambda _: {"status": "accepted", "data": 5}
        events: list[Any] = []
        policy = Policy("lenient", out_actions={"DataTransfer": "lenient"})
        async with running(csms, events, versions=["1.6"], policy=policy) as station:
            await online(station)
            assert await station.call("DataTransfer", {"vendorId": 7}) == {"status": "Accepted", "data": "5"}
            with pytest.raises(PayloadError):
                await station.call("Authorize", {"idTag": 7})
    assert csms.of("DataTransfer")[0][2] == {"vendorId": "7"}
    told = [one for one in events if isinstance(one, Repaired)]
    assert [(one.direction, [repair.name for repair in one.repairs]) for one in told] == [
        ("out", ["number_text"]),
        ("in", ["enum_spelling", "number_text"]),
    ]


# Versions


@pytest.mark.parametrize(
    ("spoken", "chosen"), [(ALL, "2.1"), (("ocpp1.6", "ocpp2.0.1"), "2.0.1"), (("ocpp1.6",), "1.6")]
)
async def test_the_first_version_of_its_own_order_that_the_csms_speaks_is_spoken(
    spoken: Sequence[str], chosen: str
) -> None:
    async with Csms(*spoken) as csms, running(csms) as station:
        await online(station)
        assert csms.offers == ["ocpp2.1, ocpp2.0.1, ocpp1.6"]
        assert station.version == chosen
        about = csms.of("BootNotification")[0][2]
        assert about == ABOUT.boot(chosen)
        assert ("chargePointModel" in about) == (chosen == "1.6")


async def test_a_transaction_that_began_in_one_version_is_ended_in_it_before_another_is_spoken() -> None:
    async with Csms("ocpp1.6") as csms, running(csms) as station:
        await online(station)
        csms.rules["MeterValues"] = lambda _: None
        start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": NOW}
        station.record("StartTransaction", start, transaction="a")
        await station.drained()
        port = csms.port
        await csms.__aexit__()
        async with Csms(*ALL, port=port) as upgraded:
            await until(lambda: upgraded.sockets and station.online.is_set())
            assert (upgraded.offers[0], station.version) == ("ocpp1.6", "1.6")
            station.record("StopTransaction", {"meterStop": 1, "timestamp": NOW}, transaction="a")
            await station.drained()
            assert upgraded.of("StopTransaction")[0][2]["transactionId"] == 4711
            station.drop()
            await until(lambda: station.version == "2.1" and station.online.is_set())
            assert upgraded.of("BootNotification"), "another version, another registration"
        csms.port = 0
        await csms.__aenter__()


async def test_versions_are_checked() -> None:
    with pytest.raises(ConfigError):
        StationClient("ws://127.0.0.1:1", "CP1", ABOUT, versions=["1.5"])  # type: ignore[list-item]


# Registration


async def test_it_boots_once_and_again_only_after_its_data_changed_or_a_restart() -> None:
    async with Csms(*ALL) as csms, running(csms) as station:
        for connections, boots in ((1, 1), (2, 1)):
            await until(lambda n=connections: len(csms.sockets) == n and station.online.is_set())
            assert (station.boots, len(csms.of("BootNotification"))) == (boots, boots)
            station.drop()
            await until(lambda: not station.online.is_set())
        await online(station)
        station.about = StationAbout("Vendor", "Model", "SN-1", "1.1")
        station.drop()
        await until(lambda: station.boots == 2)
        station.restart("FirmwareUpdate")
        await until(lambda: station.boots == 3)
        assert csms.of("BootNotification")[-1][2]["reason"] == "FirmwareUpdate"


async def test_a_boot_that_a_lost_connection_cut_off_is_sent_on_the_next_one_at_once() -> None:
    async with Csms(*ALL) as csms:
        csms.rules["BootNotification"] = lambda _: None
        async with running(csms, boot_retry_s=60) as station:
            await until(lambda: csms.of("BootNotification"))
            del csms.rules["BootNotification"]
            csms.sockets[-1].transport.abort()
            await online(station)
            assert len(csms.of("BootNotification")) == 2


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
async def test_nothing_but_boots_goes_out_before_it_is_accepted_and_what_was_recorded_waits(status: str) -> None:
    answers = iter([status, status, "Accepted"])
    async with Csms(*ALL) as csms:
        csms.rules["BootNotification"] = lambda _: {"currentTime": NOW, "interval": 5, "status": next(answers)}
        events: list[Any] = []
        async with running(csms, events) as station:
            station.registration.pace = 50
            station.record("TransactionEvent", event("Started"))
            await station.drained()
            assert [action for _, action, _ in csms.heard] == ["BootNotification"] * 3 + ["TransactionEvent"]
            assert csms.heard[-1][2]["offline"] is True
            assert [event.status for event in events if isinstance(event, Registered)] == [status, status, "Accepted"]
            assert [type(event) for event in events if isinstance(event, Connected | Online)] == [Connected, Online]


async def test_a_trigger_boots_before_the_interval() -> None:
    answers = iter(["Pending", "Accepted"])
    async with Csms("ocpp2.0.1") as csms, running(csms) as station:
        csms.rules["BootNotification"] = lambda _: {"currentTime": NOW, "interval": 3600, "status": next(answers)}
        await until(lambda: station.boots == 1)
        station.boot()
        await online(station)


async def test_a_csms_that_forgot_it_gets_a_boot_and_loses_nothing() -> None:
    async with Csms("ocpp2.0.1") as csms, running(csms, attempts=1) as station:
        await online(station)
        unknown = [{"code": "SecurityError"}]
        csms.rules["TransactionEvent"] = lambda _: unknown.pop() if unknown else {}
        station.record("TransactionEvent", event("Started"))
        await station.drained()
        await until(lambda: station.boots == 2)
        assert len(csms.of("TransactionEvent")) == 2


async def test_heartbeats_go_out_at_the_interval_of_the_csms_and_set_the_clock() -> None:
    async with Csms("ocpp1.6") as csms:
        csms.rules["BootNotification"] = lambda _: {"currentTime": NOW, "interval": 10, "status": "Accepted"}
        async with running(csms, versions=["1.6"], clock=StationClock(now=time.monotonic_ns())) as station:
            station.registration.pace = 100
            station.record("StartTransaction", {
                "connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": station.clock.stamp(time.monotonic_ns()),
            })  # fmt: skip
            await until(lambda: len(csms.of("Heartbeat")) >= 2)
            assert station.clock.quality == "ocpp"
            assert csms.of("StartTransaction")[0][2]["timestamp"].startswith("2026-11-23T18:30:3")


# What is kept


async def test_what_is_refused_is_tried_again_with_another_id_then_given_up_and_the_next_one_goes() -> None:
    events: list[Any] = []
    async with Csms("ocpp2.0.1") as csms, running(csms, events, attempts=3) as station:
        await online(station)
        csms.rules["TransactionEvent"] = lambda payload: {"code": "InternalError"} if payload["seqNo"] == 0 else {}
        station.record("TransactionEvent", event())
        station.record("TransactionEvent", event() | {"seqNo": 1})
        await station.drained()
        heard = csms.of("TransactionEvent")
        assert [payload["seqNo"] for _, _, payload in heard] == [0, 0, 0, 1]
        assert len({id for id, _, _ in heard}) == 4
        assert [type(event) for event in events if isinstance(event, GivenUp | Delivered)] == [GivenUp, Delivered]


async def test_a_payload_that_breaks_the_schema_is_given_up_without_a_try() -> None:
    events: list[Any] = []
    async with Csms("ocpp2.0.1") as csms, running(csms, events) as station:
        await online(station)
        station.record("TransactionEvent", {"eventType": "Started"})
        station.record("TransactionEvent", event("Ended"))
        await station.drained()
        assert [payload["eventType"] for _, _, payload in csms.of("TransactionEvent")] == ["Ended"]
        assert [event.record.attempts for event in events if isinstance(event, GivenUp)] == [0]


@pytest.mark.parametrize(
    "value", [datetime.now(), Decimal("NaN"), b"x", {1}, "\ud800", object()], ids=lambda value: type(value).__name__
)
async def test_what_json_has_no_form_for_is_given_up_and_costs_nothing_else(value: Any) -> None:
    events: list[Any] = []
    async with Csms("ocpp2.0.1") as csms, running(csms, events) as station:
        await online(station)
        station.record("TransactionEvent", event("Started") | {"timestamp": value})
        station.record("TransactionEvent", event("Ended"))
        await station.drained()
        assert [payload["eventType"] for _, _, payload in csms.of("TransactionEvent")] == ["Ended"]
        assert [event.record.attempts for event in events if isinstance(event, GivenUp)] == [0]
        assert len(csms.sockets) == 1


async def test_silence_is_a_failure_and_a_lost_connection_is_none() -> None:
    async with Csms("ocpp2.0.1") as csms, running(csms, call_timeout_s=0.1) as station:
        await online(station)
        csms.rules["TransactionEvent"] = lambda _: None
        record = station.record("TransactionEvent", event())
        await until(lambda: record.attempts == 1)
        await until(lambda: len(csms.of("TransactionEvent")) == 2)
        station.drop()
        await until(lambda: not station.online.is_set())
        assert record.attempts == 1
        csms.rules.clear()
        await station.drained()


async def test_what_one_run_left_in_the_store_the_next_run_sends() -> None:
    store = MemoryStore()
    station = StationClient("ws://127.0.0.1:1", "CP1", ABOUT, versions=["2.0.1"], store=store)
    station.record("TransactionEvent", event("Started"))
    station.record("TransactionEvent", event("Ended"))
    await station.committed()
    assert len(store.records) == 2
    async with Csms("ocpp2.0.1") as csms, running(csms, store=store, burst_per_s=0) as again:
        await online(again)
        await again.drained()
        assert [payload["eventType"] for _, _, payload in csms.of("TransactionEvent")] == ["Started", "Ended"]
        await again.committed()
        assert not store.records


async def test_a_store_that_cannot_be_read_ends_it_before_anything_is_sent() -> None:
    class Broken(MemoryStore):
        async def load(self) -> Sequence[Record]:
            raise OSError("disk")

    station = StationClient("ws://127.0.0.1:1", "CP1", ABOUT, store=Broken())
    with pytest.raises(StoreError, match="OSError: disk"):
        await station.run()


@pytest.mark.parametrize("error", [StoreError("the disk is full"), OSError("the disk is full")])
async def test_a_store_that_fails_is_told_of_and_stops_nothing(error: Exception) -> None:
    class Full(MemoryStore):
        full = True

        async def commit(self, changes: Sequence[Change]) -> None:
            if self.full:
                raise error
            await super().commit(changes)

    store, events = Full(), list[Any]()
    async with Csms("ocpp2.0.1") as csms, running(csms, events, store=store) as station:
        await online(station)
        station.record("TransactionEvent", event("Started"))
        await station.drained()
        assert any(event.detail.endswith("the disk is full") for event in events if isinstance(event, NotStored))
        csms.rules["TransactionEvent"] = lambda _: None
        kept = station.record("TransactionEvent", event("Ended"))
        store.full = False
        await station.committed()
        assert list(store.records) == [kept.number]


async def test_readings_that_find_no_room_while_offline_are_told_of() -> None:
    events: list[Any] = []
    station = StationClient("ws://127.0.0.1:1", "CP1", ABOUT, queue_limit=3, on_event=events.append)
    for _ in range(5):
        station.record("TransactionEvent", event())
    assert [type(event) for event in events] == [Dropped, Dropped]


# The rest


async def test_calls_of_its_user_go_between_and_fail_when_offline() -> None:
    async with Csms("ocpp2.0.1") as csms, running(csms) as station:
        with pytest.raises(LinkError):
            await station.call("Heartbeat", {})
        await online(station)
        csms.rules["TransactionEvent"] = lambda _: None
        station.record("TransactionEvent", event())
        token = {"idToken": {"idToken": "T", "type": "Central"}}
        assert (await station.call("Authorize", token, timeout_s=8))["idTokenInfo"]["status"] == "Accepted"
        csms.rules["Authorize"] = lambda _: {"code": "InternalError"}
        with pytest.raises(CallError):
            await station.call("Authorize", token, timeout_s=8)


async def test_a_send_of_21_goes_out_and_waits_for_nothing() -> None:
    stream = {"id": 1, "pending": 0, "basetime": NOW, "data": [{"t": 0.1, "v": "1"}]}
    async with Csms("ocpp2.1") as csms, running(csms) as station:
        with pytest.raises(LinkError):
            station.send("NotifyPeriodicEventStream", stream)
        await online(station)
        station.send("NotifyPeriodicEventStream", stream)
        await until(lambda: csms.of("NotifyPeriodicEventStream"))
        with pytest.raises(PayloadError):
            station.send("NotifyPeriodicEventStream", {})


async def test_a_station_without_a_handler_supports_nothing_and_a_listener_that_fails_ends_nothing() -> None:
    async with Csms("ocpp1.6") as csms:
        station = StationClient(csms.url, "CP1", ABOUT, on_event=lambda _: 1 / 0)
        life = asyncio.create_task(station.run())
        await online(station)
        assert (await csms.ask("ClearCache", {}))[0] == "NotSupported"
        life.cancel()


async def test_a_csms_that_is_not_there_is_asked_at_the_pace_of_the_back_off() -> None:
    async with Csms("ocpp0.9") as csms, running(csms, back_off=RetryBackOff(0.3, 0, 0)):
        await asyncio.sleep(1)
        assert 2 <= csms.tries <= 4
