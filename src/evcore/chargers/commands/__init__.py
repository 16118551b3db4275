"""The model's commands in the words of each OCPP version; the answer is the station's own. docs/commands.md."""

from __future__ import annotations

from evcore.chargers.commands import (
    certificates,
    charging,
    configuration,
    display,
    files,
    lists,
    monitoring,
    profiles,
    reports,
)
from evcore.chargers.commands.frame import Commands, Table

__all__ = ["TABLES", "Commands"]

_SUBJECTS = (charging, profiles, configuration, reports, monitoring, files, lists, certificates, display)
TABLES: dict[str, Table] = {
    "1.6": {verb: run for subject in _SUBJECTS for verb, run in subject.V16.items()},
    "2.0.1": {verb: run for subject in _SUBJECTS for verb, run in subject.V201.items()},
    "2.1": {verb: run for subject in _SUBJECTS for verb, run in subject.V21.items()},
}
