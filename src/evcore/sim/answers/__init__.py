"""What a simulated station answers to a CSMS: a table by action for each version of OCPP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.errors import CallError
from evcore.ocpp.events import Called
from evcore.sim.answers import certificates, charging, display, files, lists, monitors, profiles, settings, tariffs
from evcore.sim.answers.frame import Handler, Payload, Table

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

__all__ = ["TABLES", "Handler", "answer"]

_SUBJECTS = (charging, profiles, settings, monitors, files, lists, certificates, display, tariffs)
TABLES: dict[str, Table] = {
    "1.6": {action: handler for subject in _SUBJECTS for action, handler in subject.V16.items()},
    "2.0.1": {action: handler for subject in _SUBJECTS for action, handler in subject.V201.items()},
    "2.1": {action: handler for subject in _SUBJECTS for action, handler in subject.V21.items()},
}


def answer(station: SimStation, called: Called) -> Payload:
    """The payload of the answer. Raises CallError NotSupported: no CSMS asks a station for this."""
    handler = TABLES[station.version].get(called.action)
    if handler is None:
        raise CallError("NotSupported", f"{called.action} is not simulated")
    try:
        return handler(station, called.payload)
    except ValueError as error:  # a time that is none
        raise CallError("PropertyConstraintViolation", str(error)[:255]) from error
