"""A site inside your own program: the gateway runs, and you see and command everything through its hub.

python examples/gateway.py [seconds]
"""

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from evcore.gateway import Gateway, parse
from evcore.model import Command, Event, Verb
from evcore.sim import SimStation

SITE = """
[[ocpp]]
port = 0
[[ocpp.stations]]
id = "CP-1"
[[tokens]]
id = "CARD-1"
"""


async def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(parse(SITE, file="site", base=Path(folder)))  # or load("site.toml")
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.run())
            await gateway.started.wait()
            station = group.create_task(SimStation(gateway.urls["ocpp"], "CP-1", speed=100).run())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(charge(gateway), seconds)
            station.cancel()
            gateway.stop()


async def charge(gateway: Gateway) -> None:
    async for event in gateway.hub.subscribe(Event):
        print(event.kind, event.source, event.text)
        if event.kind == "station.booted":
            print(await gateway.hub.command(Command("CP-1", Verb.START, {"evse": 1, "token": "CARD-1"})))
        elif event.kind == "session.started":
            await asyncio.sleep(1)
            print(await gateway.hub.command(Command("CP-1", Verb.STOP, {"session": event.session})))
        elif event.kind == "session.ended":
            return print(event.data["energy_wh"], "Wh")


asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
