"""Files that the station fetches or uploads: update_firmware get_log. How far it is comes as events "firmware.status",
"log.status" and "diagnostics.status", with the request's number where the version has one.
"""

from __future__ import annotations

import time
from dataclasses import replace

from evcore.arguments import BadArgument
from evcore.chargers.commands.frame import Args, Asker, Payload, Refused, Table, numbered, taken, with_data
from evcore.chargers.ocpp_urls import check_url
from evcore.model import Answer, Verb, rfc3339

_DONE = ("Accepted", "AcceptedCanceled")
_TRIES = {"retries": "retries", "retryInterval": "retry_interval_s"}


def _url(at: Asker, args: Args) -> str:
    """Raises BadArgument: a station may not be sent there."""
    url: str = args["url"]
    try:
        check_url(url, at.rules.url_schemes, allow_local=at.rules.allow_local_urls)
    except ValueError as error:
        raise BadArgument(f"url: {error}") from None
    return url


def _is_signed(args: Args) -> bool:
    if ("signature" in args) != ("signing_certificate" in args):
        raise BadArgument("signing_certificate, signature: both or neither")
    return "signature" in args


def _firmware(at: Asker, args: Args) -> Payload:
    """FirmwareType, of 2.x and of the security extension of 1.6."""
    optional = taken(
        args, installDateTime="install_at", signingCertificate="signing_certificate", signature="signature"
    )
    return {"location": _url(at, args), "retrieveDateTime": _retrieve_at(args)} | optional


def _retrieve_at(args: Args) -> str:
    return str(args.get("retrieve_at") or rfc3339(time.time_ns()))


async def _update_16(at: Asker, args: Args) -> Answer:
    """UpdateFirmware; SignedUpdateFirmware with signing_certificate and signature"""
    if _is_signed(args):
        return await _update(at, args, "SignedUpdateFirmware")
    if "install_at" in args:
        raise Refused("NotSupported", "OCPP 1.6 has a time for the installation of signed firmware only")
    payload = {"location": _url(at, args), "retrieveDate": _retrieve_at(args)} | taken(args, **_TRIES)
    return await at.ask("UpdateFirmware", payload)


async def _update_2(at: Asker, args: Args) -> Answer:
    """UpdateFirmware"""
    _is_signed(args)
    return await _update(at, args, "UpdateFirmware")


async def _update(at: Asker, args: Args, action: str) -> Answer:
    request = numbered(args, "request_id")
    payload = {"requestId": request, "firmware": _firmware(at, args)} | taken(args, **_TRIES)
    return with_data(await at.ask(action, payload, ok=_DONE), requestId=request)


async def _log_16(at: Asker, args: Args) -> Answer:
    """GetLog of the security extension; GetDiagnostics where the station does not know that"""
    if args["type"] == "DataCollectorLog":
        raise Refused("NotSupported", "DataCollectorLog came with OCPP 2.1")
    answer = await _log(at, args)
    if answer.status != "NotSupported" or args["type"] != "DiagnosticsLog":
        return answer
    payload = {"location": _url(at, args)} | taken(args, startTime="from", stopTime="to", **_TRIES)
    answer = await at.ask("GetDiagnostics", payload)
    if answer.ok and not answer.data.get("fileName"):  # OCPP 1.6, 6.20
        return replace(answer, status="Rejected", ok=False, reason="the station has no diagnostics to upload")
    return answer


async def _log_2(at: Asker, args: Args) -> Answer:
    """GetLog"""
    if at.version == "2.0.1" and args["type"] == "DataCollectorLog":
        raise Refused("NotSupported", "DataCollectorLog came with OCPP 2.1")
    return await _log(at, args)


async def _log(at: Asker, args: Args) -> Answer:
    request = numbered(args, "request_id")
    log = {"remoteLocation": _url(at, args)} | taken(args, oldestTimestamp="from", latestTimestamp="to")
    payload: Payload = {"logType": args["type"], "requestId": request, "log": log} | taken(args, **_TRIES)
    return with_data(await at.ask("GetLog", payload, ok=_DONE), requestId=request)


V16: Table = {Verb.UPDATE_FIRMWARE: _update_16, Verb.GET_LOG: _log_16}
V201: Table = {Verb.UPDATE_FIRMWARE: _update_2, Verb.GET_LOG: _log_2}
V21: Table = V201
