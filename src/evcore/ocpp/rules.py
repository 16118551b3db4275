"""The rules of OCPP-J's RPC as data: what versions and peers differ in, what is answered how, which CALL goes first.

`docs/ocpp-session.md` is drawn from these tables and those of `boot_gate.py`; `session.py` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from evcore.errors import FrameError
from evcore.ocpp.boot_gate import BOOT, REMOTE
from evcore.ocpp.message_ids import ID_MAX


@dataclass(frozen=True, slots=True)
class Rules:
    """What a session does where the versions differ, or the texts leave it open and the field differs.

    unreadable: error code that answers, under the id "-1", what is no CALL that could be named; None for silence.
    unknown_type: error code that answers a message type number nobody knows; None for silence. result_errors: a
    CALLRESULT that breaks its schema is answered with CALLRESULTERROR. silent_when_rejected: a rejected station answers
    nothing, instead of SecurityError. repeated: a CALL that comes again under its id gets the one answer ("answer"), or
    a CALLERROR ("refuse").
    """

    unreadable: str | None
    unknown_type: str | None
    result_errors: bool
    silent_when_rejected: bool
    repeated: Literal["answer", "refuse"] = "answer"


RULES: Mapping[str, Rules] = {
    # Says nothing of what cannot be read; unknown types are ignored (OCPP-J 1.6, 4.1.3); OCPP 1.6, 4.2.
    "1.6": Rules(unreadable=None, unknown_type=None, result_errors=False, silent_when_rejected=True),
    # 2.0.1 Part 4, 4.2.3 and 4.4; Part 2, B03.FR.08.
    "2.0.1": Rules("RpcFrameworkError", "MessageTypeNotSupported", result_errors=False, silent_when_rejected=False),
    # 2.1 Part 4, 4.2.3 and 4.4 (unknown types are ignored); Part 2, FR.06.
    "2.1": Rules("RpcFrameworkError", None, result_errors=True, silent_when_rejected=False),
}

UNREADABLE = "-1"  # the id in a CALLERROR about what had none (2.0.1 Part 4, 4.2.3)

# Why a CALL with a readable id is no frame -> the error code that answers it, in the spelling of 2.x; the rest is
# RpcFrameworkError ("content of the call is not a valid RPC request"), which 1.6 lacks: FormationViolation there.
FRAME_CODES: Mapping[str, str] = {
    "json": "FormatViolation",
    "utf8": "FormatViolation",
    "infinite": "FormatViolation",
    "payload": "FormatViolation",
    "int64": "PropertyConstraintViolation",
    "limit": "InternalError",  # our limit, not the peer's fault
}


def reply_to_broken(error: FrameError, version: str, rules: Rules) -> tuple[str, str | None]:
    """The id and the error code that answer what is no frame, and no answer; code None for silence."""
    id = error.id if error.id is not None and 1 <= len(error.id) <= ID_MAX else UNREADABLE
    if error.reason == "type":
        return id, rules.unknown_type
    if error.type is None or id == UNREADABLE:
        return UNREADABLE, rules.unreadable
    return id, FRAME_CODES.get(error.reason, "FormatViolation" if version == "1.6" else "RpcFrameworkError")


class Priority(IntEnum):
    """Whose turn it is among the CALLs that wait; first come, first served among equals."""

    BOOT = 0
    URGENT = 1
    NORMAL = 2
    BULK = 3


# A driver stands before the charger, or a fuse is at stake. Charging profiles are here too, so that a start cannot
# overtake the limit that was set before it. Reset is not: it must not overtake the settings it makes effective.
# Messages of transactions are NORMAL, as all others: they keep their order, which is what OCPP 1.6, 3.7 asks.
URGENT = frozenset().union(*REMOTE.values()) | {
    "UnlockConnector",
    "SetChargingProfile",
    "ClearChargingProfile",
    "Authorize",
}


def priority_of(action: str) -> Priority:
    """Where a CALL queues when its caller does not say."""
    if action == BOOT:
        return Priority.BOOT
    return Priority.URGENT if action in URGENT else Priority.NORMAL
