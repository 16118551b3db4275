"""Every command of the vocabulary against the simulated station of each version: its own answer, live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trustme

from evcore.chargers.ocpp_services import StationRules
from evcore.model import Verb

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
VERSIONS = ("1.6", "2.0.1", "2.1")
ALL, SINCE_2, SINCE_21 = VERSIONS, VERSIONS[1:], VERSIONS[2:]

ROOT = trustme.CA().cert_pem.bytes().decode()
PLACE = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
MODEL = {"component": "ChargingStation", "variable": "Model"}
NOWHERE = {"component": "OCPPCommCtrlr", "variable": "Weather"}
LATER, BEFORE = "2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
MONITOR = PLACE | {"type": "UpperThreshold", "value": 900}
UNKNOWN = {"issuer_name_hash": "00", "issuer_key_hash": "00", "serial_number": "1"}
FIRMWARE = {"url": "https://files.example/fw.bin", "request_id": 7}

# command, its arguments, the versions that can, the status; in the others it is NotSupported. In order: EVSE 1 charges.
COMMANDS: list[tuple[Verb, dict[str, Any], tuple[str, ...], str]] = [
    (Verb.START, {"token": "T1", "evse": 1}, ALL, "Rejected"),
    (Verb.RESERVE, {"token": "T2", "evse": 1, "expires": LATER, "id": 4}, ALL, "Occupied"),
    (Verb.RESERVE, {"token": "T2", "evse": 2, "expires": BEFORE, "id": 4}, ALL, "Rejected"),
    (Verb.RESERVE, {"token": "T2", "evse": 2, "expires": LATER, "id": 5}, ALL, "Accepted"),
    (Verb.START, {"token": "T3", "evse": 2}, ALL, "Rejected"),
    (Verb.CANCEL_RESERVATION, {"id": 5}, ALL, "Accepted"),
    (Verb.CANCEL_RESERVATION, {"id": 5}, ALL, "Rejected"),
    (Verb.SET_LIMIT, {"evse": 1, "limit": 10}, ALL, "Accepted"),
    (Verb.SET_LIMIT, {"evse": 2, "limit": 12}, ALL, "Accepted"),
    (Verb.SET_LIMIT, {"evse": 3, "limit": 12}, ALL, "Rejected"),
    (Verb.GET_COMPOSITE_SCHEDULE, {"evse": 1, "duration_s": 600, "unit": "A"}, ALL, "Accepted"),
    (Verb.GET_COMPOSITE_SCHEDULE, {"evse": 3, "duration_s": 600}, ALL, "Rejected"),
    (Verb.CLEAR_LIMIT, {"evse": 1}, ALL, "Accepted"),
    (Verb.CLEAR_LIMIT, {"evse": 1}, ALL, "Unknown"),
    (Verb.CHANGE_AVAILABILITY, {"evse": 2, "operative": False}, ALL, "Accepted"),
    (Verb.CHANGE_AVAILABILITY, {"evse": 2, "operative": True}, ALL, "Accepted"),
    (Verb.CHANGE_AVAILABILITY, {"evse": 7, "operative": True}, ALL, "Rejected"),
    (Verb.CLEAR_CACHE, {}, ALL, "Accepted"),
    (Verb.GET_VARIABLES, {"variables": [PLACE]}, ALL, "Accepted"),
    (Verb.GET_VARIABLES, {"variables": [NOWHERE]}, SINCE_2, "UnknownVariable"),
    (Verb.SET_VARIABLES, {"variables": [PLACE | {"value": 55}]}, ALL, "Accepted"),
    (Verb.SET_VARIABLES, {"variables": [MODEL | {"value": "Other"}]}, SINCE_2, "Rejected"),
    (Verb.SET_VARIABLES, {"variables": [NOWHERE | {"value": "sun"}]}, SINCE_2, "UnknownVariable"),
    (Verb.GET_CONFIG, {"keys": ["HeartbeatInterval"]}, ALL, "Accepted"),
    (Verb.SET_CONFIG, {"key": "HeartbeatInterval", "value": "soon"}, ALL, "Rejected"),
    (Verb.GET_REPORT, {"report": "FullInventory", "wait_s": 8}, SINCE_2, "Accepted"),
    (Verb.GET_REPORT, {"report": "Monitors", "wait_s": 8}, SINCE_2, "EmptyResultSet"),
    (Verb.SET_MONITORING, {"monitors": [MONITOR]}, SINCE_2, "Accepted"),
    (Verb.SET_MONITORING, {"monitors": [MONITOR]}, SINCE_2, "Duplicate"),
    (Verb.SET_MONITORING, {"monitors": [MONITOR | MODEL]}, SINCE_2, "UnsupportedMonitorType"),
    (Verb.GET_REPORT, {"report": "Monitors", "wait_s": 8}, SINCE_2, "Accepted"),
    (Verb.SET_MONITORING, {"level": 4}, SINCE_2, "Accepted"),
    (Verb.SET_MONITORING, {"base": "FactoryDefault"}, SINCE_2, "Accepted"),
    (Verb.SET_MONITORING, {"clear": [1]}, SINCE_2, "NotFound"),
    (Verb.GET_LOG, {"url": "https://files.example/up", "request_id": 3}, ALL, "Accepted"),
    (Verb.UPDATE_FIRMWARE, FIRMWARE, ALL, "Accepted"),
    (Verb.UPDATE_FIRMWARE, FIRMWARE | {"signing_certificate": "x", "signature": "eA=="}, ALL, "InvalidCertificate"),
    (Verb.SEND_LOCAL_LIST, {"version": 3, "tokens": [{"token": "T1", "status": "Accepted"}]}, ALL, "Accepted"),
    (Verb.SEND_LOCAL_LIST, {"version": 3, "type": "Differential", "tokens": []}, ALL, "VersionMismatch"),
    (Verb.SEND_LOCAL_LIST, {"type": "Differential", "tokens": [{"token": "T1"}]}, ALL, "Accepted"),
    (Verb.DATA_TRANSFER, {"vendor_id": "evcore", "data": "hi"}, ALL, "Accepted"),
    (Verb.COST_UPDATED, {"evse": 1, "cost": 1.5}, SINCE_2, "Accepted"),  # 1.6: see COST_16
    (Verb.SET_DISPLAY_MESSAGE, {"id": 8, "message": "Hello"}, SINCE_2, "Accepted"),
    (Verb.SET_DISPLAY_MESSAGE, {"id": 8, "message": "<b>", "format": "HTML"}, SINCE_2, "NotSupportedMessageFormat"),
    (Verb.SET_DISPLAY_MESSAGE, {"id": 8}, SINCE_2, "Accepted"),
    (Verb.SET_DISPLAY_MESSAGE, {"id": 8}, SINCE_2, "Unknown"),
    (Verb.SET_TARIFF, {"evse": 1, "id": "day", "currency": "EUR", "per_kwh": 0.5}, SINCE_21, "Accepted"),
    (Verb.GET_INSTALLED_CERTIFICATES, {}, ALL, "NotFound"),
    (Verb.INSTALL_CERTIFICATE, {"type": "CSMSRootCertificate", "certificate": "none"}, ALL, "Rejected"),
    (Verb.INSTALL_CERTIFICATE, {"type": "CSMSRootCertificate", "certificate": ROOT}, ALL, "Accepted"),
    (Verb.GET_INSTALLED_CERTIFICATES, {}, ALL, "Accepted"),
    (Verb.DELETE_CERTIFICATE, UNKNOWN, ALL, "NotFound"),
    (Verb.CERTIFICATE_SIGNED, {"chain": ROOT}, ALL, "Accepted"),
    (Verb.CERTIFICATE_SIGNED, {"chain": "none"}, ALL, "Rejected"),
    (Verb.TRIGGER, {"message": "Heartbeat"}, ALL, "Accepted"),
    (Verb.TRIGGER, {"message": "StatusNotification", "evse": 2}, ALL, "Accepted"),
    (Verb.TRIGGER, {"message": "MeterValues", "evse": 1}, ALL, "Accepted"),
    (Verb.TRIGGER, {"message": "BootNotification"}, ALL, "Accepted"),
    (Verb.TRIGGER, {"message": "FirmwareStatusNotification"}, ALL, "Accepted"),
    (Verb.TRIGGER, {"message": "LogStatusNotification"}, ALL, "Accepted"),
    (Verb.TRIGGER, {"message": "DiagnosticsStatusNotification"}, ("1.6",), "Accepted"),
    (Verb.TRIGGER, {"message": "SignChargingStationCertificate"}, ALL, "Accepted"),
    (Verb.TRIGGER, {"message": "SignCombinedCertificate"}, SINCE_2, "NotImplemented"),
    (Verb.TRIGGER, {"message": "TransactionEvent", "evse": 1}, SINCE_2, "Accepted"),
    (Verb.TRIGGER, {"message": "TransactionEvent", "evse": 2}, SINCE_2, "Rejected"),
    (Verb.TRIGGER, {"message": "StatusNotification", "evse": 9}, ALL, "Rejected"),
    (Verb.UNLOCK, {"evse": 2}, ALL, "Unlocked"),
]
COST_16 = "UnknownVendorId"  # a DataTransfer of OCA's, which this station does not know


def test_every_verb_is_among_them() -> None:
    assert {verb for verb, *_ in COMMANDS} == set(Verb) - {Verb.STOP, Verb.RESET}, "these end the test below"


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_command_gets_the_answer_of_the_station(csms: Start, version: str, wait_until: Until) -> None:
    site = await csms(rules=StationRules(certificates_over_plain=True))
    station = await site.station(version=version, evses=2)
    assert await station.plug_in(1, "T1")
    await wait_until(lambda: site.hub.last("evse/CP1/2"))
    answers = {}
    for verb, args, versions, status in COMMANDS:
        answer = await site.command(verb, **args)
        expected = status if version in versions else COST_16 if verb == Verb.COST_UPDATED else "NotSupported"
        assert (verb, args, answer.status) == (verb, args, expected), answer.reason
        answers[verb, status] = answer
    await wait_until(lambda: station.boots == 2)  # it was triggered
    await _what_they_did(site, station, answers, version, wait_until)
    if version == "1.6":  # a soft reset ends what charges
        assert (await site.command(Verb.STOP, evse=1)).status == "Accepted"
        assert (await site.command(Verb.RESET, type="OnIdle")).status == "Accepted"
    else:
        assert (await site.command(Verb.RESET, type="OnIdle")).status == "Scheduled"
        assert (await site.command(Verb.STOP, evse=1)).status == "Accepted"
    await wait_until(lambda: site.events("session.ended"))
    await wait_until(lambda: station.boots == 3)


async def _what_they_did(site: Any, station: Any, answers: Any, version: str, wait_until: Until) -> None:
    schedule = answers[Verb.GET_COMPOSITE_SCHEDULE, "Accepted"].data
    periods = schedule["chargingSchedule" if version == "1.6" else "schedule"]["chargingSchedulePeriod"]
    assert periods == [{"startPeriod": 0, "limit": 10.0}]
    key = "HeartbeatInterval" if version == "1.6" else "OCPPCommCtrlr.HeartbeatInterval"
    assert station.memory.tokens == {}
    assert station.memory.list_version == 4
    assert station.memory.settings[key].value == "55"
    listed = answers[Verb.GET_INSTALLED_CERTIFICATES, "Accepted"].data["certificateHashDataChain"]
    hashes = listed[0]["certificateHashData"]
    gone = await site.command(
        Verb.DELETE_CERTIFICATE,
        issuer_name_hash=hashes["issuerNameHash"],
        issuer_key_hash=hashes["issuerKeyHash"],
        serial_number=hashes["serialNumber"],
    )
    assert (gone.status, station.memory.certificates) == ("Accepted", [])
    await wait_until(lambda: [event.text for event in site.events("firmware.status")][-1:] == ["Installed"])
    await wait_until(lambda: "Uploaded" in [event.text for event in site.events("log.status")])
    if version == "1.6":
        return
    report = answers[Verb.GET_REPORT, "Accepted"].data
    assert report["complete"]
    assert [item["variableMonitoring"][0]["value"] for item in report["report"]] == [900]
    assert station.memory.monitors == {}


@pytest.mark.parametrize(("version", "kind"), [("2.0.1", "Central"), ("2.1", "DirectPayment")])
async def test_a_token_of_a_payment_goes_out_as_what_it_is(
    csms: Start, version: str, kind: str, wait_until: Until
) -> None:
    site = await csms()
    station = await site.station(version=version, evses=2)
    assert (await site.command(Verb.START, token="PAID-1", token_type="DirectPayment", evse=1)).ok
    await wait_until(lambda: site.events("session.started"))
    await station.plug_in(2, "PAID-2", token_type="DirectPayment")
    sent = [answered.payload["idToken"] for answered in station.answers if "idToken" in answered.payload]
    assert {"idToken": "PAID-2", "type": kind} in sent
    assert all(token["type"] == kind for token in sent)
    assert [event.data["token"] for event in site.events("session.started")] == ["PAID-1", "PAID-2"]
