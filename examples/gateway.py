"""A site inside your own program: the gateway runs, and you see and command everything through its hub.

python examples/gateway.py [seconds]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from evcore.gateway import Gateway, parse
from evcore.model import Command, Event, Verb
from evcore.sim import SimStation

SITE = '[[ocpp]]\nport = 0\n[[ocpp.stations]]\nid = "CP-1"\n[[tokens]]\nid = "CARD-1"\n'


async def main(folder: str, seconds: float) -> None:
    gateway = Gateway(parse(SITE, file="site", base=Path(folder)))  # or load("site.toml")
    async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
        group.create_task(gateway.run())
        await gateway.started.wait()
        station = group.create_task(SimStation(gateway.urls["ocpp"], "CP-1", speed=100).run())
        async for event in gateway.hub.subscribe(Event):
            print(event.kind, event.source, event.text)
            if event.kind == "station.booted":
                print(await gateway.hub.command(Command("CP-1", Verb.START, {"evse": 1, "token": "CARD-1"})))
            elif event.kind == "session.started":
                await asyncio.sleep(1)
                print(await gateway.hub.command(Command("CP-1", Verb.STOP, {"session": event.session})))
            elif event.kind == "session.ended":
                print(event.data["energy_wh"], "Wh")
                break
        station.cancel()
        gateway.stop()


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder, float(sys.argv[1]) if len(sys.argv) > 1 else 10))
