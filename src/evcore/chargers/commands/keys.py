"""Settings that OCPP 1.6 and 2.x both have: the key of 1.6 and the variable of the device model that took its place.

Source: OCPP 1.6, 9 (configuration keys) and its security white paper, 4; OCPP 2.0.1 Part 2, section 2 of Referenced
Components and Variables, by their descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a setting is in the device model."""

    component: str
    variable: str
    instance: str = ""  # of the variable


_TRANSACTIONS = "TransactionEvent"
PLACES: dict[str, Place] = {
    "AdditionalRootCertificateCheck": Place("SecurityCtrlr", "AdditionalRootCertificateCheck"),
    "AllowOfflineTxForUnknownId": Place("AuthCtrlr", "OfflineTxForUnknownIdEnabled"),
    "AuthorizationCacheEnabled": Place("AuthCacheCtrlr", "Enabled"),
    "AuthorizationKey": Place("SecurityCtrlr", "BasicAuthPassword"),
    "AuthorizeRemoteTxRequests": Place("AuthCtrlr", "AuthorizeRemoteStart"),
    "CertificateSignedMaxChainSize": Place("SecurityCtrlr", "MaxCertificateChainSize"),
    "CertificateStoreMaxLength": Place("SecurityCtrlr", "CertificateEntries"),
    "ChargeProfileMaxStackLevel": Place("SmartChargingCtrlr", "ProfileStackLevel"),
    "ChargingScheduleAllowedChargingRateUnit": Place("SmartChargingCtrlr", "RateUnit"),
    "ChargingScheduleMaxPeriods": Place("SmartChargingCtrlr", "PeriodsPerSchedule"),
    "ClockAlignedDataInterval": Place("AlignedDataCtrlr", "Interval"),
    "ConnectionTimeOut": Place("TxCtrlr", "EVConnectionTimeOut"),
    "CpoName": Place("SecurityCtrlr", "OrganizationName"),
    "HeartbeatInterval": Place("OCPPCommCtrlr", "HeartbeatInterval"),
    "LocalAuthListEnabled": Place("LocalAuthListCtrlr", "Enabled"),
    "LocalAuthListMaxLength": Place("LocalAuthListCtrlr", "Entries"),
    "LocalAuthorizeOffline": Place("AuthCtrlr", "LocalAuthorizeOffline"),
    "LocalPreAuthorize": Place("AuthCtrlr", "LocalPreAuthorize"),
    "MaxChargingProfilesInstalled": Place("SmartChargingCtrlr", "Entries", "ChargingProfiles"),
    "MaxEnergyOnInvalidId": Place("TxCtrlr", "MaxEnergyOnInvalidId"),
    "MeterValueSampleInterval": Place("SampledDataCtrlr", "TxUpdatedInterval"),
    "MeterValuesAlignedData": Place("AlignedDataCtrlr", "Measurands"),
    "MeterValuesSampledData": Place("SampledDataCtrlr", "TxUpdatedMeasurands"),
    "ReserveConnectorZeroSupported": Place("ReservationCtrlr", "NonEvseSpecific"),
    "ResetRetries": Place("OCPPCommCtrlr", "ResetRetries"),
    "SecurityProfile": Place("SecurityCtrlr", "SecurityProfile"),
    "SendLocalListMaxLength": Place("LocalAuthListCtrlr", "ItemsPerMessage"),
    "StopTransactionOnEVSideDisconnect": Place("TxCtrlr", "StopTxOnEVSideDisconnect"),
    "StopTransactionOnInvalidId": Place("TxCtrlr", "StopTxOnInvalidId"),
    "StopTxnAlignedData": Place("AlignedDataCtrlr", "TxEndedMeasurands"),
    "StopTxnSampledData": Place("SampledDataCtrlr", "TxEndedMeasurands"),
    "TransactionMessageAttempts": Place("OCPPCommCtrlr", "MessageAttempts", _TRANSACTIONS),
    "TransactionMessageRetryInterval": Place("OCPPCommCtrlr", "MessageAttemptInterval", _TRANSACTIONS),
    "UnlockConnectorOnEVSideDisconnect": Place("OCPPCommCtrlr", "UnlockOnEVSideDisconnect"),
    "WebSocketPingInterval": Place("OCPPCommCtrlr", "WebSocketPingInterval"),
}
_KEYS = {place: key for key, place in PLACES.items()}
_DOTTED = {f"{place.component}.{place.variable}": key for place, key in _KEYS.items()}


def key_of(place: Place) -> str | None:
    """The key of 1.6 for a variable; None: 1.6 has none."""
    return _KEYS.get(place)


def key_16(name: str) -> str:
    """The key of 1.6 for a key or Component.Variable. A name with a dot that is no variable is a vendor's key."""
    return _DOTTED.get(name, name)


def place_2(name: str) -> Place | None:
    """The variable for a key of 1.6 or Component.Variable; None: neither."""
    if name in PLACES:
        return PLACES[name]
    component, dot, variable = name.partition(".")
    if not dot or not component or not variable:
        return None
    known = _DOTTED.get(name)  # with its instance, which the text has no place for
    return PLACES[known] if known else Place(component, variable)
