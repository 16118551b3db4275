"""One model of a station, whatever version it speaks: EVSEs, connectors, status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from evcore.model import Connector

Start = Callable[..., Awaitable[Any]]
NOW = "2026-11-23T18:30:00Z"


async def status(station: Any, evse: int, connector: int, word: str) -> None:
    await station.tell("StatusNotification", timestamp=NOW, connector_status=word, evse_id=evse, connector_id=connector)


async def test_a_connector_of_16_is_an_evse_with_one_connector(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "1.6")
    for connector, word in ((0, "Available"), (1, "Charging"), (2, "Finishing")):
        await station.tell("StatusNotification", connector_id=connector, error_code="NoError", status=word)
    first, second = site.hub.last("evse/CP1/1"), site.hub.last("evse/CP1/2")
    assert (first.status, first.charging, first.connectors) == (
        "Occupied",
        "Charging",
        (Connector(1, status="Occupied"),),
    )
    assert (second.status, second.charging) == ("Occupied", "EVConnected")
    assert site.hub.last("evse/CP1/0") is None, "connector 0 is the station"


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_an_evse_of_2x_is_what_its_connectors_are_together(csms: Start, peer: Start, version: str) -> None:
    site = await csms()
    station = await peer(site, version)
    steps = [
        (1, "Available", "Available", ""),
        (2, "Available", "Available", ""),
        (1, "Occupied", "Occupied", ""),
        (2, "Unavailable", "Occupied", ""),
        (1, "Available", "Available", ""),
        (2, "Reserved", "Reserved", ""),
        (2, "Unavailable", "Available", ""),
        (1, "Faulted", "Faulted", "Faulted"),
        (2, "Reserved", "Reserved", "Faulted"),
        (1, "Unavailable", "Reserved", ""),
        (2, "Unavailable", "Unavailable", ""),
    ]
    for connector, word, whole, fault in steps:
        await status(station, 1, connector, word)
        evse = site.hub.last("evse/CP1/1")
        assert (evse.status, evse.fault) == (whole, fault), (connector, word)
    assert evse.connectors == (Connector(1, status="Unavailable"), Connector(2, status="Unavailable"))
    assert [event.kind for event in site.events("fault")] == ["fault.raised", "fault.cleared"]


async def test_what_the_device_model_says_of_connectors_is_part_of_the_model(csms: Start, peer: Start) -> None:
    """A station may tell the state of a connector by NotifyEvent (2.0.1 Part 2, G01), and its type in reports."""
    site = await csms()
    station = await peer(site, "2.1")
    place = {"name": "Connector", "evse": {"id": 1, "connector_id": 2}}
    told = {
        "event_id": 1,
        "timestamp": NOW,
        "trigger": "Delta",
        "actual_value": "Occupied",
        "event_notification_type": "HardWiredNotification",
        "component": place,
        "variable": {"name": "AvailabilityState"},
    }
    await station.tell("NotifyEvent", generated_at=NOW, seq_no=0, event_data=[told])
    kind = {
        "component": place,
        "variable": {"name": "ConnectorType"},
        "variable_attribute": [{"value": "cCCS2"}, {"type": "Target", "value": "sType2"}],
    }
    await station.tell("NotifyReport", request_id=1, generated_at=NOW, seq_no=0, report_data=[kind])
    evse = site.hub.last("evse/CP1/1")
    assert (evse.status, evse.connectors) == ("Occupied", (Connector(2, "cCCS2", "Occupied"),))
    nonsense = told | {"actual_value": "Levitating"}
    await station.tell("NotifyEvent", generated_at=NOW, seq_no=1, event_data=[nonsense])
    assert site.hub.last("evse/CP1/1").status == "Occupied"
    assert len(site.events("device.event")) == 2


async def test_what_charges_is_seen_until_the_connector_is_free(csms: Start, peer: Start) -> None:
    site = await csms()
    station = await peer(site, "2.0.1")
    await status(station, 1, 1, "Occupied")
    for kind, seq_no, info in (("Started", 0, {"charging_state": "Charging"}), ("Updated", 1, {})):
        await station.tell(
            "TransactionEvent",
            event_type=kind,
            timestamp=NOW,
            trigger_reason="Authorized",
            seq_no=seq_no,
            transaction_info={"transaction_id": "tx-1"} | info,
            evse={"id": 1, "connector_id": 1},
        )
    assert site.hub.last("evse/CP1/1").charging == "Charging"
    await status(station, 1, 2, "Unavailable")
    evse = site.hub.last("evse/CP1/1")
    assert (evse.status, evse.charging) == ("Occupied", "Charging")
    await status(station, 1, 1, "Available")
    assert site.hub.last("evse/CP1/1").charging is None
