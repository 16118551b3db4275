"""The other messages of OCPP 2.0.1 and 2.1: each becomes an event, and gets the answer of a CSMS that takes note, and
offers no service that nobody has plugged in (`Services.answers`).
"""

from __future__ import annotations

import time

from evcore.chargers.ocpp_dialect import Dialect, Notice, Payload
from evcore.errors import CallError
from evcore.model import rfc3339
from evcore.ocpp.events import Called

_DAY_NS = 86_400_000_000_000


def _accepted(dialect: Dialect, called: Called) -> Payload:
    return {"status": "Accepted"}


def _no_profile(dialect: Dialect, called: Called) -> Payload:
    """No schedule follows (2.0.1 Part 2, K15.FR.04; 2.1 Part 2, NotifyEVChargingNeedsStatusEnumType)."""
    return {"status": "NoChargingProfile" if dialect.peer.version == "2.1" else "Rejected"}


def _no_contract(dialect: Dialect, called: Called) -> Payload:
    """exiResponse is required, and there is none (M01)."""
    return {"status": "Failed", "exiResponse": "", "statusInfo": {"reasonCode": "UnsupportedRequest"}}


def _failed(dialect: Dialect, called: Called) -> Payload:
    """No OCSP responder is asked here (M06)."""
    return {"status": "Failed", "statusInfo": {"reasonCode": "UnsupportedRequest"}}


def _chains_unknown(dialect: Dialect, called: Called) -> Payload:
    """Failed for each, to be asked again in a day (2.1 Part 2, M06)."""
    tomorrow = rfc3339(time.time_ns() + _DAY_NS)
    return {
        "certificateStatus": [
            {
                "certificateHashData": asked["certificateHashData"],
                "source": asked["source"],
                "status": "Failed",
                "nextUpdate": tomorrow,
            }
            for asked in called.payload["certificateStatusRequests"]
        ]
    }


def _rejected(dialect: Dialect, called: Called) -> Payload:
    """No dynamic profile was ever set from here."""
    return {"status": "Rejected"}


def _not_offered(dialect: Dialect, called: Called) -> Payload:
    """Neither Accepted nor Rejected would be true."""
    raise CallError("NotSupported", f"{called.action} is not offered here")


NOTICES = {
    "ClearedChargingLimit": Notice("charging.limit_cleared", "chargingLimitSource"),
    "FirmwareStatusNotification": Notice("firmware.status"),
    "Get15118EVCertificate": Notice("certificate.contract", "action", _no_contract),
    "GetCertificateStatus": Notice("certificate.status", "", _failed),
    "LogStatusNotification": Notice("log.status"),
    "NotifyChargingLimit": Notice("charging.limit", ""),
    "NotifyCustomerInformation": Notice("customer.information", ""),
    "NotifyDisplayMessages": Notice("display.messages", ""),
    "NotifyEVChargingNeeds": Notice("charging.needs", "", _no_profile),
    "NotifyEVChargingSchedule": Notice("charging.schedule", "", _accepted),
    "PublishFirmwareStatusNotification": Notice("firmware.published"),
    "ReportChargingProfiles": Notice("charging.profiles", ""),
    "ReservationStatusUpdate": Notice("reservation.status", "reservationUpdateStatus"),
    # 2.1
    "BatterySwap": Notice("battery.swap", "eventType"),
    "ClosePeriodicEventStream": Notice("periodic_event.closed", ""),
    "GetCertificateChainStatus": Notice("certificate.status", "", _chains_unknown),
    "NotifyDERAlarm": Notice("der.alarm", "gridEventFault", warns=True),
    "NotifyDERStartStop": Notice("der.started_stopped", "controlId"),
    "NotifyPriorityCharging": Notice("charging.priority", ""),
    "NotifySettlement": Notice("payment.settlement"),
    "OpenPeriodicEventStream": Notice("periodic_event.opened", "", _accepted),
    "PullDynamicScheduleUpdate": Notice("charging.pull_schedule", "", _rejected),
    "ReportDERControl": Notice("der.control", ""),
    "VatNumberValidation": Notice("vat.validation", "", _not_offered),
}
