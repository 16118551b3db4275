"""docs/asyncapi.yaml, docs/mqtt.md and the example against what a real broker delivers."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from evcore.backends import MqttBackend
from evcore.model import Answer, Event, Evse, Meter, Sample, Session, Station, Vehicle, Verb

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def interface() -> Any:
    return yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())


def referred(interface: Any, node: Any) -> Any:
    """What `$ref` leads to."""
    while isinstance(node, dict) and "$ref" in node:
        found = interface
        for part in node["$ref"][2:].split("/"):
            found = found[part]
        node = found
    return node


def test_every_reference_leads_somewhere_and_every_parameter_is_described(interface):
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            assert referred(interface, node) is not None
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(child)

    walk(interface)
    for channel in interface["channels"].values():
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel["parameters"])


def channel_of(interface: Any, topic: str) -> Any:
    """The one channel that a topic belongs to."""
    found = []
    for name, channel in interface["channels"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(channel["address"]))
        if re.fullmatch(pattern, topic):
            found.append(name)
    assert len(found) == 1, f"{topic}: {found}"
    return found[0]


async def test_what_a_broker_delivers_is_what_the_interface_says(interface, mosquitto, watch, run, hub, until):
    mosquitto.start()
    watcher = await watch(mosquitto.port)
    await run(MqttBackend(mosquitto.url, site_id="s 1", node="n/1"))
    now = time.time_ns()
    for item in (
        Station("CP1", True, protocol="ocpp2.0.1", since_ns=now, last_seen_ns=now),
        Meter("grid", False),
        Vehicle("car", "gbt27930", "charging", limits={"max_voltage_v": 750.0}, last_seen_ns=now),
        Evse("CP1", 1, "Occupied", charging="SuspendedEV", limit_a=16.0, time_ns=now),
        Session("s1", "CP1", 1, "7", "active", now, token="T", cost=120, currency="EUR"),
        Sample("grid", "Energy.Active.Import.Register", 1.5, "Wh", now, phase="L1", digits="1.50"),
        Event("CP1", "fault.raised", now, evse=1, severity="error", text="x", data={"code": 4}),
    ):
        hub.publish(item)

    async def handler(command: Any) -> Answer:
        return Answer("Accepted", True)

    hub.serve("CP1", handler)
    watcher.publish("evcore/v1/s%201/CP1/cmd/unlock", {"id": 1, "args": {"evse": 1}})
    await until(lambda: watcher.on("evcore/v1/s%201/CP1/rsp/unlock"))
    await until(lambda: watcher.on("evcore/v1/s%201/CP1/event/fault.raised"))
    seen = set()
    bindings = {
        operation["channel"]["$ref"].rsplit("/", 1)[1]: referred(interface, operation["bindings"])["mqtt"]
        for operation in interface["operations"].values()
    }
    for message in watcher.messages:
        name = channel_of(interface, message.topic)
        seen.add(name)
        shapes = [referred(interface, m) for m in interface["channels"][name]["messages"].values()]
        schemas = [{**shape["payload"], "components": interface["components"]} for shape in shapes]
        body = message.payload.decode() if name == "gatewayStatus" else json.loads(message.payload)
        assert any(jsonschema.Draft7Validator(schema).is_valid(body) for schema in schemas), (message.topic, body)
        if name in bindings:
            assert message.qos == bindings[name]["qos"], name
    assert seen == set(interface["channels"])


def test_the_docs_name_every_command():
    text = (ROOT / "docs" / "mqtt.md").read_text()
    named = re.search(r"`(start stop [a-z_\s]+)`", text)
    assert named is not None
    assert set(named[1].split()) == {verb.value for verb in Verb}


async def test_the_example_runs_with_its_own_broker_and_with_another(mosquitto):
    mosquitto.start()
    for url in ("", mosquitto.url):
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "examples" / "mqtt_bridge.py"),
            url,
            "1.5",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(program.communicate(), 30)
        assert program.returncode == 0, err.decode()
        assert not err
        assert re.search(r"DelaySummary\(count=[1-9]", out.decode()), out.decode()
