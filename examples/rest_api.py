"""REST, live feed, metrics and dashboard for what you already have: publish it to a hub, answer its commands.

Run: python examples/rest_api.py [SECONDS [PORT]], then open http://127.0.0.1:8080/ or ask
curl -d '{"verb": "start"}' -H 'Content-Type: application/json' http://127.0.0.1:8080/v1/chargers/BOX-1/commands
"""

import asyncio
import sys
import time

from evcore.backends import HttpBackend
from evcore.local_site import LocalSite
from evcore.model import Answer, Command, Evse, Sample, Station

site = LocalSite()


async def on_command(command: Command) -> Answer:
    if command.verb != "start":
        return Answer("NotSupported", False, f"BOX-1 cannot {command.verb}")
    site.hub.publish(Evse("BOX-1", 1, "Occupied", "Charging"))
    return Answer("Accepted", True)


async def main(seconds: int = 3600, port: int = 8080) -> None:
    backend = HttpBackend(site, port=port)
    site.hub.publish(Station("BOX-1", online=True, vendor="Acme"))
    site.hub.publish(Evse("BOX-1", 1, "Available"))
    site.hub.serve("BOX-1", on_command)
    serving = asyncio.create_task(backend.run(site.hub))
    await backend.started.wait()
    print(backend.url, flush=True)
    for _ in range(seconds):
        site.hub.publish(Sample("BOX-1", "Voltage", 229 + time.time() % 3, "V", time.time_ns(), evse=1))
        await asyncio.sleep(1)
    serving.cancel()


asyncio.run(main(*map(int, sys.argv[1:])))
