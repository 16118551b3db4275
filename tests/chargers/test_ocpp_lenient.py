"""A station that does not keep to the schema, at a server that is lenient with it: served, counted, told of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets

from evcore.chargers import OcppServer
from evcore.errors import ConfigError
from evcore.model import Sample, Station
from evcore.ocpp.policy import Policy

Start = Callable[..., Awaitable[Any]]

# The messages of lbbrhzn/ocpp#1622 (too long serial numbers) and #2032 (an empty transactionId).
BOOT = (
    '[2,"1","BootNotification",{"chargeBoxSerialNumber":"EVB1A22P2KI3N12345678901234567890","chargePointModel":'
    '"EVlink Smart Wallbox","chargePointSerialNumber":"3N123456789F2S1B1234567890",'
    '"chargePointVendor":"Schneider Electric"}]'
)
GOOD_BOOT = '[2,"1","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]'
METER = (
    '[2,"2","MeterValues",{"connectorId":1,"transactionId":,"meterValue":[{"timestamp":"2026-08-04T13:35:45Z",'
    '"sampledValue":[{"value":226,"measurand":"Voltage","unit":"V","phase":"L1"}]}]}]'
)


async def talk(url: str, *messages: str) -> list[list[Any]]:
    """The answers to messages that are sent one after the other."""
    answers = []
    async with asyncio.timeout(8), websockets.connect(f"{url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        for message in messages:
            await socket.send(message)
            answers.append(json.loads(await socket.recv()))
    return answers


def repairs(site: Any) -> dict[tuple[str, str], int]:
    """Counted repairs, by name and action."""
    return {
        (dict(labels)["repair"], dict(labels)["action"]): n
        for (name, labels), n in site.hub.counters().items()
        if name == "evcore_ocpp_repairs_total"
    }


async def test_what_is_mended_is_served_counted_and_told(csms: Start) -> None:
    site = await csms(policy=Policy("lenient"))
    boot, meter = await talk(site.url, BOOT, METER)
    assert boot[2]["status"] == "Accepted"
    assert meter == [3, "2", {}]
    assert repairs(site) == {
        ("cut", "BootNotification"): 2,
        ("empty_value", "MeterValues"): 1,
        ("number_text", "MeterValues"): 1,
    }
    (told,) = site.events("protocol.mended")  # at most one a second
    assert told.text.startswith("BootNotification: cut at /chargeBoxSerialNumber")
    assert (told.source, told.data) == ("CP1", {"action": "BootNotification", "repairs": 2})
    assert site.errors() == {}
    (voltage,) = [item for item in site.items if isinstance(item, Sample) and item.measurand == "Voltage"]
    assert (voltage.value, voltage.unit) == (226, "V")


async def test_without_a_policy_the_same_station_is_refused(csms: Start) -> None:
    site = await csms()
    (boot,) = await talk(site.url, BOOT)
    assert boot[:3] == [4, "1", "PropertyConstraintViolation"]
    assert repairs(site) == {}
    assert site.errors() == {"payload_PropertyConstraintViolation": 1}


async def test_a_policy_is_chosen_by_what_a_station_says_of_itself_when_it_boots(csms: Start) -> None:
    asked: list[tuple[str, str]] = []

    def policy(station: Station) -> Policy:
        asked.append((station.id, station.vendor))
        if not station.vendor:  # not yet known: let it say who it is
            return Policy(actions={"BootNotification": "lenient"})
        return Policy("lenient") if station.vendor.startswith("Schneider") else Policy()

    site = await csms(policy=policy)
    boot, meter = await talk(site.url, BOOT, METER)
    assert (boot[0], meter[0]) == (3, 3)
    assert asked == [("CP1", ""), ("CP1", "Schneider Electric")]
    other = BOOT.replace("Schneider Electric", "Somebody")
    boot, heartbeat, meter = await talk(site.url, other, '[2,"9","Heartbeat",{}]', METER.replace(":,", ":null,"))
    assert (boot[0], heartbeat[0], meter[0]) == (3, 3, 4)


async def test_what_is_mended_in_own_messages_is_counted_and_told_too(csms: Start) -> None:
    """A hook answers with a number where the schema wants a text, and the policy lets that be mended."""
    site = await csms(
        policy=Policy(out="lenient"),
        data_transfer={"V": lambda station, told: {"status": "Accepted", "data": 7}},
    )
    boot, answer = await talk(site.url, GOOD_BOOT, '[2,"2","DataTransfer",{"vendorId":"V"}]')
    assert (boot[0], answer) == (3, [3, "2", {"status": "Accepted", "data": "7"}])
    assert repairs(site) == {("number_text", "DataTransfer"): 1}
    assert site.server.stats.repaired_out == {"number_text": 1}
    assert site.server.stats.repaired == {}
    (told,) = site.events("protocol.mended")
    assert told.data == {"action": "DataTransfer", "repairs": 1, "direction": "out"}


async def test_a_function_of_policies_that_fails_means_strict(csms: Start) -> None:
    site = await csms(policy=lambda station: 1 / 0)
    (boot,) = await talk(site.url, BOOT)
    assert boot[0] == 4
    site = await csms(policy=lambda station: "lenient")
    (boot,) = await talk(site.url, BOOT)
    assert boot[0] == 4


async def test_off_hands_everything_on_and_a_handler_that_cannot_use_it_costs_that_call(csms: Start) -> None:
    site = await csms(mode="off")
    boot, broken, heartbeat = await talk(
        site.url, BOOT, '[2,"2","MeterValues",{"meterValue":7}]', '[2,"3","Heartbeat",{}]'
    )
    assert boot[2]["status"] == "Accepted"
    assert broken[0] == 4
    assert heartbeat[0] == 3


def test_a_mode_and_a_policy_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="mode: expected none beside a policy"):
        OcppServer(mode="lenient", policy=Policy())
