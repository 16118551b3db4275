"""A CSMS: stations of OCPP 1.6, 2.0.1 and 2.1 on one port. Ends after the given number of charging sessions.

Run: python examples/csms.py --port 9000 --sessions 10        (stations connect to ws://127.0.0.1:9000/IDENTITY)
"""

import argparse
import asyncio

from evcore.chargers import OcppServer
from evcore.local import LocalHub, LocalLedger
from evcore.model import Command, Event, Verb


async def main(port: int, sessions: int) -> None:
    hub = LocalHub()
    events = hub.subscribe(Event)
    server = OcppServer(port=port, ledger=LocalLedger(tokens={"CARD-1", "CARD-2"}))  # passwords={"CP1": "..."}
    serving = asyncio.create_task(server.run(hub))
    await server.started.wait()
    print(f"listening on {server.url}", flush=True)
    while sessions > 0:
        event = await events.get()
        print(f"{event.source:12} {event.kind:20} {event.text} {dict(event.data)}", flush=True)
        match event.kind:
            case "session.started":  # no more than 16 A for anyone
                limit = {"evse": event.evse, "limit": 16.0, "unit": "A"}
                print(await hub.command(Command(event.source, Verb.SET_LIMIT, limit)))
            case "session.ended":
                sessions -= 1
    await server.drain(seconds=1)
    serving.cancel()


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--port", type=int, default=9000)
arguments.add_argument("--sessions", type=int, default=1)
options = arguments.parse_args()
asyncio.run(main(options.port, options.sessions))
