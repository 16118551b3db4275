"""OCPP 1.6 as the CSMS hears it: the station's CALLs to the model and the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from evcore.chargers.ocpp_station import Call, ChargerState
from evcore.chargers.ocpp_v16_commands import Commands16
from evcore.errors import CallError
from evcore.model import Authorization, SessionRecord, rfc3339
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

    def __init__(self, state: ChargerState, call: Call, version: str = "1.6") -> None:
        self._state = state
        self.command = Commands16(state, call).command
        self._handlers = {
            "BootNotification": self._boot,
            "Heartbeat": self._heartbeat,
            "StatusNotification": self._status,
            "Authorize": self._authorize,
            "StartTransaction": self._start,
            "MeterValues": self._meter_values,
            "StopTransaction": self._stop,
            "DataTransfer": self._data_transfer,
            "FirmwareStatusNotification": self._told("firmware.status"),
            "SignedFirmwareStatusNotification": self._told("firmware.status"),
            "DiagnosticsStatusNotification": self._told("diagnostics.status"),
            "LogStatusNotification": self._told("log.status"),
            "SecurityEventNotification": self._security,
        }

    def handle(self, called: Called) -> Any:
        """The answer, or an awaitable of it. Raises CallError."""
        handler = self._handlers.get(called.action)
        if handler is None:
            raise CallError("NotSupported", f"{called.action} is not offered here")
        return handler(called)

    def _boot(self, called: Called) -> Payload:
        boot, services = called.payload, self._state.services
        status = self._state.boot(
            vendor=boot["chargePointVendor"],
            model=boot["chargePointModel"],
            serial=boot.get("chargePointSerialNumber") or boot.get("chargeBoxSerialNumber") or "",
            firmware=boot.get("firmwareVersion") or "",
        )
        return {"currentTime": rfc3339(time.time_ns()), "interval": services.heartbeat_s, "status": status}

    def _heartbeat(self, called: Called) -> Payload:
        self._state.update()
        return {"currentTime": rfc3339(time.time_ns())}

    def _status(self, called: Called) -> Payload:
        told = called.payload
        fault = "" if told["errorCode"] == "NoError" else told["errorCode"]
        more = [text for text in (told.get("vendorErrorCode"), told.get("info")) if text]
        if fault and more:
            fault = f"{fault} ({', '.join(more)})"
        when = self._state.time_of(told.get("timestamp"))
        evse = told["connectorId"]
        if evse == 0:
            kind = "fault.raised" if fault else "station.status"
            self._state.event(kind, severity="error" if fault else "info", text=fault or told["status"], time_ns=when)
        else:
            status, charging = _STATUS[told["status"]]
            self._state.set_evse(evse, status=status, charging=charging, fault=fault, time_ns=when)
        return {}

    async def _authorize(self, called: Called) -> Payload:
        return {"idTagInfo": _tag_info(await self._state.authorize(called.payload["idTag"]))}

    async def _start(self, called: Called) -> Payload:
        started = called.payload
        record = SessionRecord(
            self._state.id,
            "start",
            self._state.time_of(started["timestamp"]),
            called.raw_payload,
            evse=started["connectorId"],
            connector=1,
            token=started["idTag"],
            meter=str(started["meterStart"]),
        )
        recorded = await self._state.record(record)
        return {
            "transactionId": int(recorded.session.transaction_id),
            "idTagInfo": _tag_info(recorded.authorization),
        }

    def _meter_values(self, called: Called) -> Any:
        values = called.payload
        transaction = values.get("transactionId")
        reading = self._read(values["meterValue"], values["connectorId"])
        if transaction is not None:
            return self._update(called, str(transaction), reading)
        for sample in reading.samples:
            self._state.publish(sample)
        return {}

    async def _update(self, called: Called, transaction: str, reading: Reading) -> Payload:
        when = reading.samples[-1].time_ns if reading.samples else time.time_ns()
        record = SessionRecord(
            self._state.id,
            "update",
            when,
            called.raw_payload,
            evse=called.payload["connectorId"],
            connector=1,
            transaction_id=transaction,
            meter=reading.meter,
            samples=reading.samples,
        )
        await self._state.record(record)
        return {}

    async def _stop(self, called: Called) -> Payload:
        stopped = called.payload
        transaction = str(stopped["transactionId"])
        known = self._state.sessions.get(transaction)
        evse = known.evse if known else 0
        record = SessionRecord(
            self._state.id,
            "end",
            self._state.time_of(stopped["timestamp"]),
            called.raw_payload,
            evse=evse,
            connector=1,
            transaction_id=transaction,
            token=stopped.get("idTag"),
            meter=str(stopped["meterStop"]),
            reason=stopped.get("reason", "Local"),  # OCPP 1.6, 6.49: Local where none is named
            samples=self._read(stopped.get("transactionData") or (), evse).samples,
        )
        recorded = await self._state.record(record)
        return {"idTagInfo": _tag_info(recorded.authorization)} if stopped.get("idTag") else {}

    def _data_transfer(self, called: Called) -> Payload:
        self._state.event("data_transfer", text=called.payload["vendorId"], data=called.payload)
        return {"status": "UnknownVendorId"}

    def _security(self, called: Called) -> Payload:
        told = called.payload
        when = self._state.time_of(told.get("timestamp"))
        self._state.event("security.event", severity="warning", text=told["type"], data=told, time_ns=when)
        return {}

    def _told(self, kind: str) -> Any:
        def handler(called: Called) -> Payload:
            self._state.event(kind, text=str(called.payload.get("status", "")), data=called.payload)
            return {}

        return handler

    def _read(self, meter_values: Any, evse: int) -> Reading:
        reading = read_v16(meter_values, source=self._state.id, evse=evse, now_ns=time.time_ns())
        if reading.unreadable:
            self._state.complain("meter_value", f"{reading.unreadable} values are unreadable", "MeterValues")
        return reading


def _tag_info(verdict: Authorization) -> Mapping[str, Any]:
    info: Payload = {"status": verdict.status}
    if verdict.expires_ns is not None:
        info["expiryDate"] = rfc3339(verdict.expires_ns)
    if verdict.group is not None:
        info["parentIdTag"] = verdict.group
    return info
