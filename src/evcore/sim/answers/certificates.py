"""Certificates: kept, listed by their hashes, deleted. None is used for anything."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from evcore.errors import MessageError
from evcore.sim.answers.frame import Payload, Table, status
from evcore.x509 import Issued, issued_of

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

_MOST = 16  # that it has room for


def _install(station: SimStation, asked: Payload) -> Payload:
    """What cannot be read is Rejected, what there is no room for has Failed (2.0.1 Part 2, M05)."""
    try:
        hashes = _hashes(issued_of(asked["certificate"].encode()))
    except MessageError:
        return status(False)
    kept, entry = station.memory.certificates, (asked["certificateType"], hashes)
    if entry not in kept:
        if len(kept) >= _MOST:
            return {"status": "Failed"}
        kept.append(entry)
    return status(True)


def _hashes(root: Issued) -> Payload:
    """CertificateHashDataType of a root, which is its own issuer."""
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hashlib.sha256(root.issuer).hexdigest(),
        "issuerKeyHash": hashlib.sha256(root.key).hexdigest(),
        "serialNumber": f"{root.serial:x}",
    }


def _delete(station: SimStation, asked: Payload) -> Payload:
    wanted, kept = asked["certificateHashData"], station.memory.certificates
    found = [entry for entry in kept if all(entry[1][name] == wanted[name].lower() for name in _BY if name in wanted)]
    found = [entry for entry in found if wanted["hashAlgorithm"] == "SHA256"]
    for entry in found:
        kept.remove(entry)
    return status(bool(found), "NotFound")


_BY = ("issuerNameHash", "issuerKeyHash", "serialNumber")


def _listed_16(station: SimStation, asked: Payload) -> Payload:
    found = [hashes for kind, hashes in station.memory.certificates if kind == asked["certificateType"]]
    return status(True) | {"certificateHashData": found} if found else {"status": "NotFound"}


def _listed_2(station: SimStation, asked: Payload) -> Payload:
    wanted = asked.get("certificateType")
    found = [
        {"certificateType": kind, "certificateHashData": hashes}
        for kind, hashes in station.memory.certificates
        if wanted is None or kind in wanted
    ]
    return status(True) | {"certificateHashDataChain": found} if found else {"status": "NotFound"}


def _signed(station: SimStation, asked: Payload) -> Payload:
    """CertificateSigned: the first of the chain is the station's own (A02.FR.06)."""
    try:
        issued_of(asked["certificateChain"].encode())
    except MessageError:
        return status(False)
    return status(True)


_SAME: Table = {"InstallCertificate": _install, "DeleteCertificate": _delete, "CertificateSigned": _signed}
V16: Table = {**_SAME, "GetInstalledCertificateIds": _listed_16}
V201: Table = {**_SAME, "GetInstalledCertificateIds": _listed_2}
V21: Table = V201
