"""A ledger, or a hook, that does not come back costs the calls that need it: no other call, no station, no record."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets
from ocpp.exceptions import InternalError

from evcore.chargers import ocpp_dialect, ocpp_reception, ocpp_server
from evcore.chargers.ocpp_recording import MOST
from evcore.chargers.ocpp_services import StationRules
from evcore.local import LocalLedger
from evcore.model import Authorization, Event, Recorded, Session, SessionRecord
from evcore.ocpp.subject import Subject, SubjectRule

VERSIONS = ["1.6", "2.0.1", "2.1"]
SOON_S, NEVER_S = 0.03, 600.0
TIME = "2026-11-24T04:00:00Z"
Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]


class Stuck(LocalLedger):
    """A ledger whose record, or whose answer to the token HANGS, comes only when it is told to. fails: then it raises
    this. begun: records that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on, self.fails = 0, asyncio.Event(), False

    async def record(self, record: SessionRecord) -> Recorded:
        self.begun += 1
        await self.go_on.wait()
        if self.fails:
            raise ConnectionError("the database is gone")
        return await super().record(record)

    async def authorize(self, station: str, token: str) -> Authorization:
        if token == "HANGS":
            await asyncio.Event().wait()
        return await super().authorize(station, token)


def start(version: str, n: int = 0) -> tuple[str, dict[str, Any]]:
    """Of a session that begins with n Wh."""
    if version == "1.6":
        return "StartTransaction", {"connector_id": 1, "id_tag": "T", "meter_start": n, "timestamp": TIME}
    return "TransactionEvent", {
        "event_type": "Started",
        "timestamp": TIME,
        "trigger_reason": "CablePluggedIn",
        "seq_no": 0,
        "transaction_info": {"transaction_id": f"tx{n}"},
        "evse": {"id": 1},
        "id_token": {"id_token": "T", "type": "ISO14443"},
    }


def end(version: str, transaction: int) -> tuple[str, dict[str, Any]]:
    if version == "1.6":
        return "StopTransaction", {"transaction_id": transaction, "meter_stop": 900, "timestamp": TIME}
    return "TransactionEvent", {
        "event_type": "Ended",
        "timestamp": TIME,
        "trigger_reason": "EVDeparted",
        "seq_no": 1,
        "transaction_info": {"transaction_id": "tx0"},
    }


async def authorized(station: Any, token: str = "T") -> Any:
    if station.version == "1.6":
        return (await station.tell("Authorize", id_tag=token))["idTagInfo"]["status"]
    answer = await station.tell("Authorize", id_token={"id_token": token, "type": "ISO14443"})
    return answer["idTokenInfo"]["status"]


async def tell(station: Any, message: tuple[str, dict[str, Any]]) -> Any:
    return await station.tell(message[0], **message[1])


def sessions(site: Any) -> list[Session]:
    return [item for item in site.items if isinstance(item, Session)]


