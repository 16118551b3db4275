"""A simulated station's words in OCPP 1.6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evcore.sim.station_evse import SimEvse, SimTransaction
from evcore.sim.station_words import Message, Payload, Words


class Words16(Words):
    """See `Words2` for the same in 2.x: both have the same methods."""

    # What it says

    def status(self, evse: SimEvse) -> Message:
        return "StatusNotification", {
            "connectorId": evse.id,
            "errorCode": evse.fault or "NoError",
            "status": evse.status,
            "timestamp": self.now(),
        }

    def connector_status(self, evse: SimEvse) -> str:
        """ChargePointStatus."""
        return evse.status

    def authorize(self, token: str, kind: str = "") -> Message:
        """1.6 has one kind of token."""
        return "Authorize", {"idTag": token}

    def verdict(self, answer: Mapping[str, Any]) -> str | None:
        """The authorization in an answer; None where there is none."""
        status = answer.get("idTagInfo", {}).get("status")
        return None if status is None else str(status)

    def transaction_id(self, transaction: SimTransaction, answer: Mapping[str, Any]) -> str:
        """The CSMS names it; -1 where it would not (errata 3.18)."""
        return str(answer.get("transactionId", -1))

    def started(self, evse: SimEvse, transaction: SimTransaction) -> Message:
        return "StartTransaction", {
            "connectorId": evse.id,
            "idTag": transaction.token,
            "meterStart": int(evse.energy_wh),
            "timestamp": self.now(),
        }

    def updated(self, evse: SimEvse, transaction: SimTransaction, why: str) -> Message | None:
        if why != "MeterValuePeriodic":
            return None
        return "MeterValues", {"connectorId": evse.id, "meterValue": [self._meter_value(evse, "Sample.Periodic")]}

    def ended(self, evse: SimEvse, transaction: SimTransaction, reason: str) -> Message:
        return "StopTransaction", {
            "meterStop": int(evse.energy_wh),
            "timestamp": self.now(),
            "idTag": transaction.token,
            "reason": reason,
        }

    def metered(self, evse: SimEvse, context: str) -> Message:
        """MeterValues beside a transaction."""
        return "MeterValues", {"connectorId": evse.id, "meterValue": [self._meter_value(evse, context)]}

    def _meter_value(self, evse: SimEvse, context: str) -> Payload:
        values = [
            {"measurand": "Energy.Active.Import.Register", "value": f"{evse.energy_wh:.1f}", "unit": "Wh"},
            {"measurand": "Power.Active.Import", "value": f"{evse.power_w:.0f}", "unit": "W"},
            {"measurand": "Voltage", "value": f"{evse.voltage:.1f}", "unit": "V"},
        ]
        if evse.dc:
            values.append({"measurand": "Current.Import", "value": f"{evse.current_a:.2f}", "unit": "A"})
            values.append({"measurand": "SoC", "value": f"{evse.soc or 0:.0f}", "unit": "Percent", "location": "EV"})
        else:
            for phase in range(1, evse.phases + 1):
                current = {"measurand": "Current.Import", "value": f"{evse.current_a:.2f}", "unit": "A"}
                values.append(current | {"phase": f"L{phase}"})
        return {
            "timestamp": self.now(),
            "sampledValue": [value | {"context": context} for value in values],
        }
