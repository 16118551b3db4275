"""Logs that are uploaded and firmware that is installed: the answer, then how far it is. No file is moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evcore.sim.answers.frame import Payload, Table

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

_STEP_S = 2.0  # simulated, between two notifications
_UPLOAD = ("Uploading", "Uploaded")
_PUBLISH = ("Downloading", "Downloaded", "ChecksumVerified", "Published")


def _begin(
    station: SimStation, subject: str, action: str, steps: Sequence[str], more: Payload | None = None
) -> Payload:
    """status: AcceptedCanceled where it takes the place of one that goes on (2.0.1 Part 2, L01.FR.24, N01.FR.12)."""
    busy = subject in station.memory.progress
    station.begin(subject, _go(station, subject, action, steps, more or {}))
    return {"status": "AcceptedCanceled" if busy else "Accepted"}


async def _go(station: SimStation, subject: str, action: str, steps: Sequence[str], more: Payload) -> None:
    for step in steps:
        station.memory.progress[subject] = step
        where = {"location": ["http://192.0.2.1/firmware.bin"]} if step == "Published" else {}
        station.tell(action, {"status": step} | more | where)
        await station.pause(_STEP_S)
    station.memory.progress.pop(subject, None)


def _log(station: SimStation, asked: Payload) -> Payload:
    more = {"requestId": asked["requestId"]}
    answer = _begin(station, "log", "LogStatusNotification", _UPLOAD, more)
    return answer | {"filename": f"{station.id}-{asked['logType']}-{asked['requestId']}.log"[:255]}


def _diagnostics(station: SimStation, asked: Payload) -> Payload:
    """GetDiagnostics of 1.6; its answer has no status."""
    _begin(station, "diagnostics", "DiagnosticsStatusNotification", _UPLOAD)
    return {"fileName": f"{station.id}-diagnostics.log"[:255]}


def _firmware_16(station: SimStation, asked: Payload) -> Payload:
    """UpdateFirmware of 1.6: its answer is empty."""
    steps = ("Downloading", "Downloaded", "Installing", "Installed")
    _begin(station, "firmware", "FirmwareStatusNotification", steps)
    return {}


def _firmware(station: SimStation, asked: Payload) -> Payload:
    """A signed one only with a certificate; nothing is verified but that it looks like one (2.0.1 Part 2, L01)."""
    firmware = asked["firmware"]
    signed = "signingCertificate" in firmware
    if signed and "-----BEGIN CERTIFICATE-----" not in firmware["signingCertificate"]:
        return {"status": "InvalidCertificate"}
    checked = ("SignatureVerified",) if signed else ()
    steps = ("Downloading", "Downloaded", *checked, "Installing", "Installed")
    action = "SignedFirmwareStatusNotification" if station.version == "1.6" else "FirmwareStatusNotification"
    return _begin(station, "firmware", action, steps, {"requestId": asked["requestId"]})


def _publish(station: SimStation, asked: Payload) -> Payload:
    """PublishFirmware (L03): for the stations around it."""
    station.memory.published.add(asked["checksum"])
    more = {"requestId": asked["requestId"]}
    _begin(station, "published", "PublishFirmwareStatusNotification", _PUBLISH, more)
    return {"status": "Accepted"}


def _unpublish(station: SimStation, asked: Payload) -> Payload:
    """L04."""
    if asked["checksum"] not in station.memory.published:
        return {"status": "NoFirmware"}
    if "published" in station.memory.progress:
        return {"status": "DownloadOngoing"}
    station.memory.published.discard(asked["checksum"])
    return {"status": "Unpublished"}


V16: Table = {
    "GetDiagnostics": _diagnostics,
    "GetLog": _log,
    "UpdateFirmware": _firmware_16,
    "SignedUpdateFirmware": _firmware,
}
V201: Table = {
    "GetLog": _log,
    "UpdateFirmware": _firmware,
    "PublishFirmware": _publish,
    "UnpublishFirmware": _unpublish,
}
V21: Table = V201