# Records


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_record_goes_on_when_its_call_was_refused_and_the_repeat_is_the_same_session(
    csms: Start, peer: Start, version: str, wait_until: Until
) -> None:
    ledger = Stuck()
    site = await csms(ledger=ledger, handler_timeout_s=SOON_S)
    station = await peer(site, version)
    with pytest.raises(InternalError):
        await tell(station, start(version))
    assert site.errors() == site.server.stats.errors == {"handler_timeout": 1}
    assert [event.text for event in site.events("protocol.error")] == [f"handler_timeout: {SOON_S} s"]
    assert await authorized(station) == "Accepted", "the connection serves on"
    assert sessions(site) == site.events("session.") == [], "nothing is told that is not stored"
    with pytest.raises(InternalError):
        await tell(station, start(version))
    assert ledger.begun == 1, "the repeat waits for the record that is under way"
    ledger.go_on.set()
    await wait_until(lambda: site.events("session.started"))
    answer = await tell(station, start(version))
    ended = end(version, answer.get("transactionId"))
    await tell(station, ended)
    assert await tell(station, ended) == {}
    assert len(ledger.sessions) == len(site.events("session.started")) == len(site.events("session.ended")) == 1
    assert {session.id for session in sessions(site)} == {session.id for session in ledger.sessions.values()}
    if version == "1.6":
        assert answer["transactionId"] == int(sessions(site)[0].transaction_id)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_repeat_of_a_record_under_way_is_answered_when_that_is_stored(
    csms: Start, version: str, wait_until: Until, peer: Start
) -> None:
    ledger = Stuck()
    site = await csms(ledger=ledger, handler_timeout_s=SOON_S)
    station = await peer(site, version)
    with pytest.raises(InternalError):
        await tell(station, start(version))
    asyncio.get_running_loop().call_later(SOON_S / 3, ledger.go_on.set)
    while True:  # however slow this machine is, a repeat is answered at last
        try:
            answer = await tell(station, start(version))
            break
        except InternalError:
            continue
    told = answer["idTagInfo" if version == "1.6" else "idTokenInfo"]
    assert told["status"] == "Accepted"
    assert len(ledger.sessions) == len(site.events("session.started")) == 1


async def test_what_a_lost_connection_left_under_way_is_not_begun_again_by_the_next(
    csms: Start, wait_until: Until
) -> None:
    ledger = Stuck()
    site = await csms(ledger=ledger, handler_timeout_s=NEVER_S)
    started = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": TIME}
    async with raw(site) as one:
        await ask(one, "StartTransaction", started, "1")
        await wait_until(lambda: ledger.begun)
    async with raw(site) as two:
        await ask(two, "StartTransaction", started, "2")
        await ask(two, "Heartbeat", {}, "3")
        assert json.loads(await two.recv())[1] == "3"
        assert ledger.begun == 1
        ledger.go_on.set()
        type, id, answer = json.loads(await two.recv())
    assert (type, id, answer["transactionId"]) == (3, "2", int(sessions(site)[0].transaction_id))
    assert len(ledger.sessions) == len(site.events("session.started")) == 1


async def test_of_one_station_so_many_records_may_be_under_way_and_then_it_keeps_them(
    csms: Start, peer: Start, wait_until: Until
) -> None:
    ledger = Stuck()
    site = await csms(ledger=ledger, handler_timeout_s=SOON_S)
    station = await peer(site, "1.6")
    for n in range(MOST + 8):
        with pytest.raises(InternalError):
            await tell(station, start("1.6", n))
    assert ledger.begun == MOST
    assert site.errors() == {"handler_timeout": MOST, "too_many_records": 8}
    assert await authorized(station) == "Accepted"
    other = await site.station("CP2", version="2.0.1")
    assert (await other.client.call("Heartbeat", {}))["currentTime"], "other stations do not notice"
    ledger.go_on.set()
    await wait_until(lambda: len(site.events("session.started")) == MOST)
    assert (await tell(station, start("1.6", MOST)))["idTagInfo"]["status"] == "Accepted"
    assert len(ledger.sessions) == MOST + 1


async def test_a_record_that_fails_after_its_call_was_refused_is_counted_and_told(
    csms: Start, peer: Start, wait_until: Until
) -> None:
    ledger = Stuck()
    site = await csms(ledger=ledger, handler_timeout_s=SOON_S)
    station = await peer(site, "2.1")
    with pytest.raises(InternalError):
        await tell(station, start("2.1"))
    ledger.fails = True
    ledger.go_on.set()
    await wait_until(lambda: site.errors() == {"handler_timeout": 1, "handler": 1, "store": 1})
    (told,) = site.events("store.failed")
    assert (told.severity, "ConnectionError" in told.text) == ("error", True)
    assert not sessions(site)
    ledger.fails = False
    assert (await tell(station, start("2.1")))["idTokenInfo"]["status"] == "Accepted"


# The end


