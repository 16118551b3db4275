"""A site on MQTT: a meter of another program comes in, a station's values go out, and commands are answered.

Run: python examples/mqtt_bridge.py [mqtt://host:port] [seconds]. Without a broker it brings a small one (extra `demo`).
Watch with: mosquitto_sub -t 'evcore/#' -v
"""

import asyncio
import sys
import time

from evcore.backends import MqttBackend, MqttSource
from evcore.local import LocalHub
from evcore.model import Answer, Command, Sample, Station
from evcore.sim import EmbeddedBroker

METER = MqttSource("shellies/em/emeter/0/power", source="grid", measurand="Power.Active.Import", unit="W")


async def answer(command: Command) -> Answer:
    print("asked:", command.verb, dict(command.args))
    return Answer("Accepted", True)


async def main(url: str = "", seconds: float = 60.0) -> None:
    if not url:
        async with EmbeddedBroker() as broker:
            return await main(broker.url, seconds)
    hub = LocalHub(on_item=lambda item: print("hub:", item))
    hub.publish(Station("CP1", online=True, protocol="ocpp1.6", since_ns=time.time_ns()))
    hub.serve("CP1", answer)
    mqtt = MqttBackend(url, site_id="demo", node="box-1", sources=[METER])
    running = asyncio.create_task(mqtt.run(hub))
    for _ in range(4):
        hub.publish(Sample("CP1", "Power.Active.Import", 7360.0, "W", time.time_ns(), evse=1))
        await asyncio.sleep(seconds / 4)
    running.cancel()
    print(mqtt.delay_ns)


asyncio.run(main(*sys.argv[1:2], *map(float, sys.argv[2:])))
