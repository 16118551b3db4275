import asyncio
import json

import pytest

from evcore.gateway.hub import Hub, shown
from evcore.model import Answer, Command, Event, Sample, Verb

RESET = Command("CP1", Verb.RESET, {"type": "Immediate"}, id="c-1")


class Station:
    def __init__(self, hub):
        self.asked = []
        self.go = asyncio.Event()
        self.go.set()
        hub.serve("CP1", self.answer)

    async def answer(self, command):
        self.asked.append(command)
        await self.go.wait()
        return Answer("Accepted", True, data={"n": len(self.asked)})


async def test_a_repeat_gets_the_first_answer_and_the_station_is_asked_once():
    hub = Hub()
    station = Station(hub)
    first = await hub.command(RESET)
    assert await hub.command(RESET) == first
    assert len(station.asked) == 1
    await hub.command(Command("CP1", Verb.RESET, {"type": "Immediate"}))
    await hub.command(Command("CP1", Verb.RESET, {"type": "Immediate"}))
    assert len(station.asked) == 3  # without an id each is its own


async def test_repeats_at_once_share_one_call_and_an_asker_that_goes_away_leaves_the_answer_to_the_others():
    hub = Hub()
    station = Station(hub)
    station.go.clear()
    askers = [asyncio.ensure_future(hub.command(RESET)) for _ in range(3)]
    await asyncio.sleep(0)
    askers[0].cancel()
    await asyncio.sleep(0)
    station.go.set()
    assert [answer.status for answer in await asyncio.gather(*askers[1:])] == ["Accepted"] * 2
    assert (await hub.command(RESET)).status == "Accepted"
    assert len(station.asked) == 1


async def test_offline_is_not_remembered_since_nobody_was_asked():
    hub = Hub()
    assert (await hub.command(RESET)).status == "Offline"
    station = Station(hub)
    assert (await hub.command(RESET)).status == "Accepted"
    assert (await hub.command(RESET)).status == "Accepted"
    assert len(station.asked) == 1


async def test_one_id_for_two_commands_is_an_error():
    hub = Hub()
    station = Station(hub)
    await hub.command(RESET)
    answer = await hub.command(Command("CP1", Verb.STOP, {}, id="c-1"))
    assert (answer.status, answer.ok) == ("Error", False)
    assert len(station.asked) == 1


async def test_ids_are_forgotten_after_a_while_and_when_there_are_too_many():
    now = 0
    hub = Hub(repeats=3, repeat_s=10, clock=lambda: now)
    station = Station(hub)
    await hub.command(RESET)
    now = 11 * 10**9
    await hub.command(RESET)
    assert len(station.asked) == 2
    for n in range(10):
        await hub.command(Command("CP1", Verb.RESET, {}, id=str(n)))
    assert len(hub._asked) <= 3
    await hub.command(RESET)
    assert len(station.asked) == 13


async def test_each_command_and_its_answer_is_an_event_once():
    events = []
    hub = Hub(events.append)
    Station(hub)
    await hub.command(RESET)
    await hub.command(RESET)
    await hub.command(Command("nobody", Verb.STOP))
    assert [(event.source, event.kind, event.severity, event.text) for event in events] == [
        ("CP1", "command.answered", "info", "reset: Accepted"),
        ("nobody", "command.answered", "warning", "stop: Offline"),
    ]
    assert events[0].data == {
        "id": "c-1",
        "verb": "reset",
        "args": {"type": "Immediate"},
        "status": "Accepted",
        "ok": True,
        "reason": "",
    }


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        (Verb.SET_CONFIG, {"key": "AuthorizationKey", "value": "s3cr3t"}),
        (Verb.SET_VARIABLES, {"variables": [{"component": "C", "variable": "BasicAuthPassword", "value": "s3cr3t"}]}),
        (Verb.SET_VARIABLES, {"v": [{"variable": {"name": "BasicAuthPassword"}, "attributeValue": "s3cr3t"}]}),
        (Verb.GET_LOG, {"location": "ftp://user:s3cr3t@host/path"}),
        (Verb.UPDATE_FIRMWARE, {"nested": {"location": "https://s3cr3t@host"}}),
        (Verb.DATA_TRANSFER, {"data": {"wifiPassword": "s3cr3t", "api_key": ["s3cr3t"]}}),
    ],
)
async def test_no_secret_is_in_the_event(verb, args):
    events = []
    hub = Hub(events.append)

    async def handler(command):
        return Answer("Accepted", True, "see https://u:s3cr3t@host", data={"value": "s3cr3t"})

    hub.serve("CP1", handler)
    await hub.command(Command("CP1", verb, args))
    [event] = events
    assert "s3cr3t" not in json.dumps(event.data)
    assert "***" in json.dumps(event.data)


def test_what_an_event_shows_of_arguments_is_bounded():
    value = {"list": [{"id": "x" * 1000}] * 10_000, "deep": json.loads("[" * 50 + "]" * 50), "bytes": b"x"}
    assert len(json.dumps(shown(value))) < 10_000
    assert shown({"a": [1, 2.5, True, None, "ü"]}) == {"a": [1, 2.5, True, None, "ü"]}


async def test_a_sample_that_nothing_replaced_turns_stale_once():
    now = 0
    items = []
    hub = Hub(items.append, clock=lambda: now)
    hub.publish(Sample("m", "Voltage", 230.0, "V", time_ns=0))
    hub.publish(Sample("m", "Power", 1.0, "W", time_ns=0))
    hub.publish(Event("m", "e", 0))
    now = 5
    hub.publish(Sample("m", "Power", 2.0, "W", time_ns=0))  # its own clock stands still, it arrives nonetheless
    assert hub.mark_stale(10, 7) == 1
    assert hub.mark_stale(10, 7) == 0
    assert [(item.measurand, item.quality) for item in items if isinstance(item, Sample)][-1] == ("Voltage", "stale")
    assert hub.last("sample/m/0/Voltage").quality == "stale"
    assert hub.last("sample/m/0/Power").quality == "good"
    hub.publish(Sample("m", "Voltage", 231.0, "V", time_ns=9))
    assert hub.last("sample/m/0/Voltage").quality == "good"
    assert hub.mark_stale(100, 7) == 2
