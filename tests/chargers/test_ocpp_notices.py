"""Every message that a station may send, in every version: a right answer, and an event for whoever listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

import pytest
import websockets
from ocpp.exceptions import OCPPError

from evcore.chargers import OcppServer, StationRules
from evcore.errors import CallError, ConfigError

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
NOW = "2026-11-23T18:30:00Z"
FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}

# action -> (kind of its event, members of the answer). OCPP 1.6, 4; its security white paper, 5; 2.x Part 2, messages
FROM_16: dict[str, tuple[str, dict[str, Any]]] = {
    "Authorize": ("", {"idTagInfo": {"status": "Accepted"}}),
    "BootNotification": ("station.booted", {"status": "Accepted"}),
    "DataTransfer": ("data_transfer", {"status": "UnknownVendorId"}),
    "DiagnosticsStatusNotification": ("diagnostics.status", {}),
    "FirmwareStatusNotification": ("firmware.status", {}),
    "Heartbeat": ("", {}),
    "LogStatusNotification": ("log.status", {}),
    "MeterValues": ("", {}),
    "SecurityEventNotification": ("security.event", {}),
    "SignCertificate": ("certificate.requested", {"status": "Rejected"}),
    "SignedFirmwareStatusNotification": ("firmware.status", {}),
    "StartTransaction": ("session.started", {"idTagInfo": {"status": "Accepted"}}),
    "StatusNotification": ("", {}),
    "StopTransaction": ("session.ended", {}),
}
FROM_201: dict[str, tuple[str, dict[str, Any]]] = {
    "Authorize": ("", {"idTokenInfo": {"status": "Accepted"}}),
    "BootNotification": ("station.booted", {"status": "Accepted"}),
    "ClearedChargingLimit": ("charging.limit_cleared", {}),
    "DataTransfer": ("data_transfer", {"status": "UnknownVendorId"}),
    "FirmwareStatusNotification": ("firmware.status", {}),
    "Get15118EVCertificate": ("certificate.contract", {"status": "Failed", "exiResponse": ""}),
    "GetCertificateStatus": ("certificate.status", {"status": "Failed"}),
    "Heartbeat": ("", {}),
    "LogStatusNotification": ("log.status", {}),
    "MeterValues": ("", {}),
    "NotifyChargingLimit": ("charging.limit", {}),
    "NotifyCustomerInformation": ("customer.information", {}),
    "NotifyDisplayMessages": ("display.messages", {}),
    "NotifyEVChargingNeeds": ("charging.needs", {"status": "Rejected"}),
    "NotifyEVChargingSchedule": ("charging.schedule", {"status": "Accepted"}),
    "NotifyEvent": ("device.event", {}),
    "NotifyMonitoringReport": ("report.monitors", {}),
    "NotifyReport": ("report", {}),
    "PublishFirmwareStatusNotification": ("firmware.published", {}),
    "ReportChargingProfiles": ("charging.profiles", {}),
    "ReservationStatusUpdate": ("reservation.status", {}),
    "SecurityEventNotification": ("security.event", {}),
    "SignCertificate": ("certificate.requested", {"status": "Rejected"}),
    "StatusNotification": ("", {}),
    "TransactionEvent": ("session.ended", {}),  # Ended is the first word of its enumeration
}
FROM_21: dict[str, tuple[str, dict[str, Any]]] = FROM_201 | {
    "BatterySwap": ("battery.swap", {}),
    "ClosePeriodicEventStream": ("periodic_event.closed", {}),
    "GetCertificateChainStatus": ("certificate.status", {}),
    "NotifyDERAlarm": ("der.alarm", {}),
    "NotifyDERStartStop": ("der.started_stopped", {}),
    "NotifyEVChargingNeeds": ("charging.needs", {"status": "NoChargingProfile"}),
    "NotifyPriorityCharging": ("charging.priority", {}),
    "NotifySettlement": ("payment.settlement", {}),
    "OpenPeriodicEventStream": ("periodic_event.opened", {"status": "Accepted"}),
    "PullDynamicScheduleUpdate": ("charging.pull_schedule", {"status": "Rejected"}),
    "ReportDERControl": ("der.control", {}),
    "VatNumberValidation": ("vat.validation", {"error": "NotSupported"}),
}
FROM = {"1.6": FROM_16, "2.0.1": FROM_201, "2.1": FROM_21}
MESSAGES = [(version, action) for version, actions in FROM.items() for action in actions]


def schema_of(version: str, action: str, kind: str = "") -> Any:
    suffix = kind if version != "1.6" else kind.removesuffix("Request")
    name = f"{FOLDERS[version]}/schemas/{action}{suffix}.json"
    return json.loads((files("ocpp") / name).read_text("utf-8-sig"))


def least(node: Mapping[str, Any], root: Any) -> Any:
    """The smallest value that the schema allows."""
    if "$ref" in node:
        return least(root["definitions"][node["$ref"].rsplit("/", 1)[1]], root)
    if "enum" in node:
        return node["enum"][0]
    match node["type"]:
        case "object":
            return {name: least(node["properties"][name], root) for name in node.get("required", ())}
        case "array":
            return [least(node["items"], root)] * node.get("minItems", 0)
        case "string":
            return {"date-time": NOW, "uri": "https://h/f"}.get(node.get("format", ""), "1")
        case "boolean":
            return False
        case _:
            return max(1, int(node.get("minimum", 1)))


class Raw:
    """A station that sends JSON."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.number = socket, 0

    async def call(self, action: str, payload: Any) -> list[Any]:
        self.number += 1
        await self.socket.send(json.dumps([2, str(self.number), action, payload]))
        while True:
            frame: list[Any] = json.loads(await asyncio.wait_for(self.socket.recv(), 8))
            if frame[0] != 2 and frame[1] == str(self.number):
                return frame


