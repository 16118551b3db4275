"""One session with a clock of its own, and what goes in and out of it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from evcore.ocpp import Codec
from evcore.ocpp.session import Session

SECOND = 1_000_000_000
VERSIONS = ("1.6", "2.0.1", "2.1")
ROLES = ("csms", "station")
every_version = pytest.mark.parametrize("version", VERSIONS)
every_role = pytest.mark.parametrize("role", ROLES)


def make(version: str = "1.6", role: Any = "csms", **options: Any) -> Session:
    """Accepted before, unless said otherwise; its own message ids are m1, m2, ..."""
    ids = (f"m{n}" for n in itertools.count(1))
    return Session(Codec(version), role, **{"accepted": True, "new_id": lambda: next(ids)} | options)


def sent(session: Session) -> list[Any]:
    return [json.loads(message) for message in session.to_send()]


def feed(session: Session, message: Any, now: int = 0) -> list[Any]:
    """The events of a message: bytes as they are, anything else as JSON."""
    session.receive(message if isinstance(message, bytes) else json.dumps(message).encode(), now)
    return session.poll(now)


def own(role: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A CALL that this role makes in every version, and an answer to it."""
    if role == "csms":
        return "ClearCache", {}, {"status": "Accepted"}
    return "Heartbeat", {}, {"currentTime": "2026-11-23T18:00:00Z"}


def theirs(role: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return own("station" if role == "csms" else "csms")
