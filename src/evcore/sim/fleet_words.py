"""What a fleet's stations say, as bytes with holes. Nothing of evcore's codec is used, so that a fleet is a judge of a
server and not its twin; a message costs one formatting."""

from __future__ import annotations

from typing import NamedTuple

_NAMES_16 = (b"Energy.Active.Import.Register", b"Power.Active.Import", b"Current.Import", b"Voltage")
_UNITS = (b"Wh", b"W", b"A", b"V")
_VALUES = (b"%d", b"11040", b"16.0", b"230.1")


def _sample_16(name: bytes, unit: bytes, value: bytes) -> bytes:
    text = b'{"value":"%s","context":"Sample.Periodic","measurand":"%s","location":"Outlet","unit":"%s"}'
    return text % (value, name, unit)


def _sample_2(name: bytes, unit: bytes, value: bytes) -> bytes:
    return (
        b'{"value":%s,"context":"Sample.Periodic","measurand":"%s","location":"Outlet",'
        b'"unitOfMeasure":{"unit":"%s","multiplier":0}}' % (value, name, unit)
    )


_SAMPLES_16 = b",".join(map(_sample_16, _NAMES_16, _UNITS, _VALUES))
_SAMPLES_2 = b",".join(map(_sample_2, _NAMES_16, _UNITS, _VALUES))
_EVENT = (
    b'[2,"%s","TransactionEvent",{"eventType":"{KIND}","timestamp":"%s","triggerReason":"{WHY}","seqNo":%d,'
    b'"transactionInfo":{"transactionId":"%s","chargingState":"{STATE}"{REASON}},"evse":{"id":1,"connectorId":1},'
    b'"meterValue":[{"timestamp":"%s","sampledValue":[' + _SAMPLES_2 + b"]}]{TOKEN}}]"
)


def _event(kind: bytes, why: bytes, state: bytes, reason: bytes = b"", token: bytes = b"") -> bytes:
    holes = {b"{KIND}": kind, b"{WHY}": why, b"{STATE}": state, b"{REASON}": reason, b"{TOKEN}": token}
    text = _EVENT
    for hole, filling in holes.items():
        text = text.replace(hole, filling)
    return text


class Words(NamedTuple):
    """The messages of one version. Holes of each: boot id; authorize id, token; and of start, meter and stop what
    `FleetStation` puts in."""

    boot: bytes
    status: bytes
    authorize: bytes
    start: bytes
    meter: bytes
    stop: bytes


WORDS_16 = Words(
    b'[2,"%s","BootNotification",{"chargePointVendor":"evcore","chargePointModel":"Fleet","firmwareVersion":"1.0"}]',
    b'[2,"%s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"%s"}]',
    b'[2,"%s","Authorize",{"idTag":"%s"}]',
    b'[2,"%s","StartTransaction",{"connectorId":1,"idTag":"%s","meterStart":%d,"timestamp":"%s"}]',
    b'[2,"%s","MeterValues",{"connectorId":1,"transactionId":%s,"meterValue":[{"timestamp":"%s","sampledValue":['
    + _SAMPLES_16
    + b"]}]}]",
    b'[2,"%s","StopTransaction",{"meterStop":%d,"timestamp":"%s","transactionId":%s,"reason":"Local"}]',
)
WORDS_2 = Words(
    b'[2,"%s","BootNotification",{"reason":"PowerUp","chargingStation":{"vendorName":"evcore","model":"Fleet",'
    b'"firmwareVersion":"1.0"}}]',
    b'[2,"%s","StatusNotification",{"timestamp":"%s","connectorStatus":"Available","evseId":1,"connectorId":1}]',
    b'[2,"%s","Authorize",{"idToken":{"idToken":"%s","type":"Central"}}]',
    _event(b"Started", b"Authorized", b"Charging", token=b',"idToken":{"idToken":"%s","type":"Central"}'),
    _event(b"Updated", b"MeterValuePeriodic", b"Charging"),
    _event(b"Ended", b"StopAuthorized", b"Idle", b',"stoppedReason":"Local"'),
)

# What a broken station sends; the hole is a message id. Where a server answers at all it is a CALLERROR.
BROKEN = (
    b'[2,"%s","Teleport",{}]',
    b'[2,"%s","StatusNotification",{}]',
    b'[2,"%s","StatusNotification",{"connectorId":"one","evseId":"one"}]',
    b'[2,"%s","Heartbeat",{"surplus":1}]',
    b'[2,"%s","Heartbeat"]',
    b'[2,"%s","Heartbeat",{}',
    b'{"id":"%s"}',
    b'[9,"%s","Heartbeat",{}]',
)

# What is said to a CSMS that asks; for all else it is not supported.
CONSENT = {
    **dict.fromkeys(
        (
            "ChangeAvailability",
            "ChangeConfiguration",
            "ClearCache",
            "ClearChargingProfile",
            "DataTransfer",
            "RemoteStartTransaction",
            "RemoteStopTransaction",
            "RequestStartTransaction",
            "RequestStopTransaction",
            "Reset",
            "SetChargingProfile",
            "TriggerMessage",
        ),
        b'{"status":"Accepted"}',
    ),
    "GetConfiguration": b'{"configurationKey":[],"unknownKey":[]}',
    "CostUpdated": b"{}",
}