def dial(site: Any, version: str) -> Any:
    return websockets.connect(f"{site.url}/CP1", subprotocols=[f"ocpp{version}"])  # type: ignore[list-item]


@pytest.mark.parametrize(("version", "action"), MESSAGES)
async def test_each_message_is_answered_and_told(csms: Start, version: str, action: str) -> None:
    site = await csms(registered=["CP1"])
    kind, members = FROM[version][action]
    root = schema_of(version, action, "Request")
    payload = least(root, root)
    if action in ("NotifyEvent", "GetCertificateChainStatus"):
        assert all(payload[name] for name in payload if isinstance(payload[name], list)), "something to speak of"
    async with dial(site, version) as socket:
        answer = await Raw(socket).call(action, payload)
    if "error" in members:
        assert answer[:1] + answer[2:3] == [4, members["error"]]
    else:
        assert answer[0] == 3, answer
        for name, value in members.items():
            assert answer[2][name] == value
    if kind:
        [event] = site.events(kind)
        assert event.kind == kind
        json.dumps(event.data)
    assert site.errors() == ({f"refused_{members['error']}": 1} if "error" in members else {})


@pytest.mark.parametrize("version", FROM)
async def test_what_only_the_csms_may_ask_is_not_supported_and_what_nobody_knows_not_implemented(
    csms: Start, version: str
) -> None:
    site = await csms(registered=["CP1"])
    async with dial(site, version) as socket:
        station = Raw(socket)
        names = {path.name.removesuffix(".json") for path in (files("ocpp") / FOLDERS[version] / "schemas").iterdir()}
        actions = {name.removesuffix("Response").removesuffix("Request") for name in names}
        for action in sorted(actions - FROM[version].keys() - {"NotifyPeriodicEventStream"}):
            root = schema_of(version, action, "Request")
            answer = await station.call(action, least(root, root))
            assert answer[:1] + answer[2:3] == [4, "NotSupported"], (action, answer)
        assert (await station.call("WritePoetry", {}))[2] == "NotImplemented"


async def test_a_stream_of_21_is_told_and_never_answered(csms: Start, wait_until: Until) -> None:
    site = await csms(registered=["CP1"])
    async with dial(site, "2.1") as socket:
        root = schema_of("2.1", "NotifyPeriodicEventStream")
        await socket.send(json.dumps([6, "s1", "NotifyPeriodicEventStream", least(root, root)]))
        await wait_until(lambda: site.events("periodic_event"))
        assert (await Raw(socket).call("Heartbeat", {}))[0] == 3


# Hooks


