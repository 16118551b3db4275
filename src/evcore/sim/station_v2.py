"""A simulated station's words in OCPP 2.0.1 and 2.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evcore.sim.station_evse import SimEvse, SimTransaction
from evcore.sim.station_words import Message, Payload, Words

# 1.6's word -> ConnectorStatusEnumType
_STATUS = dict.fromkeys(("Preparing", "Charging", "SuspendedEVSE", "Finishing"), "Occupied")
_NEW_TOKENS = ("DirectPayment", "EVCCID", "VIN")  # kinds that came with 2.1
# 1.6's reason -> ReasonEnumType
_REASONS = {"HardReset": "ImmediateReset", "SoftReset": "ImmediateReset", "UnlockCommand": "Other"}


class Words2(Words):
    """See `Words16`."""

    # What it says

    def status(self, evse: SimEvse) -> Message:
        return "StatusNotification", {
            "timestamp": self.now(),
            "connectorStatus": self.connector_status(evse),
            "evseId": evse.id,
            "connectorId": 1,
        }

    def connector_status(self, evse: SimEvse) -> str:
        """ConnectorStatusEnumType."""
        return _STATUS.get(evse.status, evse.status)

    def authorize(self, token: str, kind: str = "") -> Message:
        return "Authorize", {"idToken": self._token(token, kind)}

    def verdict(self, answer: Mapping[str, Any]) -> str | None:
        """The authorization in an answer; None where there is none."""
        status = (answer.get("idTokenInfo") or {}).get("status")
        return None if status is None else str(status)

    def transaction_id(self, transaction: SimTransaction, answer: Mapping[str, Any]) -> str | None:
        """The station named it."""
        return transaction.id

    def started(self, evse: SimEvse, transaction: SimTransaction) -> Message:
        transaction.id = f"{self._station.id}-{self._station.run_id}-{transaction.number}"[-36:]
        trigger = "Authorized" if transaction.remote_start_id is None else "RemoteStart"
        return self._event(evse, transaction, "Started", trigger, "Transaction.Begin", token=True)

    def updated(self, evse: SimEvse, transaction: SimTransaction, why: str) -> Message | None:
        return self._event(evse, transaction, "Updated", why, "Trigger" if why == "Trigger" else "Sample.Periodic")

    def ended(self, evse: SimEvse, transaction: SimTransaction, reason: str) -> Message:
        trigger = {"Remote": "RemoteStop", "EVDisconnected": "EVDeparted"}.get(reason, "StopAuthorized")
        transaction.stopped = _REASONS.get(reason, reason)
        return self._event(evse, transaction, "Ended", trigger, "Transaction.End")

    def metered(self, evse: SimEvse, context: str) -> Message:
        """MeterValues beside a transaction."""
        return "MeterValues", {"evseId": evse.id, "meterValue": [self._meter_value(evse, context)]}

    def _event(
        self, evse: SimEvse, transaction: SimTransaction, kind: str, trigger: str, context: str, *, token: bool = False
    ) -> Message:
        info: Payload = {"transactionId": transaction.id, "chargingState": transaction.charging_state}
        if transaction.remote_start_id is not None and kind == "Started":
            info["remoteStartId"] = transaction.remote_start_id
        if kind == "Ended":
            info |= {"stoppedReason": transaction.stopped or "Local", "chargingState": "Idle"}
        payload: Payload = {
            "eventType": kind,
            "timestamp": self.now(),
            "triggerReason": trigger,
            "seqNo": transaction.seq_no,
            "transactionInfo": info,
            "evse": {"id": evse.id, "connectorId": 1},
            "meterValue": [self._meter_value(evse, context)],
        }
        if token:
            payload["idToken"] = self._token(transaction.token, transaction.token_type)
        transaction.seq_no += 1
        return "TransactionEvent", payload

    def _meter_value(self, evse: SimEvse, context: str) -> Payload:
        values: list[Payload] = [
            {
                "measurand": "Energy.Active.Import.Register",
                "value": round(evse.energy_wh, 1),
                "unitOfMeasure": {"unit": "Wh"},
            },
            {"measurand": "Power.Active.Import", "value": round(evse.power_w), "unitOfMeasure": {"unit": "W"}},
            {"measurand": "Voltage", "value": evse.voltage, "unitOfMeasure": {"unit": "V"}},
        ]
        current: Payload = {
            "measurand": "Current.Import",
            "value": round(evse.current_a, 2),
            "unitOfMeasure": {"unit": "A"},
        }
        if evse.dc:
            soc = {"measurand": "SoC", "value": round(evse.soc or 0), "unitOfMeasure": {"unit": "Percent"}}
            values += [current, soc | {"location": "EV"}]
        else:
            values += [current | {"phase": f"L{phase}"} for phase in range(1, evse.phases + 1)]
        return {
            "timestamp": self.now(),
            "sampledValue": [value | {"context": context} for value in values],
        }

    def _token(self, token: str, kind: str) -> Payload:
        """kind: IdTokenEnumType; what came with 2.1 is Central before."""
        if not kind:
            kind = "ISO14443" if len(token) in (8, 14) else "Central"
        if self._station.version == "2.0.1" and kind in _NEW_TOKENS:
            kind = "Central"
        return {"idToken": token, "type": kind}
