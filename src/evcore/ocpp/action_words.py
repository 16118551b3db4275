"""What each action of OCPP 1.6, 2.0.1 and 2.1 is for, in a few words; and the facts of a payload that a reader wants.

The words are ours, after the use cases of OCPP 1.6 and of 2.0.1 and 2.1 Part 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

WORDS = {
    "AFRRSignal": "the CSMS passes a signal for the grid's frequency reserve on",
    "AdjustPeriodicEventStream": "the CSMS changes how often a stream of events is sent",
    "Authorize": "the station asks whether a token may charge",
    "BatterySwap": "the station tells that batteries were put in or taken out",
    "BootNotification": "the station says who it is and asks to be accepted",
    "CancelReservation": "the CSMS takes a reservation back",
    "CertificateSigned": "the CSMS hands over a signed certificate",
    "ChangeAvailability": "the CSMS takes the station or a part of it in or out of service",
    "ChangeConfiguration": "the CSMS sets one configuration key",
    "ChangeTransactionTariff": "the CSMS changes the tariff of a running transaction",
    "ClearCache": "the CSMS empties the station's cache of tokens",
    "ClearChargingProfile": "the CSMS removes charging profiles",
    "ClearDERControl": "the CSMS removes controls of feeding into the grid",
    "ClearDisplayMessage": "the CSMS removes a message from the display",
    "ClearTariffs": "the CSMS removes tariffs",
    "ClearVariableMonitoring": "the CSMS removes monitors of variables",
    "ClearedChargingLimit": "the station tells that a limit from elsewhere is gone",
    "ClosePeriodicEventStream": "the station ends a stream of events",
    "CostUpdated": "the CSMS tells what a transaction has cost so far",
    "CustomerInformation": "the CSMS asks for what is stored of a customer, or to forget it",
    "DataTransfer": "a vendor's own message",
    "DeleteCertificate": "the CSMS removes a certificate",
    "DiagnosticsStatusNotification": "the station tells how the upload of diagnostics goes",
    "ExtendedTriggerMessage": "the CSMS asks the station to send a message now",
    "FirmwareStatusNotification": "the station tells how a firmware update goes",
    "Get15118EVCertificate": "the station fetches a contract certificate for a car",
    "GetBaseReport": "the CSMS asks for a report of all variables",
    "GetCertificateChainStatus": "the station asks for the revocation status of a chain of certificates",
    "GetCertificateStatus": "the station asks whether a certificate is revoked",
    "GetChargingProfiles": "the CSMS asks which charging profiles are installed",
    "GetCompositeSchedule": "the CSMS asks for the schedule that results from all profiles",
    "GetConfiguration": "the CSMS reads configuration keys",
    "GetDERControl": "the CSMS asks which controls of feeding into the grid are set",
    "GetDiagnostics": "the CSMS asks for diagnostics to be uploaded",
    "GetDisplayMessages": "the CSMS asks which messages are on the display",
    "GetInstalledCertificateIds": "the CSMS asks which certificates are installed",
    "GetLocalListVersion": "the CSMS asks for the version of the local list of tokens",
    "GetLog": "the CSMS asks for a log to be uploaded",
    "GetMonitoringReport": "the CSMS asks for a report of monitors",
    "GetPeriodicEventStream": "the CSMS asks which streams of events are open",
    "GetReport": "the CSMS asks for a report of some variables",
    "GetTariffs": "the CSMS asks which tariffs are installed",
    "GetTransactionStatus": "the CSMS asks whether messages of a transaction are still queued",
    "GetVariables": "the CSMS reads variables",
    "Heartbeat": "the station shows that it is there, and asks for the time",
    "InstallCertificate": "the CSMS installs a root certificate",
    "LogStatusNotification": "the station tells how the upload of a log goes",
    "MeterValues": "the station reports meter values",
    "NotifyAllowedEnergyTransfer": "the CSMS tells how energy may be transferred",
    "NotifyChargingLimit": "the station tells that its limit was set from elsewhere",
    "NotifyCustomerInformation": "the station sends what it stores of a customer",
    "NotifyDERAlarm": "the station reports an alarm of feeding into the grid",
    "NotifyDERStartStop": "the station tells that a control of feeding into the grid began or ended",
    "NotifyDisplayMessages": "the station lists the messages on its display",
    "NotifyEVChargingNeeds": "the station passes on what a car needs",
    "NotifyEVChargingSchedule": "the station passes on how a car will charge",
    "NotifyEvent": "the station reports events of its variables",
    "NotifyMonitoringReport": "the station sends a part of a report of monitors",
    "NotifyPeriodicEventStream": "the station sends values of a stream of events",
    "NotifyPriorityCharging": "the station tells that charging with priority began or ended",
    "NotifyReport": "the station sends a part of a report",
    "NotifySettlement": "the station tells that a payment at its terminal was settled",
    "NotifyWebPaymentStarted": "the CSMS tells that somebody began to pay in the web",
    "OpenPeriodicEventStream": "the station asks to open a stream of events",
    "PublishFirmware": "the CSMS has a local controller offer a firmware",
    "PublishFirmwareStatusNotification": "a local controller tells how offering a firmware goes",
    "PullDynamicScheduleUpdate": "the station asks for an update of a dynamic schedule",
    "RemoteStartTransaction": "the CSMS asks to start a transaction",
    "RemoteStopTransaction": "the CSMS asks to stop a transaction",
    "ReportChargingProfiles": "the station lists charging profiles",
    "ReportDERControl": "the station lists controls of feeding into the grid",
    "RequestBatterySwap": "the CSMS asks for a swap of batteries",
    "RequestStartTransaction": "the CSMS asks to start a transaction",
    "RequestStopTransaction": "the CSMS asks to stop a transaction",
    "ReservationStatusUpdate": "the station tells that a reservation ended",
    "ReserveNow": "the CSMS reserves a connector",
    "Reset": "the CSMS has the station start anew",
    "SecurityEventNotification": "the station reports a security event",
    "SendLocalList": "the CSMS updates the local list of tokens",
    "SetChargingProfile": "the CSMS sets a charging profile",
    "SetDERControl": "the CSMS sets a control of feeding into the grid",
    "SetDefaultTariff": "the CSMS sets the tariff for new transactions",
    "SetDisplayMessage": "the CSMS puts a message on the display",
    "SetMonitoringBase": "the CSMS chooses which monitors are active",
    "SetMonitoringLevel": "the CSMS chooses from which severity on events are reported",
    "SetNetworkProfile": "the CSMS stores a way to connect",
    "SetVariableMonitoring": "the CSMS sets monitors of variables",
    "SetVariables": "the CSMS sets variables",
    "SignCertificate": "the station asks for a certificate to be signed",
    "SignedFirmwareStatusNotification": "the station tells how an update of signed firmware goes",
    "SignedUpdateFirmware": "the CSMS asks for an update of signed firmware",
    "StartTransaction": "the station tells that a transaction began",
    "StatusNotification": "the station tells the state of a connector",
    "StopTransaction": "the station tells that a transaction ended",
    "TransactionEvent": "the station tells how a transaction goes",
    "TriggerMessage": "the CSMS asks the station to send a message now",
    "UnlockConnector": "the CSMS has a connector unlocked",
    "UnpublishFirmware": "the CSMS has a local controller withdraw a firmware",
    "UpdateDynamicSchedule": "the CSMS updates a dynamic schedule",
    "UpdateFirmware": "the CSMS asks for a firmware update",
    "UsePriorityCharging": "the CSMS grants or ends charging with priority",
    "VatNumberValidation": "the station has a VAT number checked",
}

_FACTS = 8
_SAMPLES = 4
_SECRET = re.compile("password|secret|authorizationkey|privatekey|pin$", re.IGNORECASE)
_URL_SECRET = re.compile(r"(://)[^/@\s]*@")


def facts_of(payload: Any) -> list[str]:
    """The main facts of a payload with wire names: scalars of its first two levels, samples as one text each. Bounded
    in number and length; what looks like a secret is not shown."""
    if not isinstance(payload, dict):
        return []
    facts = list(_scalars(payload, ""))
    kept = facts[:_FACTS]
    if len(facts) > _FACTS:
        kept.append(f"and {len(facts) - _FACTS} more")
    for name in ("meterValue", "transactionData"):
        kept += _samples(payload.get(name))
    return kept


def _scalars(holder: dict[str, Any], prefix: str) -> Iterator[str]:
    secret = any(_SECRET.search(str(holder.get(key, ""))) for key in ("key", "variable"))
    for name, value in holder.items():
        label = f"{prefix}{name}"[:60]
        if isinstance(value, dict):
            if not prefix:
                yield from _scalars(value, f"{label}.")
        elif isinstance(value, list):
            if name not in ("meterValue", "transactionData"):
                yield f"{label}: {len(value)} items"
        elif _SECRET.search(name) or (secret and name in ("value", "attributeValue")):
            yield f"{label} ***"
        else:
            yield f"{label} {_short(value)}"


def _samples(meter_values: Any) -> list[str]:
    found, times = [], []
    for meter_value in meter_values if isinstance(meter_values, list) else ():
        if isinstance(meter_value, dict) and isinstance(meter_value.get("sampledValue"), list):
            times.append(_short(meter_value.get("timestamp")))
            found += [sample for sample in meter_value["sampledValue"] if isinstance(sample, dict)]
    if not found:
        return []
    shown = [_sample(sample) for sample in found[:_SAMPLES]]
    if len(found) > _SAMPLES:
        shown.append(f"{len(found) - _SAMPLES} more samples")
    return [*shown, f"sampled {times[0]}" + (f" to {times[-1]}" if len(times) > 1 else "")]


def _sample(sample: dict[str, Any]) -> str:
    unit = sample.get("unit")
    if unit is None and isinstance(sample.get("unitOfMeasure"), dict):
        unit = sample["unitOfMeasure"].get("unit")
    words = [sample.get("measurand", "Energy.Active.Import.Register"), sample.get("phase"), sample.get("value"), unit]
    return " ".join(_short(word) for word in words if word is not None)


def _short(value: Any) -> str:
    if isinstance(value, str):
        text = _URL_SECRET.sub(r"\1***@", value)
        text = "".join(letter if letter.isprintable() else "?" for letter in text[:61])
        return text if len(text) <= 60 else text[:57] + "..."
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value)[:40]) if _is_word(value) else str(value)[:40]
    )


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)
