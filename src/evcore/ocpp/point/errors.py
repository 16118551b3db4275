"""The errors of the `ocpp` package from ours and back, for code that catches and raises those."""

from __future__ import annotations

from typing import Any

from ocpp.exceptions import OCPPError, UnknownCallErrorCodeError

from evcore.errors import CallError, FrameError, PayloadError
from evcore.ocpp.violations import spell


class RpcFrameworkError(OCPPError):  # type: ignore[misc]
    """`ocpp` lacks it (2.0.1 Part 4, 4.3)."""

    code = "RpcFrameworkError"
    default_description = "The content of the CALL is not a valid RPC request"


class MessageTypeNotSupportedError(OCPPError):  # type: ignore[misc]
    """`ocpp` lacks it (2.0.1 Part 4, 4.3)."""

    code = "MessageTypeNotSupported"
    default_description = "A message with this message type number is not supported"


_BY_CODE: dict[str, Any] = {kind.code: kind for kind in OCPPError.__subclasses__()}


def refused_by_peer(error: CallError) -> Exception:
    """What `call(..., suppress=False)` raises for a CALLERROR: `ocpp`'s exception of that code."""
    kind = _BY_CODE.get(error.code)
    if kind is None:
        unknown: Exception = UnknownCallErrorCodeError(f"{error.code[:64]}: {error.description[:255]}")
        return unknown
    raised: Exception = kind(description=error.description, details=error.details)
    return raised


def violation(error: PayloadError | FrameError) -> Exception:
    """`ocpp`'s exception for a message that is wrong: of the code's class, in either version the one with the name of
    2.x, since that is what mobilityhouse raises.
    """
    code = spell("2.1", error.code) if isinstance(error, PayloadError) else "FormatViolation"
    raised: Exception = _BY_CODE.get(code, _BY_CODE["FormatViolation"])(details={"cause": str(error)})
    return raised


def reply_to(error: BaseException) -> tuple[str, str, dict[str, Any]]:
    """Code, description and details of the CALLERROR for what a handler raised."""
    if isinstance(error, (OCPPError, CallError)):
        details = error.details if isinstance(error.details, dict) else {"details": _text(error.details)[:200]}
        return _text(getattr(error, "code", "InternalError")), _text(error.description), details
    return "InternalError", "An unexpected error occurred.", {}


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever someone made of it, the peer gets its CALLERROR
        return ""