@pytest.mark.parametrize("version", FROM)
async def test_data_transfers_are_answered_by_the_hook_of_their_vendor(csms: Start, peer: Start, version: str) -> None:
    async def later(station: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"status": "Accepted", "data": f"{station} {payload['messageId']}"}

    def refuses(station: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise CallError("SecurityError", "not you")

    def fails(station: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise KeyError("oops")

    site = await csms(data_transfer={"good": later, "strict": refuses, "broken": fails})
    station = await peer(site, version)
    assert await station.tell("DataTransfer", vendor_id="good", message_id="m") == {
        "status": "Accepted",
        "data": "CP1 m",
    }
    assert await station.tell("DataTransfer", vendor_id="other") == {"status": "UnknownVendorId"}
    for vendor, code in (("strict", "SecurityError"), ("broken", "InternalError")):
        with pytest.raises(OCPPError) as refused:
            await station.tell("DataTransfer", vendor_id=vendor)
        assert type(refused.value).__name__ == code
    assert len(site.events("data_transfer")) == 4


async def test_a_service_that_is_plugged_in_answers_instead_of_evcore(csms: Start, peer: Start) -> None:
    def vat(station: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"status": "Accepted", "vatNumber": payload["vatNumber"], "evseId": payload["evseId"]}

    site = await csms(answers={"VatNumberValidation": vat})
    station = await peer(site, "2.1")
    answer = await station.tell("VatNumberValidation", vat_number="NL1", evse_id=2)
    assert answer == {"status": "Accepted", "vatNumber": "NL1", "evseId": 2}
    [event] = site.events("vat.validation")
    assert event.evse == 2
    with pytest.raises(ConfigError, match="answers"):
        OcppServer(answers={"BootNotification": vat})


CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----"
CHAIN = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----"
OPEN = StationRules(certificates_over_plain=True)


@pytest.mark.parametrize("version", FROM)
@pytest.mark.parametrize("slow", [False, True])
async def test_a_certificate_request_is_signed_by_the_hook(
    csms: Start, peer: Start, wait_until: Until, version: str, slow: bool
) -> None:
    asked: list[tuple[str, ...]] = []

    def sign(*args: str) -> Any:
        asked.append(args)
        return asyncio.sleep(0, CHAIN) if slow else CHAIN

    site = await csms(sign_certificate=sign, rules=OPEN)
    station = await peer(site, version)
    station.replies["CertificateSigned"] = {"status": "Accepted"}
    more: dict[str, Any] = {} if version == "1.6" else {"certificate_type": "V2GCertificate"}
    if version == "2.1":
        more["request_id"] = 7
    assert await station.tell("SignCertificate", csr=CSR, **more) == {"status": "Accepted"}
    await wait_until(lambda: site.events("certificate.signed"))
    kind = "ChargingStationCertificate" if version == "1.6" else "V2GCertificate"
    assert asked == [("CP1", CSR, kind)]
    [(action, payload)] = station.asked
    assert (action, payload["certificateChain"]) == ("CertificateSigned", CHAIN)
    assert payload.get("certificateType") == (None if version == "1.6" else kind)
    assert payload.get("requestId") == (7 if version == "2.1" else None)


async def test_a_request_that_is_not_signed_is_rejected_or_told(csms: Start, peer: Start, wait_until: Until) -> None:
    results: list[Any] = [None, asyncio.sleep(0, None), _failing(), CHAIN]
    site = await csms(sign_certificate=lambda *_: results.pop(0), rules=OPEN)
    station = await peer(site, "2.0.1")
    station.replies["CertificateSigned"] = {"status": "Rejected"}
    statuses = [(await station.tell("SignCertificate", csr=CSR))["status"] for _ in range(4)]
    assert statuses == ["Rejected", "Accepted", "Accepted", "Accepted"]
    events = await wait_until(
        lambda: len(site.events("certificate.refused")) == 3 and site.events("certificate.refused")
    )
    assert [event.text for event in events[:2]] == ["it was not signed"] * 2
    assert "Rejected" in events[2].text


async def _failing() -> str:
    raise RuntimeError("no HSM")


@pytest.mark.parametrize("version", FROM)
async def test_no_certificate_travels_without_tls(csms: Start, peer: Start, version: str) -> None:
    from evcore.model import Verb

    site = await csms(sign_certificate=lambda *_: CHAIN)
    station = await peer(site, version)
    assert await station.tell("SignCertificate", csr=CSR) == {"status": "Rejected"}
    [event] = site.events("certificate.requested")
    assert (event.severity, event.text) == ("warning", "not without TLS")
    hashes = {"issuer_name_hash": "a", "issuer_key_hash": "b", "serial_number": "1"}
    for verb, args in (
        (Verb.INSTALL_CERTIFICATE, {"type": "CSMSRootCertificate", "certificate": CHAIN}),
        (Verb.DELETE_CERTIFICATE, hashes),
        (Verb.CERTIFICATE_SIGNED, {"chain": CHAIN}),
    ):
        answer = await site.command(verb, **args)
        assert (answer.status, "TLS" in answer.reason) == ("NotSupported", True)
    assert station.asked == []


async def test_behind_a_proxy_that_ends_tls_certificates_travel(csms: Start, peer: Start, wait_until: Until) -> None:
    site = await csms(sign_certificate=lambda *_: CHAIN, rules=StationRules(behind_tls=True))
    station = await peer(site, "2.1")
    station.replies["CertificateSigned"] = {"status": "Accepted"}
    assert await station.tell("SignCertificate", csr=CSR) == {"status": "Accepted"}
    await wait_until(lambda: site.events("certificate.signed"))
