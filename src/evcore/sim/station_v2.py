"""A simulated station's words in OCPP 2.0.1 and 2.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evcore.sim.station_evse import SimEvse, SimTransaction
from evcore.sim.station_words import Message, Payload, Words, status

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

# 1.6's word -> ConnectorStatusEnumType
_STATUS = dict.fromkeys(("Preparing", "Charging", "SuspendedEVSE", "Finishing"), "Occupied")
# 1.6's reason -> ReasonEnumType
_REASONS = {"HardReset": "ImmediateReset", "SoftReset": "ImmediateReset", "UnlockCommand": "Other"}


class Words2(Words):
    """See `Words16`."""

    def __init__(self, station: SimStation) -> None:
        super().__init__(station)
        self.variables: dict[tuple[str, str], str] = {
            ("OCPPCommCtrlr", "HeartbeatInterval"): "300",
            ("OCPPCommCtrlr", "WebSocketPingInterval"): "30",
            ("SampledDataCtrlr", "TxUpdatedInterval"): f"{station.interval_s:g}",
            ("AuthCtrlr", "AuthorizeRemoteStart"): "false",
            ("ChargingStation", "Model"): station.model,
            ("ChargingStation", "VendorName"): station.vendor,
        }
        self.read_only = {("ChargingStation", "Model"), ("ChargingStation", "VendorName")}

    # What it says

    def status(self, evse: SimEvse) -> Message:
        return "StatusNotification", {
            "timestamp": self.now(),
            "connectorStatus": _STATUS.get(evse.status, evse.status),
            "evseId": evse.id,
            "connectorId": 1,
        }

    def authorize(self, token: str) -> Message:
        return "Authorize", {"idToken": _token(token)}

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
        return self._event(evse, transaction, "Updated", why, "Sample.Periodic")

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
            payload["idToken"] = _token(transaction.token)
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

    # What it is asked

    def _on_RequestStartTransaction(self, asked: Payload) -> Payload:
        good = self._station.remote_start(asked.get("evseId"), asked["idToken"]["idToken"], asked["remoteStartId"])
        return status(good)

    def _on_RequestStopTransaction(self, asked: Payload) -> Payload:
        return status(self._station.remote_stop(asked["transactionId"]))

    def _on_Reset(self, asked: Payload) -> Payload:
        self._station.later(self._station.reset("HardReset"))
        return {"status": "Accepted"}

    def _on_UnlockConnector(self, asked: Payload) -> Payload:
        evse = self._station.evses.get(asked["evseId"])
        return {"status": "UnknownConnector" if evse is None else self._station.unlock(evse)}

    def _on_ChangeAvailability(self, asked: Payload) -> Payload:
        evse = (asked.get("evse") or {}).get("id", 0)
        return {"status": self._station.change_availability(evse, asked["operationalStatus"] == "Operative")}

    def _on_TriggerMessage(self, asked: Payload) -> Payload:
        return {"status": self._station.trigger(asked["requestedMessage"], (asked.get("evse") or {}).get("id", 0))}

    def _on_GetVariables(self, asked: Payload) -> Payload:
        return {"getVariableResult": [self._read(item) for item in asked["getVariableData"]]}

    def _on_SetVariables(self, asked: Payload) -> Payload:
        return {"setVariableResult": [self._write(item) for item in asked["setVariableData"]]}

    def _read(self, item: Payload) -> Payload:
        result, word = self._find(item)
        if word == "Accepted":
            result["attributeValue"] = self.variables[item["component"]["name"], item["variable"]["name"]]
        return result

    def _write(self, item: Payload) -> Payload:
        result, word = self._find(item)
        key, value = (item["component"]["name"], item["variable"]["name"]), item["attributeValue"]
        if word != "Accepted":
            return result
        if key in self.read_only or (key[1].endswith("Interval") and not value.isdecimal()):
            return result | {"attributeStatus": "Rejected"}
        self.variables[key] = value
        if key[1] == "HeartbeatInterval":
            self._station.heartbeat_s = float(value)
        if key[1] == "TxUpdatedInterval":
            self._station.interval_s = float(value)
        return result

    def _find(self, item: Payload) -> tuple[Payload, str]:
        component, variable = item["component"]["name"], item["variable"]["name"]
        word = "Accepted"
        if (component, variable) not in self.variables:
            known = any(name == component for name, _ in self.variables)
            word = "UnknownVariable" if known else "UnknownComponent"
        return {"attributeStatus": word, "component": item["component"], "variable": item["variable"]}, word

    def _on_SetChargingProfile(self, asked: Payload) -> Payload:
        profile = asked["chargingProfile"]
        purpose, schedule = profile["chargingProfilePurpose"], profile["chargingSchedule"][0]
        return self._set_profile(asked["evseId"], profile["id"], purpose, schedule)

    def _on_ClearChargingProfile(self, asked: Payload) -> Payload:
        criteria = asked.get("chargingProfileCriteria") or {}
        found = self._station.clear_profiles(asked.get("chargingProfileId"), criteria.get("evseId"))
        return {"status": "Accepted" if found else "Unknown"}


def _token(token: str) -> Payload:
    return {"idToken": token, "type": "ISO14443" if len(token) in (8, 14) else "Central"}
