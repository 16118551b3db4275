"""Start, stop, reset, unlock, availability, triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.sim.answers.frame import Payload, Table, evse_of, places, status
from evcore.sim.answers.profiles import accept_with_start

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

# The car that waits for its certificate asks for its own kinds (2.1 Part 2, F06, MessageTriggerEnumType).
_SIGNED = {
    "SignChargePointCertificate": None,
    "SignChargingStationCertificate": "ChargingStationCertificate",
    "SignV2GCertificate": "V2GCertificate",
    "SignV2G20Certificate": "V2G20Certificate",
}
_IDLE = {
    "DiagnosticsStatusNotification": "diagnostics",
    "FirmwareStatusNotification": "firmware",
    "LogStatusNotification": "log",
    "PublishFirmwareStatusNotification": "published",
}
# Of no private key that anyone has: what signs it signs nothing of use.
_CSR = """-----BEGIN CERTIFICATE REQUEST-----
MIHhMIGIAgEAMCYxDzANBgNVBAoMBmV2Y29yZTETMBEGA1UEAwwKU2ltU3RhdGlv
bjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFe/uZvlu6qpkLbUMDs7u20f61/D
QQ6nmKlRibDh6E4r6WKEQYWKRbG0o+XindgLBN+BBpoz2VuT3xV6RtRlzx6gADAK
BggqhkjOPQQDAgNIADBFAiEA4sqSl/PyVvS6Co5QuHkrhKWL2i0fGsf0XPO73gQE
gVYCIA4yAVzSo/7GWSVpqJgM+4NfS4wwpF0qAYT36SwUFljs
-----END CERTIFICATE REQUEST-----
"""


def _start_16(station: SimStation, asked: Payload) -> Payload:
    started = station.remote_start(asked.get("connectorId"), asked["idTag"])
    return status(started is not None and accept_with_start(station, started, asked))


def _start_2(station: SimStation, asked: Payload) -> Payload:
    token = asked["idToken"]
    started = station.remote_start(asked.get("evseId"), token["idToken"], asked["remoteStartId"], token["type"])
    return status(started is not None and accept_with_start(station, started, asked))


def _stop(station: SimStation, asked: Payload) -> Payload:
    return status(station.remote_stop(str(asked["transactionId"])))


def _reset_16(station: SimStation, asked: Payload) -> Payload:
    station.later(station.reset(f"{asked['type']}Reset"))
    return status(True)


def _reset_2(station: SimStation, asked: Payload) -> Payload:
    """OnIdle waits for the transactions to end (2.0.1 Part 2, B12)."""
    chosen = places(station, evse_of(asked))
    if not chosen:
        return status(False)
    waits = asked["type"] == "OnIdle" and any(place.transaction for place in chosen)
    if asked.get("evseId"):
        for place in [] if waits else chosen:
            station.later(station.stop_soon(place, "ImmediateReset"))
    elif waits:
        station.reset_when_idle = True
    else:
        station.later(station.reset("HardReset"))
    return {"status": "Scheduled" if waits else "Accepted"}


def _unlock_16(station: SimStation, asked: Payload) -> Payload:
    evse = station.evses.get(asked["connectorId"])
    if evse is None:
        return {"status": "NotSupported"}
    if evse.transaction is not None:
        station.stop(evse, "UnlockCommand")
    return {"status": "Unlocked"}


def _unlock_2(station: SimStation, asked: Payload) -> Payload:
    """While somebody charges it stays locked (2.0.1 Part 2, F05.FR.02)."""
    evse = station.evses.get(asked["evseId"])
    if evse is None or asked["connectorId"] != 1:
        return {"status": "UnknownConnector"}
    return {"status": "Unlocked" if evse.transaction is None else "OngoingAuthorizedTransaction"}


def _availability(station: SimStation, asked: Payload) -> Payload:
    operative = asked.get("type", asked.get("operationalStatus")) == "Operative"
    chosen = places(station, evse_of(asked))
    for place in chosen:
        place.operative = operative
    if not chosen:
        return status(False)
    return {"status": "Scheduled" if not operative and any(place.transaction for place in chosen) else "Accepted"}


def _trigger(station: SimStation, asked: Payload) -> Payload:
    message, chosen = asked["requestedMessage"], places(station, evse_of(asked))
    if not chosen:
        return status(False)
    match message:
        case "BootNotification":
            station.client.boot()
        case "Heartbeat":
            station.tell(message, {})
        case "StatusNotification":
            for place in chosen:
                station.later(station.tell_status(place))
        case "MeterValues":
            for place in chosen:
                station.tell(*station.words.metered(place, "Trigger"))
        case "TransactionEvent":
            if not any(place.transaction for place in chosen):
                return status(False)
            for place in chosen:
                station.update(place, "Trigger")
        case _ if message in _IDLE:
            station.tell(message, {"status": station.memory.progress.get(_IDLE[message], "Idle")})
        case _ if message in _SIGNED:
            kind = _SIGNED[message]
            station.tell("SignCertificate", {"csr": _CSR} | ({"certificateType": kind} if kind else {}))
        case _:
            return {"status": "NotImplemented"}
    return status(True)


def _transaction_status(station: SimStation, asked: Payload) -> Payload:
    waiting = len(station.queue) > 0
    if "transactionId" not in asked:
        return {"messagesInQueue": waiting}
    known = station.transaction(asked["transactionId"]) is not None
    return {"messagesInQueue": waiting, "ongoingIndicator": known}


_SAME: Table = {"ChangeAvailability": _availability, "TriggerMessage": _trigger}
V16: Table = {
    **_SAME,
    "ExtendedTriggerMessage": _trigger,
    "RemoteStartTransaction": _start_16,
    "RemoteStopTransaction": _stop,
    "Reset": _reset_16,
    "UnlockConnector": _unlock_16,
}
V201: Table = {
    **_SAME,
    "RequestStartTransaction": _start_2,
    "RequestStopTransaction": _stop,
    "Reset": _reset_2,
    "UnlockConnector": _unlock_2,
    "GetTransactionStatus": _transaction_status,
}
V21: Table = V201