async def test_drain_waits_for_a_record_under_way(csms: Start, peer: Start, wait_until: Until) -> None:
    ledger = Stuck()
    site = await csms(ledger=ledger, handler_timeout_s=SOON_S)
    station = await peer(site, "1.6")
    with pytest.raises(InternalError):
        await tell(station, start("1.6"))
    draining = asyncio.create_task(site.server.drain(0.0, goodbye_s=NEVER_S))
    await wait_until(lambda: site.events("station.disconnected"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    ledger.go_on.set()
    await asyncio.wait_for(draining, 8)
    assert len(ledger.sessions) == len(site.events("session.started")) == 1


async def test_a_record_that_never_ends_does_not_hold_up_the_end_and_is_told(
    csms: Start, peer: Start, wait_until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocpp_server, "_FINISH_S", 0.05)
    site = await csms(ledger=Stuck(), handler_timeout_s=SOON_S)
    station = await peer(site, "2.0.1")
    with pytest.raises(InternalError):
        await tell(station, start("2.0.1"))
    await asyncio.wait_for(site.server.drain(0.0, goodbye_s=0.05), 8)
    assert not site.events("store.failed")
    await asyncio.wait_for(site.stop(), 8)
    (told,) = site.events("store.failed")
    assert (told.severity, "cut off" in told.text) == ("error", True)
    assert site.errors()["store"] == 1


# Everything else


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_token_that_cannot_be_judged_in_time_costs_its_own_call(csms: Start, peer: Start, version: str) -> None:
    ledger = Stuck()
    ledger.go_on.set()
    site = await csms(ledger=ledger, handler_timeout_s=SOON_S)
    station = await peer(site, version)
    for _ in range(20):  # more than may be in work at once
        with pytest.raises(InternalError):
            await authorized(station, "HANGS")
    assert await authorized(station) == "Accepted"
    assert await tell(station, start(version))
    assert site.errors() == {"handler_timeout": 20}


async def test_a_hook_that_hangs_costs_its_own_call(csms: Start, peer: Start) -> None:
    ended: list[str] = []

    async def hook(station: str, payload: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(station)

    site = await csms(data_transfer={"V": hook}, answers={"NotifyEVChargingNeeds": hook}, handler_timeout_s=SOON_S)
    station = await peer(site, "2.0.1")
    needs = {"requested_energy_transfer": "DC", "dc_charging_parameters": {"ev_max_current": 1, "ev_max_voltage": 1}}
    for _ in range(10):
        with pytest.raises(InternalError):
            await station.tell("DataTransfer", vendor_id="V")
        with pytest.raises(InternalError):
            await station.tell("NotifyEVChargingNeeds", evse_id=1, charging_needs=needs)
    assert ended == ["CP1"] * 20, "they are cancelled"
    assert (await station.tell("DataTransfer", vendor_id="other"))["status"] == "UnknownVendorId"
    assert site.errors() == {"handler_timeout": 20}


async def test_what_waits_for_nothing_is_answered_while_all_other_calls_hang(csms: Start, wait_until: Until) -> None:
    release, inside = asyncio.Event(), 0

    async def hook(station: str, payload: Any) -> Any:
        nonlocal inside
        inside += 1
        await release.wait()
        return {"status": "Accepted"}

    site = await csms(data_transfer={"V": hook}, handler_timeout_s=NEVER_S)
    async with raw(site) as socket:
        for n in range(17):
            await ask(socket, "DataTransfer", {"vendorId": "V"}, f"t{n}")
        refused = json.loads(await socket.recv())
        assert refused[:3] == [4, "t16", "InternalError"]
        assert inside == 16
        await ask(socket, "Heartbeat", {}, "beat")
        assert json.loads(await socket.recv())[:2] == [3, "beat"]
        told = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        await ask(socket, "StatusNotification", told, "status")
        assert json.loads(await socket.recv()) == [3, "status", {}]
        release.set()
        assert {json.loads(await socket.recv())[1] for _ in range(16)} == {f"t{n}" for n in range(16)}
    assert site.errors() == {"too_many_calls": 1}
    assert all(isinstance(event, Event) for event in site.events("protocol.error"))


async def test_a_certificate_that_nobody_signs_in_time_is_given_up_and_told(
    csms: Start, peer: Start, wait_until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, release = 0, asyncio.Event()

    async def sign(station: str, csr: str, kind: str) -> None:
        nonlocal asked
        asked += 1
        await release.wait()

    site = await csms(sign_certificate=sign, rules=StationRules(certificates_over_plain=True))
    station = await peer(site, "2.0.1")
    monkeypatch.setattr(ocpp_dialect, "_SIGN_S", SOON_S)
    assert await station.tell("SignCertificate", csr="CSR") == {"status": "Accepted"}
    await wait_until(lambda: site.events("certificate.refused"))
    assert site.errors() == {"handler_timeout": 1}
    monkeypatch.setattr(ocpp_dialect, "_SIGN_S", NEVER_S)
    answers = [(await station.tell("SignCertificate", csr="CSR"))["status"] for _ in range(5)]
    assert (answers, asked) == (["Accepted"] * 4 + ["Rejected"], 5)
    assert site.events("certificate.requested")[-1].text == "too many are being signed"
    release.set()
    await wait_until(lambda: len(site.events("certificate.refused")) == 5)
    assert await station.tell("SignCertificate", csr="CSR") == {"status": "Accepted"}


class Stubborn:
    """An authenticator that does not let itself be cancelled."""

    def __init__(self) -> None:
        self.asked, self.release = 0, asyncio.Event()

    async def __call__(self, identity: str, password: bytes | None) -> bool:
        self.asked += 1
        while not self.release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.release.wait()
        return True


async def test_an_authenticator_that_hangs_for_good_costs_its_own_station(
    csms: Start, wait_until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocpp_reception, "_GIVE_UP_S", 0.02)
    ask = Stubborn()
    site = await csms(authenticate=ask, handshake_s=0.5)
    async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        await asyncio.wait_for(socket.wait_closed(), 8)
        assert socket.close_code == 1013
    assert site.server.stats.refused == {"no_verdict": 1}
    stopping = asyncio.create_task(site.stop())
    await asyncio.wait_for(asyncio.shield(stopping), 8)
    ask.release.set()


async def test_an_authenticator_that_takes_too_long_is_cancelled(csms: Start, wait_until: Until) -> None:
    begun = ended = 0

    async def ask(identity: str, password: bytes | None) -> bool:
        nonlocal begun, ended
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            ended += 1
        return True

    site = await csms(authenticate=ask, handshake_s=SOON_S)
    with pytest.raises(websockets.exceptions.WebSocketException):
        async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
            await asyncio.wait_for(socket.recv(), 8)
    await wait_until(lambda: begun == ended == 1)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("hook", ["unknown", "accepts"])
async def test_a_hook_that_must_answer_at_once_and_is_a_coroutine_lets_nobody_in(csms: Start, hook: str) -> None:
    async def late(*_: object) -> Any:
        return "accept"

    if hook == "accepts":
        with pytest.raises(TypeError, match="expected a bool, got coroutine"):
            SubjectRule(accepts=late).problem("CP1", Subject("CP1", ""))  # type: ignore[arg-type]
        return
    site = await csms(passwords={}, unknown=late)
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        await websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"])  # type: ignore[list-item]
    assert (refused.value.response.status_code, list(site.server.known)) == (500, [])


# A station that does not wait for answers


class raw:
    """A WebSocket of a 1.6 station that has booted."""

    def __init__(self, site: Any) -> None:
        self._opening = websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"])  # type: ignore[list-item]

    async def __aenter__(self) -> Any:
        self.socket = await self._opening
        await ask(self.socket, "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}, "boot")
        assert json.loads(await self.socket.recv())[2]["status"] == "Accepted"
        return self.socket

    async def __aexit__(self, *error: object) -> None:
        await self.socket.close()


async def ask(socket: Any, action: str, payload: Any, id: str) -> None:
    await socket.send(json.dumps([2, id, action, payload]))
