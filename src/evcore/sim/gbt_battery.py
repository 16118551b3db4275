"""A battery that is charged with constant current and then with constant voltage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Battery:
    """capacity_kwh, soc (percent), limits in volts and amperes (positive while charging).

    The open-circuit voltage rises linearly with the charge; what charging adds to it, the resistance decides.
    """

    capacity_kwh: float = 60.0
    soc: float = 20.0
    target_soc: float = 100.0
    max_voltage_v: float = 420.0
    empty_voltage_v: float = 330.0
    full_voltage_v: float = 415.0
    max_current_a: float = 150.0
    min_current_a: float = 2.0
    resistance_ohm: float = 0.12
    cells: int = 104
    temperature_c: float = 25.0
    current_a: float = 0.0

    @property
    def open_voltage_v(self) -> float:
        return self.empty_voltage_v + (self.full_voltage_v - self.empty_voltage_v) * self.soc / 100

    @property
    def voltage_v(self) -> float:
        """At the terminals, with the current that flows now."""
        return self.open_voltage_v + self.current_a * self.resistance_ohm

    @property
    def cell_voltage_v(self) -> float:
        return self.voltage_v / self.cells

    @property
    def full(self) -> bool:
        """Charged to the target, or no current left that would be worth it."""
        return self.soc >= self.target_soc or self.demand()[1] < self.min_current_a

    def demand(self) -> tuple[float, float, str]:
        """(V, A, mode) that the car asks for."""
        room = (self.max_voltage_v - self.open_voltage_v) / self.resistance_ohm
        if room >= self.max_current_a:
            return self.max_voltage_v, self.max_current_a, "constant current"
        return self.max_voltage_v, max(room, 0.0), "constant voltage"

    def minutes_left(self) -> int:
        """To the target with the current that flows now; at most 600, the most that GB/T 27930 can say."""
        power = self.voltage_v * self.current_a
        if power <= 0:
            return 600
        return min(600, round((self.target_soc - self.soc) / 100 * self.capacity_kwh * 1000 / power * 60))

    def charge(self, current_a: float, seconds: float) -> float:
        """Let the current flow; the energy in Wh that went in at the terminals."""
        self.current_a = current_a
        energy = self.voltage_v * current_a * seconds / 3600
        self.soc = min(100.0, self.soc + energy / (self.capacity_kwh * 1000) * 100)
        warm = 25.0 + 15.0 * (current_a / self.max_current_a) ** 2
        self.temperature_c += (warm - self.temperature_c) * min(1.0, seconds / 600)
        return energy
