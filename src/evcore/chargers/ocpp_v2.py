"""OCPP 2.0.1 and 2.1 as the CSMS hears them: the station's CALLs to the model and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from evcore.chargers.ocpp_station import Call, ChargerState, shown
from evcore.chargers.ocpp_v2_commands import Commands2
from evcore.errors import CallError
from evcore.model import Answer, Authorization, Command, Connector, SessionRecord, rfc3339
from evcore.ocpp.events import Called
from evcore.ocpp.samples import Reading, read_v2

Payload = dict[str, Any]

_KINDS: dict[str, Literal["start", "update", "end"]] = {"Started": "start", "Updated": "update", "Ended": "end"}


class Dialect2:
    """A `Dialect`."""

    __slots__ = ("_commands", "state")

    def __init__(self, state: ChargerState, call: Call, version: str = "2.0.1") -> None:
        self.state = state
        self._commands = Commands2(state, call)

    async def command(self, command: Command) -> Answer:
        return await self._commands.command(command)

    def handle(self, called: Called) -> Any:
        """The answer, or an awaitable of it. Raises CallError."""
        handler = _HANDLERS.get(called.action)
        if handler is None:
            raise CallError("NotSupported", f"{called.action} is not offered here")
        return handler(self, called)

    def _boot(self, called: Called) -> Payload:
        station, services = called.payload["chargingStation"], self.state.services
        status = self.state.boot(
            vendor=station["vendorName"],
            model=station["model"],
            serial=station.get("serialNumber") or "",
            firmware=station.get("firmwareVersion") or "",
        )
        return {"currentTime": rfc3339(time.time_ns()), "interval": services.heartbeat_s, "status": status}

    def _heartbeat(self, called: Called) -> Payload:
        self.state.update()
        return {"currentTime": rfc3339(time.time_ns())}

    def _status(self, called: Called) -> Payload:
        told = called.payload
        status, evse = told["connectorStatus"], self.state.check_evse(told["evseId"])
        self.state.check_evse(told["connectorId"])
        known = self.state.evses.get(evse)
        connectors = {connector.id: connector for connector in known.connectors} if known else {}
        connectors.setdefault(told["connectorId"], Connector(told["connectorId"]))
        self.state.set_evse(
            evse,
            status=status,
            charging=known.charging if known and status == "Occupied" else None,
            fault="Faulted" if status == "Faulted" else "",
            connectors=tuple(connectors[id] for id in sorted(connectors)),
            time_ns=self.state.time_of(told["timestamp"]),
        )
        return {}

    async def _authorize(self, called: Called) -> Payload:
        return {"idTokenInfo": _token_info(await self.state.authorize(called.payload["idToken"]["idToken"]))}

    async def _transaction(self, called: Called) -> Payload:
        told = called.payload
        info, evse, token = told["transactionInfo"], told.get("evse") or {}, told.get("idToken")
        known = self.state.sessions.get(info["transactionId"])
        on = self.state.check_evse(evse.get("id", known.evse if known else 0))
        connector = evse.get("connectorId", 0)
        reading = self._read(told.get("meterValue") or (), on, connector)
        kind = _KINDS[told["eventType"]]
        record = SessionRecord(
            self.state.id,
            kind,
            self.state.time_of(told["timestamp"]),
            called.raw_payload,
            evse=on,
            connector=connector or (known.connector if known else 0),
            transaction_id=info["transactionId"],
            seq_no=told["seqNo"],
            token=token["idToken"] if token else None,
            meter=reading.meter,
            reason=info.get("stoppedReason", "Local") if kind == "end" else None,
            offline=told.get("offline", False),
            samples=reading.samples,
        )
        recorded = await self.state.record(record)
        if on:
            charging = None if kind == "end" else info.get("chargingState")
            before = self.state.evses.get(on)
            if charging is not None or (kind == "end" and before is not None and before.charging is not None):
                self.state.set_evse(on, charging=charging)
        return {"idTokenInfo": _token_info(recorded.authorization)} if token else {}

    def _meter_values(self, called: Called) -> Payload:
        evse = self.state.check_evse(called.payload["evseId"])
        reading = self._read(called.payload["meterValue"], evse, 0)
        session = self.state.session_on(evse)
        for sample in reading.samples:
            self.state.publish(sample, session.id if session else None)
        return {}

    def _data_transfer(self, called: Called) -> Payload:
        self.state.event("data_transfer", text=called.payload["vendorId"], data=shown(called))
        return {"status": "UnknownVendorId"}

    def _notify_event(self, called: Called) -> Payload:
        """Monitors of the device model: a value against its limit, or one that asked to be told."""
        for told in called.payload["eventData"]:
            component, variable = told["component"], told["variable"]
            evse = (component.get("evse") or {}).get("id", 0)
            alert = told["trigger"] == "Alerting" and not told.get("cleared", False)
            self.state.event(
                "device.event",
                evse=evse,
                severity="warning" if alert else "info",
                text=f"{component['name']}.{variable['name']} = {told['actualValue']}",
                data=shown(called, told),
                time_ns=self.state.time_of(told["timestamp"]),
            )
        return {}

    def _security(self, called: Called) -> Payload:
        told = called.payload
        when = self.state.time_of(told.get("timestamp"))
        self.state.event("security.event", severity="warning", text=told["type"], data=shown(called), time_ns=when)
        return {}

    def _read(self, meter_values: Any, evse: int, connector: int) -> Reading:
        reading = read_v2(meter_values, source=self.state.id, evse=evse, connector=connector, now_ns=time.time_ns())
        if reading.unreadable:
            self.state.complain("meter_value", f"{reading.unreadable} values are unreadable", "MeterValues")
        return reading


def _token_info(verdict: Authorization) -> Mapping[str, Any]:
    info: Payload = {"status": verdict.status}
    if verdict.expires_ns is not None:
        info["cacheExpiryDateTime"] = rfc3339(verdict.expires_ns)
    if verdict.group is not None:
        info["groupIdToken"] = {"idToken": verdict.group, "type": "Central"}
    return info


def _told(kind: str) -> Callable[[Dialect2, Called], Payload]:
    """A handler that only makes an event of what it is told."""

    def handler(self: Dialect2, called: Called) -> Payload:
        self.state.event(kind, text=str(called.payload.get("status", "")), data=shown(called))
        return {}

    return handler


_HANDLERS: dict[str, Callable[[Dialect2, Called], Any]] = {
    "BootNotification": Dialect2._boot,
    "Heartbeat": Dialect2._heartbeat,
    "StatusNotification": Dialect2._status,
    "Authorize": Dialect2._authorize,
    "TransactionEvent": Dialect2._transaction,
    "MeterValues": Dialect2._meter_values,
    "DataTransfer": Dialect2._data_transfer,
    "FirmwareStatusNotification": _told("firmware.status"),
    "LogStatusNotification": _told("log.status"),
    "NotifyReport": _told("report"),
    "NotifyEvent": Dialect2._notify_event,
    "SecurityEventNotification": Dialect2._security,
}
