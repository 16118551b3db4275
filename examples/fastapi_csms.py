"""A CSMS within FastAPI, written as for mobilityhouse/ocpp. Stations connect to ws://127.0.0.1:9000/ocpp/IDENTITY.

Run: uvicorn --app-dir examples fastapi_csms:app --port 9000
     curl -X POST http://127.0.0.1:9000/stations/IDENTITY/reset
"""

from contextlib import suppress

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect

from evcore.ocpp import v16
from evcore.ocpp.routing import on

app, stations = FastAPI(), {}


class Station(v16.ChargePoint):
    @on("BootNotification")
    def on_boot(self, charge_point_vendor, context):
        print(f"{self.id} of {charge_point_vendor}", flush=True)
        return v16.call_result.BootNotification(context.received.isoformat(), interval=300, status="Accepted")

    @on("MeterValues", typed=True)
    async def on_values(self, meter_value: list[v16.datatypes.MeterValue]):
        print(self.id, meter_value[0].sampled_value, flush=True)


@app.websocket("/ocpp/{identity}")
async def serve(websocket: WebSocket, identity: str):
    await websocket.accept("ocpp1.6")
    station = stations[identity] = Station(identity, websocket)
    with suppress(WebSocketDisconnect):
        await station.start()
    if stations[identity] is station:
        del stations[identity]


@app.post("/stations/{identity}/reset")
async def reset(identity: str):
    if identity not in stations:
        raise HTTPException(404, "not connected")
    return await stations[identity].call(v16.call.Reset(type="Soft"))
