"""One EVSE of a simulated station: the car on it, its power, its energy register. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SimTransaction:
    """A charging order. id: OCPP's; None until the CSMS gave one (1.6). number: the station's own. token_type: of 2.x,
    "" for what the token looks like. began_s: since 1970."""

    number: int
    token: str
    id: str | None = None
    seq_no: int = 0
    token_type: str = ""
    remote_start_id: int | None = None
    began_s: float = 0.0
    meter_start_wh: float = 0.0
    stopped: str | None = None
    charging_state: str = "Charging"

    @property
    def name(self) -> str:
        """The station's own name of it."""
        return str(self.number)


@dataclass(slots=True)
class SimEvse:
    """finishing: the car is still there after its transaction. limits_w: by charging profile purpose. soc: percent,
    None for AC. energy_wh: the register, it only grows.

    supply: the power and what has been delivered since it was last asked (W, Wh), where something else than this model
    decides about them, a car on a CAN bus for example; asked while a transaction runs.
    """

    id: int
    max_power_w: float
    voltage: float
    phases: int
    dc: bool = False
    capacity_wh: float = 60_000.0
    plugged: bool = False
    finishing: bool = False
    operative: bool = True
    fault: str = ""
    reserved: bool = False
    power_w: float = 0.0
    energy_wh: float = 0.0
    soc: float | None = None
    transaction: SimTransaction | None = None
    limits_w: dict[str, float] = field(default_factory=dict)
    supply: Callable[[], tuple[float, float]] | None = None

    @property
    def status(self) -> str:
        """1.6's word (OCPP 1.6, 7.7)."""
        if self.fault:
            return "Faulted"
        if self.transaction is not None:
            return "Charging" if self.allowed_w > 0 else "SuspendedEVSE"
        if not self.operative:
            return "Unavailable"
        if self.reserved and not self.plugged:
            return "Reserved"
        return "Available" if not self.plugged else "Finishing" if self.finishing else "Preparing"

    @property
    def allowed_w(self) -> float:
        """What the limits leave: a limit of the transaction replaces the default one (OCPP 1.6, 3.13.1)."""
        return self.least(self.limits_w)

    def least(self, limits_w: dict[str, float]) -> float:
        """Of limits by purpose, and of what it can deliver."""
        replaced = "TxDefaultProfile" if "TxProfile" in limits_w else ""
        return min([self.max_power_w, *(limit for purpose, limit in limits_w.items() if purpose != replaced)])

    @property
    def current_a(self) -> float:
        """Per phase."""
        return self.power_w / (self.voltage * self.phases)

    def watts(self, limit: float, unit: str) -> float:
        return limit if unit == "W" else limit * self.voltage * self.phases

    def step(self, seconds: float) -> float:
        """Let time pass; the energy delivered in it, Wh. Full power is reached within 5 s."""
        if self.supply is not None:
            return self._take(*(self.supply() if self.transaction is not None and not self.fault else (0.0, 0.0)))
        target = 0.0
        if self.transaction is not None and not self.fault:
            target = self.allowed_w
            if self.soc is not None and self.soc > 80:  # batteries take less when nearly full
                target *= max((100 - self.soc) / 20, 0.0)
        rise = self.max_power_w / 5 * seconds
        self.power_w = min(target, self.power_w + rise) if target > self.power_w else target
        energy = self.power_w * seconds / 3600
        if self.soc is not None:
            self.soc = min(100.0, self.soc + 100 * energy / self.capacity_wh)
        return self._take(self.power_w, energy)

    def _take(self, power_w: float, energy_wh: float) -> float:
        self.power_w = power_w
        self.energy_wh += energy_wh
        return energy_wh
