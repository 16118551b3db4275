"""Certificates in the station: install_certificate delete_certificate get_installed_certificates certificate_signed.

None is installed, removed or signed without TLS, unless `StationRules.certificates_over_plain` allows it.
"""

from __future__ import annotations

from dataclasses import replace

from evcore.chargers.commands.frame import Args, Asker, Payload, Refused, Table, taken
from evcore.model import Answer, Verb

_ROOTS_16 = {"CSMSRootCertificate": "CentralSystemRootCertificate", "ManufacturerRootCertificate": ""}


def _needs_tls(at: Asker) -> None:
    """Raises Refused."""
    if not at.rules.lets_certificates(at.peer):
        raise Refused(
            "NotSupported", "not without TLS (security profile 2 or 3), unless certificates_over_plain allows it"
        )


def _root_16(kind: str) -> str:
    if kind not in _ROOTS_16:
        raise Refused("NotSupported", f"OCPP 1.6 has no certificates of type {kind}")
    return _ROOTS_16[kind] or kind


def _check_21(at: Asker, kind: str) -> None:
    if at.version == "2.0.1" and kind in ("OEMRootCertificate", "V2G20Certificate"):
        raise Refused("NotSupported", f"{kind} came with OCPP 2.1")


async def _install_16(at: Asker, args: Args) -> Answer:
    """InstallCertificate (security extension)"""
    _needs_tls(at)
    payload = {"certificateType": _root_16(args["type"]), "certificate": args["certificate"]}
    return await at.ask("InstallCertificate", payload)


async def _install_2(at: Asker, args: Args) -> Answer:
    """InstallCertificate"""
    _needs_tls(at)
    _check_21(at, args["type"])
    payload = {"certificateType": args["type"], "certificate": args["certificate"]}
    return await at.ask("InstallCertificate", payload)


async def _delete(at: Asker, args: Args) -> Answer:
    """DeleteCertificate"""
    _needs_tls(at)
    hashes = taken(
        args,
        hashAlgorithm="hash_algorithm",
        issuerNameHash="issuer_name_hash",
        issuerKeyHash="issuer_key_hash",
        serialNumber="serial_number",
    )
    return await at.ask("DeleteCertificate", {"certificateHashData": hashes})


async def _installed_16(at: Asker, args: Args) -> Answer:
    """GetInstalledCertificateIds (security extension), once a type"""
    kinds = [_root_16(kind) for kind in args.get("types") or _ROOTS_16]
    answers = [await at.ask("GetInstalledCertificateIds", {"certificateType": kind}) for kind in kinds]
    bad = next((answer for answer in answers if answer.status not in ("Accepted", "NotFound")), None)
    if bad is not None:
        return bad
    found = [
        {"certificateType": kind, "certificateHashData": data}
        for kind, answer in zip(kinds, answers, strict=True)
        for data in answer.data.get("certificateHashData", ())
    ]
    best = next((answer for answer in answers if answer.ok), answers[0])
    return replace(best, data={"status": best.status, "certificateHashDataChain": found})


async def _installed_2(at: Asker, args: Args) -> Answer:
    """GetInstalledCertificateIds"""
    kinds = args.get("types", [])
    for kind in kinds:
        _check_21(at, kind)
    return await at.ask("GetInstalledCertificateIds", {"certificateType": kinds} if kinds else {})


async def _signed_16(at: Asker, args: Args) -> Answer:
    """CertificateSigned (security extension)"""
    _needs_tls(at)
    if args.get("type", "ChargingStationCertificate") != "ChargingStationCertificate":
        raise Refused("NotSupported", "OCPP 1.6 knows the station's own certificate only")
    return await at.ask("CertificateSigned", {"certificateChain": args["chain"]})


async def _signed_2(at: Asker, args: Args) -> Answer:
    """CertificateSigned"""
    _needs_tls(at)
    payload: Payload = {"certificateChain": args["chain"]}
    if "type" in args:
        _check_21(at, args["type"])
        payload["certificateType"] = args["type"]
    if "request_id" in args:
        if at.version == "2.0.1":
            raise Refused("NotSupported", "request_id came with OCPP 2.1")
        payload["requestId"] = args["request_id"]
    return await at.ask("CertificateSigned", payload)


V16: Table = {
    Verb.INSTALL_CERTIFICATE: _install_16,
    Verb.DELETE_CERTIFICATE: _delete,
    Verb.GET_INSTALLED_CERTIFICATES: _installed_16,
    Verb.CERTIFICATE_SIGNED: _signed_16,
}
V201: Table = {
    Verb.INSTALL_CERTIFICATE: _install_2,
    Verb.DELETE_CERTIFICATE: _delete,
    Verb.GET_INSTALLED_CERTIFICATES: _installed_2,
    Verb.CERTIFICATE_SIGNED: _signed_2,
}
V21: Table = V201
