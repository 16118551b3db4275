"""The stages of a session as a table: (stage, message) -> stage. What is not in it is out of order.

Source: GB/T 27930-2015, 8 and annex A; stragglers of the stage before are seen on every real bus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from evcore.can.gbt27930.events import Stage

STAGES: tuple[Stage, ...] = get_args(Stage)

# CRM is two messages: not recognised (00) and recognised (AA).
STAGE_OF: Mapping[str, Stage] = {
    "CHM": "handshake",
    "BHM": "handshake",
    "CRM(00)": "recognition",
    "CRM(AA)": "recognition",
    "BRM": "recognition",
    "BCP": "configuration",
    "CTS": "configuration",
    "CML": "configuration",
    "BRO": "configuration",
    "CRO": "configuration",
    "BCL": "charging",
    "BCS": "charging",
    "CCS": "charging",
    "BSM": "charging",
    "BMV": "charging",
    "BMT": "charging",
    "BSP": "charging",
    "BST": "stopping",
    "CST": "stopping",
    "BSD": "ended",
    "CSD": "ended",
    "BEM": "error",
    "CEM": "error",
}

_ALL = set(STAGE_OF)


def _of(*stages: Stage) -> set[str]:
    return {message for message, stage in STAGE_OF.items() if stage in stages}


# What may be heard in a stage: first what stays in it (its own, and stragglers), then what leads on.
_STAYS: Mapping[Stage, set[str]] = {
    "idle": set(),
    "handshake": _of("handshake"),
    "recognition": _of("recognition") | {"BHM"},
    "configuration": _of("configuration") | {"BRM", "CRM(AA)"},
    "charging": _of("charging", "configuration"),
    "stopping": _of("stopping", "charging", "configuration"),
    "ended": _of("ended", "stopping", "charging"),
    "error": _of("error", "charging", "stopping"),
}
_LEADS_ON: Mapping[Stage, set[str]] = {
    "idle": _ALL,  # whoever plugs in late hears any of them first
    "handshake": _of("recognition", "error"),
    "recognition": _of("configuration", "error"),
    "configuration": _of("charging", "stopping", "error"),
    "charging": _of("stopping", "error"),
    "stopping": _of("ended", "error"),
    "ended": _of("error"),
    "error": _of("ended"),
}
# A session that begins again: CHM after a replug, CRM(00) after an error (10.1: up to three times).
_AGAIN = {"CHM", "CRM(00)"}


def _table() -> dict[tuple[Stage, str], Stage]:
    table: dict[tuple[Stage, str], Stage] = {}
    for stage in STAGES:
        for message in _ALL:
            if message in _STAYS[stage]:
                table[stage, message] = stage
            elif message in _LEADS_ON[stage] or message in _AGAIN:
                table[stage, message] = STAGE_OF[message]
    return table


TRANSITIONS: Mapping[tuple[Stage, str], Stage] = _table()


def begins_again(stage: Stage, message: str) -> bool:
    """A new session starts with this message."""
    if stage == "idle":
        return True
    return message in _AGAIN and STAGES.index(STAGE_OF[message]) < STAGES.index(stage)


def goes_on_from(stage: Stage, message: str) -> Stage:
    """Where a message out of order leaves the observer: in the later of the two stages."""
    heard = STAGE_OF[message]
    return heard if STAGES.index(heard) > STAGES.index(stage) else stage
