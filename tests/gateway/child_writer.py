"""A process of the tests: stations write sessions into a ledger as fast as they can, and each answer goes to stdout.

argv: database file, JSON {station: [number of its next record, transaction id of its open session]}, last number.
stdout: a JSON line [station, number, transaction id, duplicate] for each answer, written after the answer.
"""

import asyncio
import json
import os
import sys

from evcore.gateway.ledger import StoreLedger
from evcore.gateway.store import Store
from evcore.model import Sample, SessionRecord

PER_SESSION = 5  # a start, three updates, an end
SECOND = 10**9


def record(station: str, number: int, transaction: str | None) -> SessionRecord:
    step, time_ns = number % PER_SESSION, 1_790_000_000 * SECOND + number * SECOND
    kind = "start" if step == 0 else "end" if step == PER_SESSION - 1 else "update"
    meter = str(1000 + number)
    sample = Sample(station, "Energy.Active.Import.Register", 1000.0 + number, "Wh", time_ns, evse=1, digits=meter)
    return SessionRecord(
        station,
        kind,
        time_ns,
        f"{station} {number}".encode() + b" " * 500,
        evse=1,
        connector=1,
        transaction_id=None if step == 0 else transaction,
        meter=meter,
        samples=(sample,),
    )


async def play(ledger: StoreLedger, station: str, number: int, transaction: str | None, last: int) -> None:
    while number <= last:
        recorded = await ledger.record(record(station, number, transaction))
        transaction = recorded.session.transaction_id
        line = json.dumps([station, number, transaction, recorded.duplicate]) + "\n"
        os.write(1, line.encode())  # one write, less than PIPE_BUF: whole or not at all
        number += 1


async def main(path: str, stations: dict[str, list[int | str | None]], last: int) -> None:
    store = Store(path)
    await store.open()
    await store.read(lambda conn: conn.execute("PRAGMA wal_autocheckpoint = 100").fetchall())  # more often than usual
    ledger = StoreLedger(store, destinations=["mqtt"])
    await asyncio.gather(*(play(ledger, station, *state, last) for station, state in stations.items()))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])))
