"""Whose certificate a station shows. Sans-I/O.

Source: Improved security for OCPP 1.6-J, 2.7 (A00.FR.404, A00.FR.405: O is the operator, CN the station); OCPP 2.0.1
Part 2, A00.FR.404, A00.FR.405 and B01.FR.12.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a certificate that was verified. "" where a part is missing, or stands there more than once."""

    common_name: str
    organisation: str


def read_subject(certificate: Mapping[str, Any]) -> Subject:
    """certificate: as `ssl.SSLSocket.getpeercert` gives it."""
    parts: dict[str, list[str]] = {}
    for attributes in certificate.get("subject", ()):
        for name, value in attributes:
            parts.setdefault(name, []).append(value)
    return Subject(_only(parts.get("commonName", [])), _only(parts.get("organizationName", [])))


def _only(values: list[str]) -> str:
    return values[0] if len(values) == 1 else ""


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """Which certificate belongs to which station.

    names: identity -> the CN of its certificate, where that is not the identity itself (a serial number, say).
    organisation: what O must be, "" for anything. accepts: (identity, subject) -> is it the station's?, instead of
    both. boot_serial: a 2.x station whose BootNotification names another serial number than its CN is sent away
    (B01.FR.12).
    """

    names: Mapping[str, str] = field(default_factory=dict)
    organisation: str = ""
    accepts: Callable[[str, Subject], bool] | None = None
    boot_serial: bool = True

    def problem(self, identity: str, subject: Subject) -> str:
        """What is wrong with a station's certificate, "" where it is its own."""
        if self.accepts is not None:
            verdict = self.accepts(identity, subject)
            if inspect.isawaitable(verdict):  # it would let everybody in
                raise TypeError(f"accepts: expected a bool, got {type(verdict).__name__}")
            return "" if verdict else "certificate_of_another"
        if not subject.common_name or subject.common_name != self.names.get(identity, identity):
            return "certificate_of_another"
        if self.organisation and subject.organisation != self.organisation:
            return "certificate_of_another_operator"
        return ""
