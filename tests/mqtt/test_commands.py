"""Commands: what is broken, retained, forged or too much is counted and answered, and does nothing."""

from __future__ import annotations

import asyncio

import pytest

from evcore.backends import MqttBackend
from evcore.model import Answer, Command

ROOT = "evcore/v1/site"


@pytest.fixture
async def watcher(mosquitto, watch, run):
    mosquitto.start()
    await run(MqttBackend(mosquitto.url, node="n1"))
    return await watch(mosquitto.port)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "payload: "),
        (b"\xff\xfe", "payload: "),
        (b"[1]", "payload: expected a JSON object, got list"),
        (b'{"args": 3}', "payload: args: expected dict, got int"),
        (b'{"id": true}', "payload: id: expected str, got bool"),
        (b'{"type": "Hard"}', "payload: expected only id, args, reply_to; got 'type'"),
        (b'{"reply_to": "a/#"}', "the answer may not go there"),
        (b'{"reply_to": "evcore/v1/site/CP2/cmd/unlock"}', "the answer may not go there"),
        (b'{"reply_to": "$SYS/x"}', "the answer may not go there"),
        (b"[" * 100_000, "payload: "),
    ],
    ids=lambda value: value[:24].decode("latin1") if isinstance(value, bytes) else "",
)
async def test_garbage_is_counted_answered_and_does_nothing(watcher, hub, until, payload, reason):
    asked: list[Command] = []

    async def handler(command: Command) -> Answer:
        asked.append(command)
        return Answer("Accepted", True)

    hub.serve("CP1", handler)
    hub.serve("CP2", handler)
    watcher.publish(f"{ROOT}/CP1/cmd/reset", payload)
    answer = await until(lambda: watcher.last(f"{ROOT}/CP1/rsp/reset"))
    assert answer["status"] == "Error"
    assert answer["reason"].startswith(reason)
    assert hub.traffic("mqtt").errors == 1
    assert not asked


async def test_a_command_that_there_is_not_is_answered_and_counted(watcher, hub, until):
    watcher.publish(f"{ROOT}/CP1/cmd/fly", {})
    answer = await until(lambda: watcher.last(f"{ROOT}/CP1/rsp/fly"))
    assert answer["status"] == "NotSupported"
    assert hub.counters()["evcore_mqtt_refused_total", (("reason", "verb"),)] == 1


async def test_a_forged_response_topic_is_refused(watcher, hub, until):
    watcher.publish(f"{ROOT}/CP1/cmd/reset", {}, reply_to=f"{ROOT}/CP1/status")
    answer = await until(lambda: watcher.last(f"{ROOT}/CP1/rsp/reset"))
    assert answer["reason"].startswith("the answer may not go there")
    assert not watcher.on(f"{ROOT}/CP1/status")


async def test_a_retained_command_is_never_done(mosquitto, watch, run, hub, until):
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    asked: list[Command] = []

    async def handler(command: Command) -> Answer:
        asked.append(command)
        return Answer("Accepted", True)

    hub.serve("CP1", handler)
    watcher.publish(f"{ROOT}/CP1/cmd/unlock", {"id": "old"}, retain=True)
    await until(lambda: watcher.on(f"{ROOT}/CP1/cmd/unlock"))
    await run(MqttBackend(mosquitto.url, node="n1", protocol="3.1.1"))
    await until(lambda: hub.counters().get(("evcore_mqtt_refused_total", (("reason", "retained"),))))
    watcher.publish(f"{ROOT}/CP1/cmd/unlock", {"id": "new"})
    await until(lambda: watcher.last(f"{ROOT}/CP1/rsp/unlock"))
    assert [command.id for command in asked] == ["new"]


async def test_an_unknown_command_is_not_supported_and_says_which_are(watcher, until):
    watcher.publish(f"{ROOT}/CP1/cmd/explode", {"id": "x"})
    answer = await until(lambda: watcher.last(f"{ROOT}/CP1/rsp/explode"))
    assert (answer["id"], answer["status"]) == ("x", "NotSupported")
    assert "unlock" in answer["reason"]


async def test_too_many_at_once_are_refused_and_the_others_answered(watcher, hub, until):
    release = asyncio.Event()

    async def slow(command: Command) -> Answer:
        await release.wait()
        return Answer("Accepted", True)

    hub.serve("CP1", slow)
    for number in range(120):
        watcher.publish(f"{ROOT}/CP1/cmd/reset", {"id": str(number)})
    topic = f"{ROOT}/CP1/rsp/reset"
    await until(lambda: len(watcher.on(topic)) == 20)
    assert watcher.last(topic)["reason"] == "100 commands wait for their answers already"
    release.set()
    await until(lambda: len(watcher.on(topic)) == 120)


async def test_an_answer_with_data_that_is_no_json_is_told_as_text(watcher, hub, until):
    async def odd(command: Command) -> Answer:
        return Answer("Accepted", True, data={"number": 2**80, "text": "\ud800", "object": object})

    hub.serve("CP1", odd)
    watcher.publish(f"{ROOT}/CP1/cmd/reset", {})
    answer = await until(lambda: watcher.last(f"{ROOT}/CP1/rsp/reset"))
    assert answer["data"]["number"] == 2**80
