"""What the observer tells of a GB/T 27930 session. time_ns: of the last frame that it follows from, as in `Frame`.

Values are None where the message leaves them out. Currents are the standard's: negative while the car is charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["idle", "handshake", "recognition", "configuration", "charging", "stopping", "ended", "error"]
Side = Literal["charger", "car", ""]


@dataclass(frozen=True, slots=True)
class StageChanged:
    stage: Stage
    before: Stage
    time_ns: int


@dataclass(frozen=True, slots=True)
class CarIdentified:
    """BRM. vin: "" where the car does not tell."""

    vin: str
    battery: str
    capacity_ah: float | None
    voltage_v: float | None
    maker: str
    version: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class CarLimits:
    """BCP (and BHM: only max_voltage_v)."""

    max_voltage_v: float | None
    max_current_a: float | None
    max_cell_voltage_v: float | None
    max_temperature_c: float | None
    energy_kwh: float | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class ChargerLimits:
    """CML. min_current_a: None from chargers of 2011."""

    max_voltage_v: float | None
    min_voltage_v: float | None
    max_current_a: float | None
    min_current_a: float | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class Demand:
    """BCL: what the car asks for."""

    voltage_v: float | None
    current_a: float | None
    mode: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What the car measures (BCS; BCP before charging; BSD at the end). soc: percent."""

    voltage_v: float | None
    current_a: float | None
    soc: float | None
    max_cell_voltage_v: float | None
    remaining_min: float | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class Output:
    """What the charger delivers (CCS). allowed: False while it pauses, None from chargers of 2011."""

    voltage_v: float | None
    current_a: float | None
    elapsed_min: float | None
    allowed: bool | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class Temperatures:
    """BSM, BSD: of the warmest and the coldest probe. allowed: the car lets the charger go on (BSM only)."""

    max_c: float | None
    min_c: float | None
    allowed: bool | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """Charging ends, told once a session. by: who ended it, "" where the bus fell silent.

    reason: the weightiest of `reasons`: a fault's name, "timeout" (then `reasons` are the messages that did not come),
    "fault", "manual", "target_reached", "soc_reached", "voltage_reached", "cell_voltage_reached", "silence", "unknown".
    """

    by: Side
    reason: str
    reasons: tuple[str, ...]
    time_ns: int


@dataclass(frozen=True, slots=True)
class Charged:
    """CSD: the charger's account."""

    elapsed_min: float | None
    energy_kwh: float | None
    charger_number: int | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class Timeouts:
    """CEM, BEM: the messages that `by` waited for in vain; told when they change."""

    by: Side
    messages: tuple[str, ...]
    time_ns: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A state of BSM, BST or CST that became a fault, or is none any more. name: of the field, with "_low" for low."""

    by: Side
    name: str
    active: bool
    time_ns: int


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that somebody broke. kind: length, range, order, direction, transfer, timeout, unknown.

    message: its name, or its PGN in hexadecimal."""

    kind: str
    message: str
    detail: str
    time_ns: int


Event = (
    StageChanged
    | CarIdentified
    | CarLimits
    | ChargerLimits
    | Demand
    | Measured
    | Output
    | Temperatures
    | Stopped
    | Charged
    | Timeouts
    | Fault
    | Violation
)
