"""What a simulated station keeps of what the CSMS tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from evcore.sim.charging_profiles import KeptProfile

Payload = dict[str, Any]


@dataclass(slots=True)
class Setting:
    """A key of 1.6 or a variable of 2.x. kind: DataEnumType. unit: of a number."""

    value: str
    writable: bool = True
    kind: str = "string"
    unit: str = ""

    def takes(self, value: str) -> bool:
        return {"integer": value.isdecimal(), "boolean": value in ("true", "false")}.get(self.kind, True)


@dataclass(slots=True)
class Reservation:
    """expires: seconds since 1970."""

    id: int
    evse: int
    token: str
    expires: float


@dataclass(slots=True)
class SimMemory:
    """settings: by key, "Component.Variable" in 2.x. tokens: the local list, version 0: none was sent. monitors,
    messages, tariffs: as they came. certificates: hash data with its `type`. costs: by transaction. progress: of what
    is told by status notifications, by subject, while it goes on."""

    settings: dict[str, Setting] = field(default_factory=dict)
    profiles: dict[int, KeptProfile] = field(default_factory=dict)
    reservations: dict[int, Reservation] = field(default_factory=dict)
    tokens: dict[str, Payload] = field(default_factory=dict)
    list_version: int = 0
    monitors: dict[int, Payload] = field(default_factory=dict)
    monitoring_level: int = 9
    monitoring_base: str = "All"
    certificates: list[tuple[str, Payload]] = field(default_factory=list)
    messages: dict[int, Payload] = field(default_factory=dict)
    tariffs: dict[tuple[int, str], Payload] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    networks: dict[int, Payload] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)
    progress: dict[str, str] = field(default_factory=dict)
