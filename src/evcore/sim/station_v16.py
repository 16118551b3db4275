"""A simulated station's words in OCPP 1.6."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from evcore.model import rfc3339
from evcore.ocpp.events import Called
from evcore.sim.station_evse import SimEvse, SimTransaction
from evcore.sim.station_queue import Entry, Payload

if TYPE_CHECKING:
    from evcore.sim.station import SimStation


class Words16:
    """See `Words2` for the same in 2.x: both have the same methods."""

    def __init__(self, station: SimStation) -> None:
        self._station = station
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

    def boot(self) -> tuple[str, Payload]:
        station = self._station
        return "BootNotification", {
            "chargePointVendor": station.vendor,
            "chargePointModel": station.model,
            "chargePointSerialNumber": station.serial[:25],
            "firmwareVersion": station.firmware,
        }

    def status(self, evse: SimEvse) -> tuple[str, Payload]:
        return "StatusNotification", {
            "connectorId": evse.id,
            "errorCode": evse.fault or "NoError",
            "status": evse.status,
            "timestamp": rfc3339(time.time_ns()),
        }

    def authorize(self, token: str) -> tuple[str, Payload]:
        return "Authorize", {"idTag": token}

    def verdict(self, answer: Payload) -> str | None:
        """The authorization in an answer; None where there is none."""
        status = answer.get("idTagInfo", {}).get("status")
        return None if status is None else str(status)

    def started(self, evse: SimEvse, transaction: SimTransaction) -> Entry:
        payload = {
            "connectorId": evse.id,
            "idTag": transaction.token,
            "meterStart": int(evse.energy_wh),
            "timestamp": rfc3339(time.time_ns()),
        }

        def answered(answer: Payload) -> None:
            transaction.id = str(answer["transactionId"])
            self._station.authorized(evse, transaction, self.verdict(answer))

        return Entry("StartTransaction", lambda: payload, answered)

    def updated(self, evse: SimEvse, transaction: SimTransaction, why: str) -> Entry | None:
        if why != "MeterValuePeriodic":
            return None
        values = [self._meter_value(evse, "Sample.Periodic")]

        def build() -> Payload:
            known = {} if transaction.id is None else {"transactionId": int(transaction.id)}
            return {"connectorId": evse.id, "meterValue": values} | known

        return Entry("MeterValues", build)

    def ended(self, evse: SimEvse, transaction: SimTransaction, reason: str) -> Entry:
        payload: Payload = {
            "meterStop": int(evse.energy_wh),
            "timestamp": rfc3339(time.time_ns()),
            "idTag": transaction.token,
            "reason": reason,
        }
        return Entry("StopTransaction", lambda: payload | {"transactionId": int(transaction.id or 0)})

    def metered(self, evse: SimEvse, context: str) -> tuple[str, Payload]:
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
            "timestamp": rfc3339(time.time_ns()),
            "sampledValue": [value | {"context": context} for value in values],
        }

    # What it is asked

    def handle(self, called: Called) -> Payload:
        handler = getattr(self, f"_on_{called.action}", None)
        if handler is None:
            return self._station.not_supported(called.action)
        answer: Payload = handler(called.payload)
        return answer

    def _on_RemoteStartTransaction(self, asked: Payload) -> Payload:
        return _status(self._station.remote_start(asked.get("connectorId"), asked["idTag"]))

    def _on_RemoteStopTransaction(self, asked: Payload) -> Payload:
        return _status(self._station.remote_stop(str(asked["transactionId"])))

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
        schedule = profile["chargingSchedule"]
        return _status(
            self._station.set_profile(
                asked["connectorId"],
                profile["chargingProfileId"],
                profile["chargingProfilePurpose"],
                schedule["chargingSchedulePeriod"][0]["limit"],
                schedule["chargingRateUnit"],
            )
        )

    def _on_ClearChargingProfile(self, asked: Payload) -> Payload:
        found = self._station.clear_profiles(asked.get("id"), asked.get("connectorId"))
        return {"status": "Accepted" if found else "Unknown"}

    def _on_ClearCache(self, asked: Payload) -> Payload:
        return {"status": "Accepted"}

    def _on_DataTransfer(self, asked: Payload) -> Payload:
        if asked["vendorId"] != self._station.vendor:
            return {"status": "UnknownVendorId"}
        return {"status": "Accepted", "data": str(asked.get("data", ""))}


def _status(good: bool) -> dict[str, Any]:
    return {"status": "Accepted" if good else "Rejected"}
