"""Every command of the model, in the words of every version, asked of a mobilityhouse station over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from command_cases import CHARGING, OK, TIME
from command_cases_device import DEVICE, HASHES
from ocpp.exceptions import InternalError, NotSupportedError

from evcore.chargers import StationRules
from evcore.chargers.commands import TABLES
from evcore.model import Verb

Start = Callable[..., Awaitable[Any]]
CASES = CHARGING + DEVICE
OPEN = StationRules(certificates_over_plain=True)


async def charge(station: Any) -> None:
    """A session on EVSE 1: transaction 1 of 1.6, tx-1 of 2.x."""
    if station.version == "1.6":
        await station.tell("StartTransaction", connector_id=1, id_tag="T1", meter_start=100, timestamp=TIME)
        return
    await station.tell(
        "TransactionEvent",
        event_type="Started",
        timestamp=TIME,
        trigger_reason="CablePluggedIn",
        seq_no=0,
        transaction_info={"transaction_id": "tx-1"},
        evse={"id": 1, "connector_id": 1},
    )


@pytest.mark.parametrize("version", TABLES)
async def test_each_command_is_sent_in_the_stations_words_and_brings_its_own_answer(
    csms: Start, peer: Start, version: str
) -> None:
    site = await csms(rules=OPEN)
    station = await peer(site, version)
    await charge(station)
    for case in CASES:
        sent = case.sent(version)
        sent = sent if isinstance(sent, list | None) else [sent]
        for action, _ in sent or ():
            station.replies[action] = case.replies.get(version, case.reply)
        station.asked.clear()
        answer = await site.command(case.verb, **case.args)
        assert station.asked == (sent or []), case
        if sent is None:
            assert (answer.status, answer.ok) == ("NotSupported", False), (case, answer)
            assert "OCPP" in answer.reason, answer
            continue
        assert (answer.status.startswith(case.status), answer.ok) == (True, case.ok), (case, answer)
        json.dumps(answer.data)


def test_every_verb_has_a_case_for_every_version_and_is_in_every_table() -> None:
    assert {case.verb for case in CASES} == set(Verb)
    for table in TABLES.values():
        assert set(table) == set(Verb)
    unable = {
        version: {verb for verb, run in table.items() if isinstance(run, str)} for version, table in TABLES.items()
    }
    assert unable["2.1"] == set()
    assert unable["2.0.1"] == {Verb.SET_TARIFF}
    assert unable["1.6"] == {Verb.GET_REPORT, Verb.SET_MONITORING, Verb.SET_DISPLAY_MESSAGE, Verb.SET_TARIFF}


@pytest.mark.parametrize("version", TABLES)
async def test_whatever_the_station_does_is_told_of_each_command(csms: Start, peer: Start, version: str) -> None:
    site = await csms(rules=OPEN)
    station = await peer(site, version)
    await charge(station)
    seen = set()
    for case in CASES:
        sent = case.sent(version)
        if sent is None or case.verb in seen:
            continue
        seen.add(case.verb)
        [(action, _), *_] = sent if isinstance(sent, list) else [sent]
        station.replies[action] = NotSupportedError("no")
        answer = await site.command(case.verb, **case.args)
        assert (answer.status, answer.ok) == ("NotSupported", False), (case.verb, answer)
        assert action in answer.reason
        station.replies[action] = InternalError("it burns")
        answer = await site.command(case.verb, **case.args)
        assert (answer.status, answer.ok) == ("Error", False), (case.verb, answer)
        assert "it burns" in answer.reason or "InternalError" in answer.reason


async def test_a_station_that_does_not_answer_is_told_of(csms: Start, peer: Start) -> None:
    site = await csms(rules=OPEN, call_timeout_s=0.2)
    station = await peer(site, "2.0.1")
    station.replies["ClearCache"] = lambda payload: asyncio.sleep(0.4, OK)
    answer = await site.command(Verb.CLEAR_CACHE)
    assert (answer.status, answer.reason) == ("Timeout", "the station did not answer ClearCache in time")


@pytest.mark.parametrize("version", TABLES)
async def test_a_broken_answer_is_the_stations_fault_and_not_an_arguments(
    csms: Start, peer: Start, version: str
) -> None:
    site = await csms()
    station = await peer(site, version)

    async def broken(payload: Any) -> Any:
        frame = [3, station.last_id, {"status": "Perhaps"}]
        await station.socket.send(json.dumps(frame))
        await asyncio.sleep(0.05)
        return OK

    station.replies["ClearCache"] = broken
    answer = await site.command(Verb.CLEAR_CACHE)
    assert (answer.status, "broken" in answer.reason) == ("Error", True), answer


WRONG: list[tuple[Verb, dict[str, Any], str]] = [
    (Verb.START, {}, "token: missing"),
    (Verb.START, {"token": ""}, "token"),
    (Verb.START, {"token": "T", "token_type": "NoAuthorization"}, "token"),
    (Verb.START, {"token": "T", "evseId": 1}, "evseId: no such argument"),
    (Verb.START, {"token": 5}, "token: expected text, got int"),
    (Verb.STOP, {}, "session or evse"),
    (Verb.UNLOCK, {"evse": True}, "evse: expected an integer"),
    (Verb.UNLOCK, {"evse": 0}, "evse: expected 1 to 999"),
    (Verb.SET_LIMIT, {"limit": "6"}, "limit: expected a number"),
    (Verb.SET_LIMIT, {"limit": -1}, "limit: expected 0"),
    (Verb.CHANGE_AVAILABILITY, {"operative": "yes"}, "operative: expected true or false"),
    (Verb.CHANGE_AVAILABILITY, {"operative": True, "connector": 1}, "connector"),
    (Verb.TRIGGER, {"message": "Heartbeat", "custom": "x"}, "custom"),
    (Verb.GET_CONFIG, {"keys": "HeartbeatInterval"}, "keys: expected a list"),
    (Verb.SET_CONFIG, {"key": "K", "value": ["x"]}, "value: expected text"),
    (Verb.SET_CONFIG, {"key": "K" * 51, "value": "v"}, ""),
    (Verb.GET_VARIABLES, {"variables": []}, "variables: expected 1"),
    (Verb.SET_VARIABLES, {"variables": [{"component": "C", "variable": "V"}]}, "variables[0].value: missing"),
    (Verb.GET_REPORT, {"criteria": ["Problem"]}, "criteria"),
    (Verb.GET_REPORT, {"report": "Variables", "criteria": ["DeltaMonitoring"]}, "criteria"),
    (Verb.SET_MONITORING, {"level": 3, "base": "All"}, "exactly one"),
    (Verb.GET_LOG, {"url": "file:///etc/passwd"}, "url: expected a URL of https"),
    (Verb.UPDATE_FIRMWARE, {"url": "http://127.1/fw"}, "loopback"),
    (Verb.UPDATE_FIRMWARE, {"url": "https://x.example/fw", "signature": "c2ln"}, "both or neither"),
    (Verb.UPDATE_FIRMWARE, {"url": "https://x.example/fw", "retrieve_at": "tomorrow"}, "retrieve_at: expected a time"),
    (Verb.RESERVE, {"token": "T", "evse": 1, "expires": "2026-11-23T18:30:00"}, "expires: expected a time with a zone"),
    (Verb.COST_UPDATED, {"evse": 1}, "cost: missing"),
    (Verb.SET_DISPLAY_MESSAGE, {}, "message, id"),
    (Verb.SET_TARIFF, {"currency": "EUR"}, "per_kwh"),
    (Verb.SET_TARIFF, {"tariff": {"currency": "EUR", "energy": {}}}, "/tariff/energy"),
    (Verb.DELETE_CERTIFICATE, HASHES | {"hash_algorithm": "MD5"}, "hash_algorithm: expected SHA256"),
]


@pytest.mark.parametrize("version", TABLES)
async def test_a_wrong_argument_is_invalid_and_the_station_is_not_asked(csms: Start, peer: Start, version: str) -> None:
    site = await csms(rules=OPEN)
    station = await peer(site, version)
    await charge(station)
    for verb, args, why in WRONG:
        answer = await site.command(verb, **args)
        if isinstance(TABLES[version][verb], str):
            assert answer.status == "NotSupported"
            continue
        assert (answer.status, answer.ok, why in answer.reason) == ("Invalid", False, True), (verb, args, answer)
    assert station.asked == []
