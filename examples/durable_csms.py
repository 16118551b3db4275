"""A CSMS that loses no session: every record is on disk before its station is answered, and what a backend must hear
of it waits in an outbox until it has been delivered.

python examples/durable_csms.py [database]     (one simulated car charges for a second; run it twice, kill it at will)
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from evcore.chargers import OcppServer
from evcore.gateway.hub import Hub
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.outbox import StoreOutbox
from evcore.gateway.store import Store
from evcore.gateway.tariff import Tariff
from evcore.ports import Token
from evcore.sim import SimStation


async def main(path: Path) -> None:
    store = Store(path)
    await store.open()
    ledger = StoreLedger(store, destinations=["billing"], price=Tariff("EUR", per_kwh="45"))
    await ledger.tokens.put(Token("CARD-1", note="Ada"))
    server = OcppServer(port=0, ledger=ledger)
    serving = asyncio.create_task(server.run(Hub()))
    await server.started.wait()

    station = SimStation(server.url, "CP-1", speed=600)
    charging = asyncio.create_task(station.run())
    await station.online.wait()
    print("charges:", await station.plug_in(1, "CARD-1"))
    await asyncio.sleep(1)
    await station.unplug(1)

    outbox = StoreOutbox(store, "billing")
    kind = ""
    while kind != "session.ended":  # your backend: send each, then `done`; what fails comes again
        for fact in await outbox.next():
            kind = fact.kind
            energy_wh, cost = fact.body.get("energy_wh"), fact.body.get("cost")
            print(f"{kind}: {energy_wh} Wh, {cost} cents, {fact.body.get('currency')}")
            await outbox.done([fact.id])
    for task in (charging, serving):
        task.cancel()
        await asyncio.wait([task])
    await store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "site.db")))
