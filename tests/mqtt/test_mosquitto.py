"""The backend against a real mosquitto, seen by another client."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from evcore.backends import MqttBackend
from evcore.model import Answer, Command, Event, Evse, Health, Meter, Sample, Session, Station

ROOT = "evcore/v1/site"


def backend(broker: Any, **options: Any) -> MqttBackend:
    return MqttBackend(broker.url, node="n1", retry_s=(0.05, 0.2), **options)


@pytest.fixture(params=["5", "3.1.1"])
def version(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_states_are_retained_and_a_later_reader_gets_them(mosquitto, watch, run, hub, until, version):
    mosquitto.start()
    mqtt = backend(mosquitto, protocol=version)
    await run(mqtt)
    now = time.time_ns()
    hub.publish(Station("CP+1/a", True, protocol="ocpp1.6", since_ns=now))
    hub.publish(Evse("CP+1/a", 1, "Occupied", charging="Charging", time_ns=now))
    hub.publish(Session("s1", "CP+1/a", 1, "7", "active", now, token="SECRET-CARD"))
    hub.publish(Meter("grid", True, last_seen_ns=now))
    early = await watch(mosquitto.port)
    await until(lambda: early.last(f"{ROOT}/grid/status"))
    late = await watch(mosquitto.port)
    await until(lambda: late.last(f"{ROOT}/CP%2B1%2Fa/1/session"))
    assert all(message.retain for message in late.messages)
    assert late.last(f"{ROOT}/CP%2B1%2Fa/status")["online"] is True
    assert late.last(f"{ROOT}/CP%2B1%2Fa/status")["node"] == "n1"
    assert late.last(f"{ROOT}/CP%2B1%2Fa/1/state")["charging"] == "Charging"
    assert late.on(f"{ROOT}/$gateway/n1/status")[0].payload == b"online"
    assert b"SECRET-CARD" not in b"".join(message.payload for message in late.messages)
    up = await until(lambda: late.last(f"{ROOT}/$gateway/n1/connector/mqtt"))
    assert up["state"] == "up"
    assert up["detail"].endswith(f"MQTT {version}")


async def test_a_sample_goes_out_at_once_with_an_expiry_and_its_delay_is_known(
    mosquitto, watch, run, hub, until, version
):
    mosquitto.start()
    mqtt = backend(mosquitto, protocol=version, expiry_s=77)
    await run(mqtt)
    watcher = await watch(mosquitto.port)
    hub.publish(Sample("CP1", "Power.Active.Import", 7360.5, "W", time.time_ns(), evse=1))
    message = (await until(lambda: watcher.on(f"{ROOT}/CP1/1/meter/Power.Active.Import")))[0]
    body = json.loads(message.payload)
    assert (body["value"], body["unit"], body["source"], body["evse"]) == (7360.5, "W", "CP1", 1)
    assert not message.retain
    assert message.qos == 0
    if version == "5":
        assert message.properties.MessageExpiryInterval == 77
    assert mqtt.delay_ns.count == 1
    assert 0 < mqtt.delay_ns.p50 <= mqtt.delay_ns.max < 5_000_000_000


async def test_events_arrive_once_each_and_in_order(mosquitto, watch, run, hub, until, version):
    mosquitto.start()
    await run(backend(mosquitto, protocol=version, window=3))
    watcher = await watch(mosquitto.port)
    for number in range(100):
        hub.publish(Event("CP1", "fault.raised", time.time_ns(), text=str(number)))
    topic = f"{ROOT}/CP1/event/fault.raised"
    await until(lambda: len(watcher.on(topic)) >= 100)
    await asyncio.sleep(0.05)
    assert [json.loads(message.payload)["text"] for message in watcher.on(topic)] == [str(n) for n in range(100)]
    assert watcher.on(topic)[0].qos == 1


async def test_a_command_is_answered_on_the_response_topic_with_its_correlation_data(mosquitto, watch, run, hub, until):
    mosquitto.start()
    await run(backend(mosquitto))
    watcher = await watch(mosquitto.port)
    asked: list[Command] = []

    async def reset(command: Command) -> Answer:
        asked.append(command)
        return Answer("Accepted", True, data={"wire": 1})

    hub.serve("CP/1", reset)
    watcher.publish(
        f"{ROOT}/CP%2F1/cmd/reset",
        {"id": "c1", "args": {"type": "OnIdle"}},
        reply_to="office/answers",
        correlation=b"\x00\x01x",
    )
    answer = (await until(lambda: watcher.on("office/answers")))[0]
    assert json.loads(answer.payload) == {
        "id": "c1", "status": "Accepted", "ok": True, "reason": "", "data": {"wire": 1}
    }  # fmt: skip
    assert answer.properties.CorrelationData == b"\x00\x01x"
    assert asked == [Command("CP/1", asked[0].verb, {"type": "OnIdle"}, "c1")]


async def test_a_command_of_mqtt_3_names_its_reply_topic_in_the_payload(mosquitto, watch, run, hub, until):
    mosquitto.start()
    await run(backend(mosquitto, protocol="3.1.1"))
    watcher = await watch(mosquitto.port)
    watcher.publish(f"{ROOT}/CP1/cmd/unlock", {"id": 5, "args": {"evse": 1}, "reply_to": "office/5"})
    answer = await until(lambda: watcher.last("office/5"))
    assert (answer["id"], answer["status"], answer["ok"]) == ("5", "Offline", False)
    watcher.publish(f"{ROOT}/CP1/cmd/unlock", b"")
    answer = await until(lambda: watcher.last(f"{ROOT}/CP1/rsp/unlock"))
    assert answer["status"] == "Offline"


async def test_the_last_will_says_offline_when_the_gateway_falls_and_when_it_leaves(mosquitto, watch, run, hub, until):
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    status = f"{ROOT}/$gateway/n1/status"
    task = await run(backend(mosquitto))
    await until(lambda: [m.payload for m in watcher.on(status)] == [b"online"])
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: [m.payload for m in watcher.on(status)] == [b"online", b"offline"])
    late = await watch(mosquitto.port)
    assert (await until(lambda: late.on(status)))[0].payload == b"offline"


async def test_states_come_back_after_the_broker_lost_everything(mosquitto, watch, run, hub, until):
    mosquitto.start()
    mqtt = backend(mosquitto)
    await run(mqtt)
    hub.publish(Station("CP1", True, since_ns=1))
    mosquitto.kill()
    await until(lambda: not mqtt.connected.is_set())
    health = hub.last("health/mqtt")
    assert isinstance(health, Health)
    assert health.state == "down"
    hub.publish(Evse("CP1", 1, "Faulted"))
    hub.publish(Event("CP1", "fault.raised", time.time_ns(), text="while away"))
    hub.publish(Sample("CP1", "Voltage", 230.0, "V", time.time_ns()))
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    assert (await until(lambda: watcher.last(f"{ROOT}/CP1/status")))["online"] is True
    assert (await until(lambda: watcher.last(f"{ROOT}/CP1/1/state")))["status"] == "Faulted"
    await until(lambda: (watcher.last(f"{ROOT}/$gateway/n1/connector/mqtt") or {}).get("state") == "up")
