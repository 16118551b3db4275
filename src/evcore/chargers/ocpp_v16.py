"""OCPP 1.6 as the CSMS hears it: the station's CALLs to the model and the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from evcore.chargers.ocpp_dialect import Dialect, Notice, Payload
from evcore.errors import CallError
from evcore.model import Authorization, Connector, Session, SessionRecord, rfc3339
from evcore.ocpp.events import Called
from evcore.ocpp.samples import Reading, read_v16

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


class Dialect16(Dialect):
    """EVSE n is connector n of 1.6, with one connector; connector 0 is the station itself."""

    __slots__ = ()

    def _boot(self, called: Called) -> Payload:
        told = called.payload
        serial = told.get("chargePointSerialNumber") or told.get("chargeBoxSerialNumber")
        return self.boot(told["chargePointVendor"], told["chargePointModel"], serial, told.get("firmwareVersion"))

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
            one = (Connector(1, status=status),)
            self.state.set_evse(evse, status=status, charging=charging, fault=fault, connectors=one, time_ns=when)
        return {}

    async def _authorize(self, called: Called) -> Payload:
        return {"idTagInfo": _tag_info(await self.state.authorize(called.payload["idTag"]))}

    async def _start(self, called: Called) -> Payload:
        started = called.payload
        if started["connectorId"] < 1:  # OCPP 1.6, 6.45: greater than 0
            raise CallError("PropertyConstraintViolation", "connectorId: expected 1 or more, got 0 or less")
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
        evse, transaction = self.state.check_evse(values["connectorId"]), values.get("transactionId")
        if transaction is not None:
            transaction = str(transaction)
            reading = self._read(values["meterValue"], evse, self.state.sessions.get(transaction))
            return self._update(called, transaction, reading)
        reading = self._read(values["meterValue"], evse)
        # Many stations leave the id out: what is measured on a connector while it charges belongs to its session.
        session = self.state.session_on(values["connectorId"])
        older = reading.samples
        if session is not None:
            reading, older = reading.of_session(session)
        for sample in older:
            self.state.hub.publish(sample)
        if session is None or (older and not reading.samples):
            return {}
        return self._update(called, session.transaction_id, reading)

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
        recorded = await self.state.record(record)
        self._tell_cost(recorded.session)
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
            samples=self._read(stopped.get("transactionData") or (), evse, known).samples,
        )
        recorded = await self.state.record(record)
        self._tell_cost(recorded.session)
        return {"idTagInfo": _tag_info(recorded.authorization)} if stopped.get("idTag") else {}

    def _tell_cost(self, session: Session) -> None:
        if self.rules.cost_messages:
            self.tell_cost(session)

    def _read(self, meter_values: Any, evse: int, session: Session | None = None) -> Reading:
        """session: that it belongs to, where that is known already."""
        of, now = session.id if session else None, time.time_ns()
        return self.read(read_v16(meter_values, source=self.state.id, evse=evse, now_ns=now, session=of))


def _tag_info(verdict: Authorization) -> Mapping[str, Any]:
    info: Payload = {"status": verdict.status}
    if verdict.expires_ns is not None:
        info["expiryDate"] = rfc3339(verdict.expires_ns)
    if verdict.group is not None:
        info["parentIdTag"] = verdict.group
    return info


Dialect16.HANDLERS = {
    "BootNotification": Dialect16._boot,
    "Heartbeat": Dialect16.heartbeat,
    "StatusNotification": Dialect16._status,
    "Authorize": Dialect16._authorize,
    "StartTransaction": Dialect16._start,
    "MeterValues": Dialect16._meter_values,
    "StopTransaction": Dialect16._stop,
    "DataTransfer": Dialect16.data_transfer,
    "SignCertificate": Dialect16.sign_certificate,
    "SecurityEventNotification": Dialect16.security,
}
Dialect16.RECORDS = frozenset({"MeterValues", "StartTransaction", "StopTransaction"})
Dialect16.NOTICES = {
    "FirmwareStatusNotification": Notice("firmware.status"),
    "SignedFirmwareStatusNotification": Notice("firmware.status"),
    "DiagnosticsStatusNotification": Notice("diagnostics.status"),
    "LogStatusNotification": Notice("log.status"),
}
