"""OCPP 1.6 as the CSMS hears it: the station's CALLs to the model and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from evcore.chargers.ocpp_station import Call, ChargerState, shown
from evcore.chargers.ocpp_v16_commands import Commands16
from evcore.errors import CallError
from evcore.model import Answer, Authorization, Command, SessionRecord, rfc3339
from evcore.ocpp.events import Called
from evcore.ocpp.samples import Reading, read_v16

Payload = dict[str, Any]

# 1.6's one word -> (status, charging) of 2.0.1 (OCPP 1.6, 7.7 ChargePointStatus)
_STATUS: dict[str, tuple[str, str | None]] = {
    "Available": ("Available", None),
    "Preparing": ("Occupied", "EVConnected"),
    "Charging": ("Occupied", "Charging"),
    "SuspendedEV": ("Occupied", "SuspendedEV"),
    "SuspendedEVSE": ("Occupied", "SuspendedEVSE"),
    "Finishing": ("Occupied", "EVConnected"),
    "Reserved": ("Reserved", None),
    "Unavailable": ("Unavailable", None),
    "Faulted": ("Faulted", None),
}


class Dialect16:
    """A `Dialect`. An EVSE is 1.6's connector; connector 0 is the station itself."""

    __slots__ = ("_commands", "state")

    def __init__(self, state: ChargerState, call: Call, version: str = "1.6") -> None:
        self.state = state
        self._commands = Commands16(state, call)

    async def command(self, command: Command) -> Answer:
        return await self._commands.command(command)

    def handle(self, called: Called) -> Any:
        """The answer, or an awaitable of it. Raises CallError."""
        handler = _HANDLERS.get(called.action)
        if handler is None:
            raise CallError("NotSupported", f"{called.action} is not offered here")
        return handler(self, called)

    def _boot(self, called: Called) -> Payload:
        boot, services = called.payload, self.state.services
        status = self.state.boot(
            vendor=boot["chargePointVendor"],
            model=boot["chargePointModel"],
            serial=boot.get("chargePointSerialNumber") or boot.get("chargeBoxSerialNumber") or "",
            firmware=boot.get("firmwareVersion") or "",
        )
        return {"currentTime": rfc3339(time.time_ns()), "interval": services.heartbeat_s, "status": status}

    def _heartbeat(self, called: Called) -> Payload:
        self.state.update()
        return {"currentTime": rfc3339(time.time_ns())}

    def _status(self, called: Called) -> Payload:
        told = called.payload
        fault = "" if told["errorCode"] == "NoError" else told["errorCode"]
        more = [text for text in (told.get("vendorErrorCode"), told.get("info")) if text]
        if fault and more:
            fault = f"{fault} ({', '.join(more)})"
        when = self.state.time_of(told.get("timestamp"))
        evse = self.state.check_evse(told["connectorId"])
        if evse == 0:
            kind = "fault.raised" if fault else "station.status"
            self.state.event(kind, severity="error" if fault else "info", text=fault or told["status"], time_ns=when)
        else:
            status, charging = _STATUS[told["status"]]
            self.state.set_evse(evse, status=status, charging=charging, fault=fault, time_ns=when)
        return {}

    async def _authorize(self, called: Called) -> Payload:
        return {"idTagInfo": _tag_info(await self.state.authorize(called.payload["idTag"]))}

    async def _start(self, called: Called) -> Payload:
        started = called.payload
        record = SessionRecord(
            self.state.id,
            "start",
            self.state.time_of(started["timestamp"]),
            called.raw_payload,
            evse=self.state.check_evse(started["connectorId"]),
            connector=1,
            token=started["idTag"],
            meter=str(started["meterStart"]),
        )
        recorded = await self.state.record(record)
        return {
            "transactionId": int(recorded.session.transaction_id),
            "idTagInfo": _tag_info(recorded.authorization),
        }

    def _meter_values(self, called: Called) -> Any:
        values = called.payload
        transaction = values.get("transactionId")
        reading = self._read(values["meterValue"], self.state.check_evse(values["connectorId"]))
        if transaction is not None:
            return self._update(called, str(transaction), reading)
        # Many stations leave the id out: what is measured on a connector while it charges belongs to its session.
        session = self.state.session_on(values["connectorId"])
        if session is not None and all(sample.time_ns >= session.started_ns for sample in reading.samples):
            return self._update(called, session.transaction_id, reading)
        for sample in reading.samples:
            self.state.publish(sample, None)
        return {}

    async def _update(self, called: Called, transaction: str, reading: Reading) -> Payload:
        when = reading.samples[-1].time_ns if reading.samples else time.time_ns()
        record = SessionRecord(
            self.state.id,
            "update",
            when,
            called.raw_payload,
            evse=called.payload["connectorId"],
            connector=1,
            transaction_id=transaction,
            meter=reading.meter,
            samples=reading.samples,
        )
        await self.state.record(record)
        return {}

    async def _stop(self, called: Called) -> Payload:
        stopped = called.payload
        transaction = str(stopped["transactionId"])
        known = self.state.sessions.get(transaction)
        evse = known.evse if known else 0
        record = SessionRecord(
            self.state.id,
            "end",
            self.state.time_of(stopped["timestamp"]),
            called.raw_payload,
            evse=evse,
            connector=1,
            transaction_id=transaction,
            token=stopped.get("idTag"),
            meter=str(stopped["meterStop"]),
            reason=stopped.get("reason", "Local"),  # OCPP 1.6, 6.49: Local where none is named
            samples=self._read(stopped.get("transactionData") or (), evse).samples,
        )
        recorded = await self.state.record(record)
        return {"idTagInfo": _tag_info(recorded.authorization)} if stopped.get("idTag") else {}

    def _data_transfer(self, called: Called) -> Payload:
        self.state.event("data_transfer", text=called.payload["vendorId"], data=shown(called))
        return {"status": "UnknownVendorId"}

    def _security(self, called: Called) -> Payload:
        told = called.payload
        when = self.state.time_of(told.get("timestamp"))
        self.state.event("security.event", severity="warning", text=told["type"], data=shown(called), time_ns=when)
        return {}

    def _read(self, meter_values: Any, evse: int) -> Reading:
        reading = read_v16(meter_values, source=self.state.id, evse=evse, now_ns=time.time_ns())
        if reading.unreadable:
            self.state.complain("meter_value", f"{reading.unreadable} values are unreadable", "MeterValues")
        return reading


