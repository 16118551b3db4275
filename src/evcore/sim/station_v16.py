"""A simulated station's words in OCPP 1.6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evcore.sim.station_evse import SimEvse, SimTransaction
from evcore.sim.station_words import Message, Payload, Words, status

if TYPE_CHECKING:
    from evcore.sim.station import SimStation


class Words16(Words):
    """See `Words2` for the same in 2.x: both have the same methods."""

    def __init__(self, station: SimStation) -> None:
        super().__init__(station)
        self.config: dict[str, str] = {
            "HeartbeatInterval": "300",
            "MeterValueSampleInterval": f"{station.interval_s:g}",
            "AuthorizeRemoteTxRequests": "false",
            "WebSocketPingInterval": "30",
            "TransactionMessageAttempts": "3",
            "TransactionMessageRetryInterval": "1",
            "NumberOfConnectors": str(len(station.evses)),
        }
        self.read_only = {"NumberOfConnectors"}

    # What it says

    def status(self, evse: SimEvse) -> Message:
        return "StatusNotification", {
            "connectorId": evse.id,
            "errorCode": evse.fault or "NoError",
            "status": evse.status,
            "timestamp": self.now(),
        }

    def authorize(self, token: str) -> Message:
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

    # What it is asked

    def _on_RemoteStartTransaction(self, asked: Payload) -> Payload:
        return status(self._station.remote_start(asked.get("connectorId"), asked["idTag"]))

    def _on_RemoteStopTransaction(self, asked: Payload) -> Payload:
        return status(self._station.remote_stop(str(asked["transactionId"])))

    def _on_Reset(self, asked: Payload) -> Payload:
        self._station.later(self._station.reset(f"{asked['type']}Reset"))
        return {"status": "Accepted"}

    def _on_UnlockConnector(self, asked: Payload) -> Payload:
        evse = self._station.evses.get(asked["connectorId"])
        return {"status": "NotSupported" if evse is None else self._station.unlock(evse)}

    def _on_ChangeAvailability(self, asked: Payload) -> Payload:
        return {"status": self._station.change_availability(asked["connectorId"], asked["type"] == "Operative")}

    def _on_TriggerMessage(self, asked: Payload) -> Payload:
        return {"status": self._station.trigger(asked["requestedMessage"], asked.get("connectorId", 0))}

    def _on_GetConfiguration(self, asked: Payload) -> Payload:
        wanted = asked.get("key") or list(self.config)
        return {
            "configurationKey": [
                {"key": key, "readonly": key in self.read_only, "value": self.config[key]}
                for key in wanted
                if key in self.config
            ],
            "unknownKey": [key for key in wanted if key not in self.config],
        }

    def _on_ChangeConfiguration(self, asked: Payload) -> Payload:
        key, value = asked["key"], asked["value"]
        if key not in self.config:
            return {"status": "NotSupported"}
        if key in self.read_only or (key.endswith("Interval") and not value.isdecimal()):
            return {"status": "Rejected"}
        self.config[key] = value
        if key == "HeartbeatInterval":
            self._station.heartbeat_s = float(value)
        if key == "MeterValueSampleInterval":
            self._station.interval_s = float(value)
        return {"status": "Accepted"}

    def _on_SetChargingProfile(self, asked: Payload) -> Payload:
        profile = asked["csChargingProfiles"]
        id, purpose = profile["chargingProfileId"], profile["chargingProfilePurpose"]
        return self._set_profile(asked["connectorId"], id, purpose, profile["chargingSchedule"])

    def _on_ClearChargingProfile(self, asked: Payload) -> Payload:
        found = self._station.clear_profiles(asked.get("id"), asked.get("connectorId"))
        return {"status": "Accepted" if found else "Unknown"}
