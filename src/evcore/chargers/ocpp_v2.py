"""OCPP 2.0.1 and 2.1 as the CSMS hears them: the station's CALLs to the model and the ledger."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from evcore.chargers.ocpp_costs import costs_2, own_cost
from evcore.chargers.ocpp_dialect import Dialect, Payload
from evcore.chargers.ocpp_station import shown
from evcore.chargers.ocpp_v2_notices import NOTICES
from evcore.errors import EvcoreError
from evcore.masking import HIDDEN, is_secret
from evcore.model import Authorization, Session, SessionRecord, rfc3339
from evcore.ocpp.events import Called
from evcore.ocpp.samples import Reading, read_v2

_STATUSES = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")
_KINDS: dict[str, Literal["start", "update", "end"]] = {"Started": "start", "Updated": "update", "Ended": "end"}


class Dialect2(Dialect):
    """EVSEs with connectors, as the model has them."""

    __slots__ = ()

    def _boot(self, called: Called) -> Payload:
        station = called.payload["chargingStation"]
        firmware = station.get("firmwareVersion")
        return self.boot(station["vendorName"], station["model"], station.get("serialNumber"), firmware)

    def web_payment(self, evse: int, seconds: int) -> None:
        if self.peer.version == "2.1":
            self.peer.spawn(self._web_payment({"evseId": evse, "timeout": seconds}))

    async def _web_payment(self, payload: Payload) -> None:
        with contextlib.suppress(EvcoreError):  # a courtesy: the payment goes on without it
            await self.peer.call("NotifyWebPaymentStarted", payload)

    def _status(self, called: Called) -> Payload:
        told = called.payload
        evse, connector = self.state.check_evse(told["evseId"]), self.state.check_evse(told["connectorId"])
        when = self.state.time_of(told["timestamp"])
        self.state.set_connector(evse, connector, when, status=told["connectorStatus"])
        return {}

    async def _authorize(self, called: Called) -> Payload:
        token = called.payload["idToken"]
        if token["type"] == "NoAuthorization":  # C02: there is nothing to look up
            return {"idTokenInfo": _token_info(self._judged(token, Authorization("Invalid")))}
        verdict = await self.state.authorize(token["idToken"])
        return {"idTokenInfo": _token_info(self._judged(token, verdict))}

    def _judged(self, token: Mapping[str, Any], verdict: Authorization) -> Authorization:
        """What the ledger says, but for tokens that nobody can have entered: none at all, and one of the station's own
        payment terminal.
        """
        anonymous = token["type"] == "NoAuthorization" and self.rules.free_vend
        terminal = token["type"] == "DirectPayment" and verdict.status == "Invalid" and self.rules.direct_payment
        return replace(verdict, status="Accepted") if anonymous or terminal else verdict

    async def _transaction(self, called: Called) -> Payload:
        told = called.payload
        info, evse, token = told["transactionInfo"], told.get("evse") or {}, told.get("idToken")
        known = self.state.sessions.get(info["transactionId"])
        on = self.state.check_evse(evse.get("id", known.evse if known else 0))
        connector = evse.get("connectorId", 0)
        reading = self._read(told.get("meterValue") or (), on, connector, known)
        kind = _KINDS[told["eventType"]]
        cost, currency = own_cost(told, self.rules.minor_digits)
        record = SessionRecord(
            self.state.id,
            kind,
            self.state.time_of(told["timestamp"]),
            called.raw_payload,
            evse=on,
            connector=connector or (known.connector if known else 0),
            transaction_id=info["transactionId"],
            seq_no=told["seqNo"],
            token=(token["idToken"] or None) if token else None,
            meter=reading.meter,
            reason=info.get("stoppedReason", "Local") if kind == "end" else None,
            offline=told.get("offline", False),
            samples=reading.samples,
            cost=cost,
            currency=currency,
        )
        recorded = await self.state.record(record)
        if on:
            charging = None if recorded.session.state == "ended" else info.get("chargingState")
            before = self.state.evses.get(on)
            if charging is not None or (kind == "end" and before is not None and before.charging is not None):
                self.state.set_evse(on, charging=charging)
        answer: Payload = costs_2(recorded, told, self.peer.version, self.rules)
        if token:
            answer["idTokenInfo"] = _token_info(self._judged(token, recorded.authorization))
        return answer

    def _meter_values(self, called: Called) -> Any:
        """Values beside transactions: clock-aligned ones (J01). Where a session runs they are part of its record."""
        evse = self.state.check_evse(called.payload["evseId"])
        reading = self._read(called.payload["meterValue"], evse, 0)
        session = self.state.session_on(evse) if evse else None
        older = reading.samples
        if session is not None:
            reading, older = reading.of_session(session)
        for sample in older:
            self.state.hub.publish(sample)
        return self._update(called, session, reading) if session is not None and (reading.samples or not older) else {}

    async def _update(self, called: Called, session: Session, reading: Reading) -> Payload:
        record = SessionRecord(
            self.state.id,
            "update",
            reading.samples[-1].time_ns if reading.samples else time.time_ns(),
            called.raw_payload,
            evse=session.evse,
            connector=session.connector,
            transaction_id=session.transaction_id,
            meter=reading.meter,
            samples=reading.samples,
        )
        recorded = await self.state.record(record)
        self.tell_cost(recorded.session)
        return {}

    def _notify_event(self, called: Called) -> Payload:
        """Monitors of the device model: a value against its limit, or one that asked to be told."""
        for told in called.payload["eventData"]:
            component, variable = told["component"], told["variable"]
            evse = (component.get("evse") or {}).get("id", 0)
            alert = told["trigger"] == "Alerting" and not told.get("cleared", False)
            when = self.state.time_of(told["timestamp"])
            self._follow(component, variable["name"], told["actualValue"], when)
            value = HIDDEN if is_secret(variable["name"]) else told["actualValue"]
            self.state.event(
                "device.event",
                evse=self.state.check_evse(evse),
                severity="warning" if alert else "info",
                text=f"{component['name']}.{variable['name']} = {value}",
                data=shown(called, told),
                time_ns=when,
            )
        return {}

    def _follow(self, component: Mapping[str, Any], variable: str, value: str, when: int) -> None:
        """What the device model says of a connector is part of the station's model: its state, which may be told so
        instead of by StatusNotification (G01.FR.08), and what kind it is.
        """
        place = component.get("evse") or {}
        if component["name"] != "Connector" or "connectorId" not in place:
            return
        evse, connector = self.state.check_evse(place["id"]), self.state.check_evse(place["connectorId"])
        if variable == "AvailabilityState" and value in _STATUSES:
            self.state.set_connector(evse, connector, when, status=value)
        elif variable == "ConnectorType" and value:
            self.state.set_connector(evse, connector, when, type=value[:50])

    def _report(self, called: Called) -> Payload:
        for told in called.payload.get("reportData", ()):
            for attribute in told["variableAttribute"]:
                if attribute.get("type", "Actual") == "Actual" and "value" in attribute:
                    self._follow(told["component"], told["variable"]["name"], attribute["value"], time.time_ns())
        return self.report(called, "report", "reportData")

    def _monitors(self, called: Called) -> Payload:
        return self.report(called, "report.monitors", "monitor")

    def _read(self, meter_values: Any, evse: int, connector: int, session: Session | None = None) -> Reading:
        """session: that it belongs to, where that is known already."""
        of, now, source = session.id if session else None, time.time_ns(), self.state.id
        return self.read(read_v2(meter_values, source=source, evse=evse, connector=connector, now_ns=now, session=of))


def _token_info(verdict: Authorization) -> Mapping[str, Any]:
    info: Payload = {"status": verdict.status}
    if verdict.expires_ns is not None:
        info["cacheExpiryDateTime"] = rfc3339(verdict.expires_ns)
    if verdict.group is not None:
        info["groupIdToken"] = {"idToken": verdict.group, "type": "Central"}
    return info


Dialect2.HANDLERS = {
    "BootNotification": Dialect2._boot,
    "Heartbeat": Dialect2.heartbeat,
    "StatusNotification": Dialect2._status,
    "Authorize": Dialect2._authorize,
    "TransactionEvent": Dialect2._transaction,
    "MeterValues": Dialect2._meter_values,
    "DataTransfer": Dialect2.data_transfer,
    "NotifyReport": Dialect2._report,
    "NotifyMonitoringReport": Dialect2._monitors,
    "NotifyEvent": Dialect2._notify_event,
    "SecurityEventNotification": Dialect2.security,
    "SignCertificate": Dialect2.sign_certificate,
}
Dialect2.RECORDS = frozenset({"MeterValues", "TransactionEvent"})
Dialect2.NOTICES = NOTICES