def _tag_info(verdict: Authorization) -> Mapping[str, Any]:
    info: Payload = {"status": verdict.status}
    if verdict.expires_ns is not None:
        info["expiryDate"] = rfc3339(verdict.expires_ns)
    if verdict.group is not None:
        info["parentIdTag"] = verdict.group
    return info


def _told(kind: str) -> Callable[[Dialect16, Called], Payload]:
    """A handler that only makes an event of what it is told."""

    def handler(self: Dialect16, called: Called) -> Payload:
        self.state.event(kind, text=str(called.payload.get("status", "")), data=shown(called))
        return {}

    return handler


_HANDLERS: dict[str, Callable[[Dialect16, Called], Any]] = {
    "BootNotification": Dialect16._boot,
    "Heartbeat": Dialect16._heartbeat,
    "StatusNotification": Dialect16._status,
    "Authorize": Dialect16._authorize,
    "StartTransaction": Dialect16._start,
    "MeterValues": Dialect16._meter_values,
    "StopTransaction": Dialect16._stop,
    "DataTransfer": Dialect16._data_transfer,
    "FirmwareStatusNotification": _told("firmware.status"),
    "SignedFirmwareStatusNotification": _told("firmware.status"),
    "DiagnosticsStatusNotification": _told("diagnostics.status"),
    "LogStatusNotification": _told("log.status"),
    "SecurityEventNotification": Dialect16._security,
}
