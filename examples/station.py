"""A charging station that charges once, against any CSMS of OCPP 2.0.1 or 2.1.

Run: python examples/station.py ws://127.0.0.1:9000 CP1 CARD-1
"""

import asyncio
import sys
import uuid

from evcore.errors import CallError
from evcore.ocpp import StationAbout, StationClient


def handle(called):
    if called.action == "SetChargingProfile":
        return {"status": "Accepted"}
    raise CallError("NotSupported")


async def charge(url: str, identity: str, token: str) -> None:
    station = StationClient(url, identity, StationAbout("evcore", "example"), handle, versions=["2.1", "2.0.1"])
    running = asyncio.create_task(station.run())
    await station.online.wait()
    print(f"accepted, OCPP {station.version}")
    id = str(uuid.uuid4())
    told = [("Started", "Authorized", 0.0), ("Updated", "MeterValuePeriodic", 20.5), ("Ended", "EVDeparted", 41.0)]
    for number, (kind, reason, wh) in enumerate(told):
        event = {"eventType": kind, "triggerReason": reason, "seqNo": number, "timestamp": station.now()}
        event |= {"transactionInfo": {"transactionId": id}, "evse": {"id": 1, "connectorId": 1}}
        event |= {"meterValue": [{"timestamp": station.now(), "sampledValue": [{"value": wh}]}]}
        if kind == "Started":
            event["idToken"] = {"idToken": token, "type": "Central"}
        station.record("TransactionEvent", event, transaction=id)
        await asyncio.sleep(0.2)
    await station.drained()  # each was answered; had the connection broken, it would have been sent again
    print(f"{wh} Wh")
    running.cancel()


asyncio.run(charge(*sys.argv[1:4]))
