"""The car of a GB/T 27930-2015 session, sans-I/O: what it says, when, and what it answers."""

from __future__ import annotations

from evcore.can.gbt27930 import CAR, CHARGER
from evcore.sim.gbt_battery import Battery
from evcore.sim.gbt_sides import MS, SECOND, Side, Values, states


class Car(Side):
    """vin: 17 characters."""

    def __init__(self, battery: Battery, *, vin: str) -> None:
        super().__init__(CAR, CHARGER)
        self._battery, self._vin = battery, vin

    stop_message = "BST"

    def stopping(self, values: Values, now: int) -> None:
        self.every("BST", lambda: values, now)
        self.watch("CST", 5 * SECOND, now)

    def heard(self, name: str, values: Values, now: int) -> None:
        if name == "CHM" and self.stage == "idle":
            self.stage = "handshake"
            self.every("BHM", lambda: {"max_voltage_v": self._battery.max_voltage_v}, now)
            self.watch("CRM", 30 * SECOND, now)
        elif name == "CRM" and values.get("recognised") == "no" and self.stage in ("idle", "handshake"):
            self.stage = "recognition"
            self.only()
            self.every("BRM", self._identity, now, length=49)
            self.watch("CRM", 5 * SECOND, now)
        elif name == "CRM" and values.get("recognised") == "yes" and self.stage == "recognition":
            self.stage = "configuration"
            self.only()
            self._watched.clear()
            self.every("BCP", self._parameters, now)
            self.watch("CML", 5 * SECOND, now)
        elif name == "CML" and self.stage == "configuration":
            self.stage = "preparing"
            self.only()
            self._watched.clear()
            self.watch("CRO", 60 * SECOND, now)
            self.every("BRO", lambda: {"ready": "no"}, now)
            self.after(500 * MS, now, lambda then: self.every("BRO", lambda: {"ready": "yes"}, then))
        elif name == "CRO" and values.get("ready") == "yes" and self.stage == "preparing":
            self._charge(now)
        elif name == "CST":
            self._watched.pop("CST", None)
            self.stop(now, {"charger_stopped": "yes"}, "the charger stopped")
            if self.stage == "stopping":
                self.stage = "stopped"
                self.after(200 * MS, now, self._conclude)
        elif name == "CSD" and self.stage == "ended":
            self.stage = "counted"
            self.after(SECOND, now, self.end)
        elif name == "CEM":
            self.reason = self.reason or "the charger gave up"
            self.end(now)

    def missed(self, name: str, now: int) -> None:
        if name == "CRM":
            name = "CRM(00)" if self.stage == "handshake" else "CRM(AA)"
        self.give_up("BEM", "CTS, CML" if name == "CML" else name, now)

    def _charge(self, now: int) -> None:
        self.stage = "charging"
        self.only()
        self._watched.clear()
        if self._wanted is not None:
            self.stop(now, *self._wanted)
            return
        self.every("BCL", self._demand, now)
        self.every("BCS", self._measured, now)
        self.every("BSM", self._state, now)
        self.every("BMT", lambda: {"temperatures_c": [round(self._battery.temperature_c)] * 8}, now)
        self.watch("CCS", 5 * SECOND, now)
        self.after(SECOND, now, lambda then: self.watch("CCS", SECOND, then) if self.stage == "charging" else None)

    def _conclude(self, now: int) -> None:
        self.stage = "ended"
        self.only()
        self.every("BSD", self._summary, now)
        self.watch("CSD", 10 * SECOND, now)

    def _identity(self) -> Values:
        battery = self._battery
        return {
            "version": "1.1",
            "battery": "LFP",
            "capacity_ah": battery.capacity_kwh * 1000 / battery.full_voltage_v,
            "voltage_v": battery.full_voltage_v,
            "maker": "EVCR",
            "vin": self._vin,
        }

    def _parameters(self) -> Values:
        battery = self._battery
        return {
            "max_cell_voltage_v": battery.max_voltage_v / battery.cells,
            "max_current_a": -battery.max_current_a,
            "energy_kwh": battery.capacity_kwh,
            "max_voltage_v": battery.max_voltage_v,
            "max_temperature_c": 60,
            "soc": battery.soc,
            "voltage_v": battery.open_voltage_v,
        }

    def _demand(self) -> Values:
        volts, amps, mode = self._battery.demand()
        return {"voltage_v": volts, "current_a": -amps, "mode": mode}

    def _measured(self) -> Values:
        battery = self._battery
        return {
            "voltage_v": battery.voltage_v,
            "current_a": -battery.current_a,
            "max_cell_voltage_v": battery.cell_voltage_v,
            "max_cell_group": 1,
            "soc": int(battery.soc),
            "remaining_min": battery.minutes_left(),
        }

    def _state(self) -> Values:
        warm = round(self._battery.temperature_c)
        places = {"max_cell_number": 1, "max_temperature_probe": 1, "min_temperature_probe": 2}
        heat = {"max_temperature_c": warm, "min_temperature_c": warm - 1}
        return states("BSM", {**places, **heat, "allowed": "yes"})

    def _summary(self) -> Values:
        battery, warm = self._battery, round(self._battery.temperature_c)
        cell = battery.cell_voltage_v
        return {
            "soc": int(battery.soc),
            "min_cell_voltage_v": cell,
            "max_cell_voltage_v": cell,
            "min_temperature_c": warm - 1,
            "max_temperature_c": warm,
        }
