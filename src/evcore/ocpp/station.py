"""What a station says of itself, and what happens to it: the words of `StationClient`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evcore.ocpp.connection_profile import Step
from evcore.ocpp.events import Anomaly, Repaired
from evcore.ocpp.transactions import Delivered, Dropped, GivenUp


@dataclass(frozen=True, slots=True)
class StationAbout:
    """For BootNotification. serial, firmware, iccid, imsi: "" leaves them out. Long texts are cut to what a version
    allows."""

    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    iccid: str = ""
    imsi: str = ""

    def boot(self, version: str, reason: str = "PowerUp") -> dict[str, Any]:
        """The payload. reason: 2.x BootReasonEnumType."""
        if version == "1.6":
            return _filled(
                chargePointVendor=self.vendor[:20],
                chargePointModel=self.model[:20],
                chargePointSerialNumber=self.serial[:25],
                firmwareVersion=self.firmware[:50],
                iccid=self.iccid[:20],
                imsi=self.imsi[:20],
            )
        station = _filled(
            vendorName=self.vendor[:50],
            model=self.model[:20],
            serialNumber=self.serial[:25],
            firmwareVersion=self.firmware[:50],
        )
        modem = _filled(iccid=self.iccid[:20], imsi=self.imsi[:20])
        return {"reason": reason, "chargingStation": station | ({"modem": modem} if modem else {})}


def _filled(**fields: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class Connected:
    """A WebSocket is open; the station is not yet accepted."""

    url: str
    version: str


@dataclass(frozen=True, slots=True)
class Online:
    """The CSMS accepts the station on this connection, by BootNotification or because it did before."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """code, reason: see `Receiver.closed`."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class NotConnected:
    """A connection did not come about. why: "network"; "certificate", where the CSMS's is not good (it is never asked
    in clear instead); "authentication", where it closed after TLS or answered 401, 403 or 404; "refused" for any other
    answer, or none of our versions.
    """

    why: Literal["network", "certificate", "authentication", "refused"]
    detail: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The CSMS's word on BootNotification: Accepted, Pending or Rejected; "" and why in `detail` where it gave none."""

    status: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The CSMS's time moved the clock by more than 2 s."""

    step_ns: int


@dataclass(frozen=True, slots=True)
class ProfileTried:
    """What became of a new profile: CONFIRMED (keep it), FELL_BACK (keep the old one), TRY_AGAIN."""

    step: Step


@dataclass(frozen=True, slots=True)
class NotStored:
    """The store failed: what waits would not survive a loss of power. It is tried again with the next message."""

    detail: str


@dataclass(frozen=True, slots=True)
class Answered:
    """One CALL of the station and the CSMS's answer to it. message_id: "" where it was refused. answer: None where it
    was refused, error says how."""

    message_id: str
    action: str
    payload: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    error: str = ""


StationEvent = (
    Connected
    | Online
    | Disconnected
    | NotConnected
    | Registered
    | ClockStepped
    | ProfileTried
    | NotStored
    | Anomaly
    | Repaired
    | Answered
    | Delivered
    | Dropped
    | GivenUp
)
