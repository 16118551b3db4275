"""Reports in parts, lists with a version, and what else takes more than one message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from evcore.chargers import StationRules
from evcore.chargers.ocpp_reports import MAX_ITEMS, Report
from evcore.model import Verb

Start = Callable[..., Awaitable[Any]]
NOW = "2026-11-23T18:30:00Z"


def row(name: str, value: str = "1") -> dict[str, Any]:
    return {
        "component": {"name": "C"},
        "variable": {"name": name},
        "variable_attribute": [{"value": value}],
    }


def telling(station: Any, parts: int, *, last: bool = True) -> Any:
    """A reply to a request for a report: its parts follow."""

    async def tell(request: int) -> None:
        for n in range(parts):
            more = not last or n < parts - 1
            await station.tell(
                "NotifyReport", request_id=request, generated_at=NOW, seq_no=n, tbc=more, report_data=[row(f"V{n}")]
            )

    def reply(payload: Any) -> Any:
        station.later(tell(payload["requestId"]))
        return {"status": "Accepted"}

    return reply


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_a_report_is_put_together_from_its_parts(csms: Start, peer: Start, version: str) -> None:
    site = await csms()
    station = await peer(site, version)
    station.replies["GetBaseReport"] = telling(station, 3)
    answer = await site.command(Verb.GET_REPORT)
    assert (answer.status, answer.ok, answer.data["complete"]) == ("Accepted", True, True)
    assert [item["variable"]["name"] for item in answer.data["report"]] == ["V0", "V1", "V2"]
    assert station.asked[0][1]["reportBase"] == "FullInventory"
    assert len(site.events("report")) == 3
    answer = await site.command(Verb.GET_CONFIG)
    assert station.asked[-1][1]["reportBase"] == "ConfigurationInventory"
    assert len(answer.data["report"]) == 3


async def test_what_came_in_time_of_a_report_that_does_not_end_is_given(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "2.0.1")
    station.replies["GetBaseReport"] = telling(station, 2, last=False)
    answer = await site.command(Verb.GET_REPORT, wait_s=0.3)
    assert (answer.ok, answer.data["complete"], len(answer.data["report"])) == (True, False, 2)
    assert "0.3 s" in answer.reason


async def test_monitors_are_reported_too(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "2.0.1")

    def reply(payload: Any) -> Any:
        monitor = {"id": 1, "transaction": False, "value": 5.0, "type": "Delta", "severity": 4}
        item = {"component": {"name": "C"}, "variable": {"name": "V"}, "variable_monitoring": [monitor]}
        told = station.tell(
            "NotifyMonitoringReport", request_id=payload["requestId"], seq_no=0, generated_at=NOW, monitor=[item]
        )
        station.later(told)
        return {"status": "Accepted"}

    station.replies["GetMonitoringReport"] = reply
    answer = await site.command(Verb.GET_REPORT, report="Monitors")
    assert answer.data["report"][0]["variableMonitoring"][0]["type"] == "Delta"


async def test_only_so_many_reports_of_a_station_are_waited_for(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "2.0.1")
    station.replies["GetBaseReport"] = {"status": "Accepted"}
    asked = [asyncio.create_task(site.command(Verb.GET_REPORT, wait_s=1)) for _ in range(6)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status for answer in answers) == ["Accepted"] * 4 + ["Rejected"] * 2


async def test_a_report_is_bounded_and_knows_repeats_and_gaps() -> None:
    report = Report()
    report.add(0, [1], 10, more=True)
    report.add(0, [1], 10, more=True)
    report.add(2, [3], 10, more=False)
    assert (report.items, report.complete) == ([1, 3], False)
    report.add(1, [2], 10, more=True)
    assert report.complete
    long = Report()
    long.add(0, [0] * MAX_ITEMS, 10, more=True)
    long.add(1, [0], 10, more=False)
    await asyncio.wait_for(long.wait(8), 1)
    assert (len(long.items), long.complete, long.cut) == (MAX_ITEMS, False, True)


@pytest.mark.parametrize(("version", "member"), [("1.6", "list_version"), ("2.1", "version_number")])
async def test_a_list_without_a_version_gets_the_next(csms: Start, peer: Start, version: str, member: str) -> None:
    site = await csms()
    station = await peer(site, version)
    station.replies |= {"GetLocalListVersion": {member: 41}, "SendLocalList": {"status": "Accepted"}}
    answer = await site.command(Verb.SEND_LOCAL_LIST, tokens=[{"token": "A"}])
    assert (answer.status, answer.data["version"]) == ("Accepted", 42)
    sent = station.asked[-1][1]
    entry = sent["localAuthorizationList"][0]
    assert (entry.get("idTagInfo") or entry["idTokenInfo"])["status"] == "Accepted", "a whole list names who may"
    if version == "1.6":
        station.replies["GetLocalListVersion"] = {member: -1}
        answer = await site.command(Verb.SEND_LOCAL_LIST)
        assert answer.status == "NotSupported"


async def test_16_is_asked_for_certificates_once_a_type(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "1.6")
    hashes = {"hash_algorithm": "SHA256", "issuer_name_hash": "a", "issuer_key_hash": "b", "serial_number": "1"}

    def reply(payload: Any) -> Any:
        if payload["certificateType"] == "ManufacturerRootCertificate":
            return {"status": "NotFound"}
        return {"status": "Accepted", "certificate_hash_data": [hashes]}

    station.replies["GetInstalledCertificateIds"] = reply
    answer = await site.command(Verb.GET_INSTALLED_CERTIFICATES)
    assert (answer.status, len(station.asked)) == ("Accepted", 2)
    [found] = answer.data["certificateHashDataChain"]
    assert found["certificateType"] == "CentralSystemRootCertificate"


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_station_that_is_not_accepted_yet_is_not_told_to_charge(csms: Start, peer: Start, version: str) -> None:
    site = await csms()
    await peer(site, version)
    site.server._roster.charger("CP1").registered = False
    answer = await site.command(Verb.START, token="T1", evse=1)
    assert (answer.status, "not accepted" in answer.reason) == ("Rejected", True)


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_variable_that_16_has_no_key_for_is_named(csms: Start, peer: Start, version: str) -> None:
    site = await csms(rules=StationRules())
    station = await peer(site, version)
    found = {"attribute_status": "Accepted", "component": {"name": "C"}, "variable": {"name": "V"}}
    station.replies["GetVariables"] = {"get_variable_result": [found]}
    answer = await site.command(Verb.GET_VARIABLES, variables=[{"component": "X", "variable": "Y"}])
    assert answer.ok == (version != "1.6")
    if version == "1.6":
        assert (answer.status, "no key for X.Y" in answer.reason) == ("NotSupported", True)
    else:
        answer = await site.command(Verb.GET_CONFIG, keys=["VendorThing"])
        assert (answer.status, "VendorThing" in answer.reason) == ("Invalid", True)
