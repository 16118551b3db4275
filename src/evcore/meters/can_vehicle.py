"""What the GB/T 27930 observer hears, in the words of the model: a Vehicle, its samples, its events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from evcore.can import gbt27930 as gbt
from evcore.can.frames import Frame
from evcore.model import Event, Item, Sample, Vehicle

_REMEMBERED = 256
_REPEAT_NS = 10_000_000_000  # one kind of violation by one message is told again after this time


def masked(vin: str) -> str:
    """Maker and last four characters: enough to tell cars at a site apart, not to look up an owner."""
    return vin[:3] + "*" * (len(vin) - 7) + vin[-4:] if len(vin) > 7 else "*" * len(vin)


class GbtVehicle:
    """Frames in, model items out. Currents are positive while the car is charged, unlike those of GB/T 27930.

    Power.Active.Import is the product of voltage and current as the car measures them; its context "Other" marks it as
    computed. show_vin: whole instead of masked.
    """

    def __init__(self, vehicle: str, *, station: str = "", evse: int = 0, show_vin: bool = False) -> None:
        self._observer = gbt.Observer()
        self._vehicle = Vehicle(vehicle, "gbt27930", "idle", station=station, evse=evse)
        self._show_vin = show_vin
        self._limits: dict[str, float] = {}
        self._charged: gbt.Charged | None = None
        self._told: dict[tuple[str, str], int] = {}
        self.violations = 0

    @property
    def state(self) -> Vehicle:
        return self._vehicle

    def receive(self, frame: Frame, now: int) -> list[Item]:
        """Take one frame; what follows from it."""
        self._observer.receive(frame, now)
        return self.poll(now)

    def poll(self, now: int) -> list[Item]:
        """What happened, in order; states before the events that they belong to."""
        items: list[Item] = []
        for event in self._observer.poll(now):
            items += self._items(event)
        return items

    def next_deadline(self) -> int | None:
        return self._observer.next_deadline()

    def _items(self, event: gbt.Event) -> list[Item]:
        if event.time_ns > self._vehicle.last_seen_ns:
            self._vehicle = replace(self._vehicle, last_seen_ns=event.time_ns)
        match event:
            case gbt.StageChanged():
                return self._staged(event)
            case gbt.CarIdentified():
                vin = event.vin if self._show_vin else masked(event.vin)
                return self._changed(vin=vin, limits={"capacity_ah": event.capacity_ah})
            case gbt.CarLimits():
                return self._changed(limits=_car_limits(event))
            case gbt.ChargerLimits():
                return self._changed(limits=_charger_limits(event))
            case gbt.Measured():
                return self._measured(event)
            case gbt.Temperatures():
                return self._sample("Temperature", event.max_c, "Celsius", event.time_ns)
            case gbt.Stopped():
                data = {"by": event.by, "reason": event.reason, "reasons": list(event.reasons)}
                wrong = event.reason not in ("manual", "target_reached", "unknown") and "_reached" not in event.reason
                who = event.by or "nobody"
                return [self._event("vehicle.stopped", event.time_ns, f"{who}: {event.reason}", data, warn=wrong)]
            case gbt.Charged():
                return self._counted(event)
            case gbt.Fault():
                kind = "fault.raised" if event.active else "fault.cleared"
                data = {"code": event.name, "by": event.by}
                return [self._event(kind, event.time_ns, f"{event.by}: {event.name}", data, warn=event.active)]
            case gbt.Timeouts():
                text = f"{event.by} waited in vain for {', '.join(event.messages) or 'nothing that it names'}"
                data = {"kind": "timeout", "by": event.by, "messages": list(event.messages)}
                return [self._event("protocol.timeout", event.time_ns, text, data, warn=True)]
            case gbt.Violation():
                return self._violated(event)
            case gbt.Demand() | gbt.Output():
                return []  # what is asked for and delivered; the model's samples are what the car measures
            case _:
                assert_never(event)

    def _staged(self, event: gbt.StageChanged) -> list[Item]:
        if event.stage == "idle" or event.before in ("idle", "ended", "error"):
            self._limits, self._charged = {}, None
            self._vehicle = replace(self._vehicle, vin="", limits={})
        text = f"{event.before} to {event.stage}"
        data = {"stage": event.stage, "before": event.before}
        return [*self._changed(stage=event.stage), self._event("vehicle.stage", event.time_ns, text, data)]

    def _changed(
        self, *, stage: str | None = None, vin: str | None = None, limits: dict[str, float | None] | None = None
    ) -> list[Item]:
        """The vehicle's state, where anything of it is new."""
        self._limits |= {name: value for name, value in (limits or {}).items() if value is not None}
        before = self._vehicle
        self._vehicle = replace(
            before,
            stage=before.stage if stage is None else stage,
            vin=before.vin if vin is None else vin,
            limits=dict(self._limits),
        )
        return [] if replace(self._vehicle, last_seen_ns=before.last_seen_ns) == before else [self._vehicle]

    def _measured(self, event: gbt.Measured) -> list[Item]:
        time_ns = event.time_ns
        current = None if event.current_a is None else 0.0 - event.current_a  # and never -0.0
        items = self._sample("SoC", event.soc, "Percent", time_ns)
        items += self._sample("Voltage", event.voltage_v, "V", time_ns)
        items += self._sample("Current.Import", current, "A", time_ns)
        if current is not None and event.voltage_v is not None:
            power = round(event.voltage_v * current, 3)
            items += self._sample("Power.Active.Import", power, "W", time_ns, context="Other")
        return items

    def _counted(self, event: gbt.Charged) -> list[Item]:
        account = replace(event, time_ns=0)
        if account == self._charged:  # repeated until the other side has heard it
            return []
        self._charged = account
        data = {"elapsed_min": event.elapsed_min, "energy_kwh": event.energy_kwh, "charger": event.charger_number}
        return [self._event("vehicle.charged", event.time_ns, f"{event.energy_kwh} kWh", data)]

    def _violated(self, event: gbt.Violation) -> list[Item]:
        self.violations += 1
        key = (event.kind, event.message)
        if event.time_ns - self._told.get(key, -_REPEAT_NS) < _REPEAT_NS:
            return []
        if len(self._told) >= _REMEMBERED:
            self._told.pop(next(iter(self._told)))
        self._told[key] = event.time_ns
        data = {"kind": event.kind, "message": event.message, "detail": event.detail}
        return [self._event("protocol.violation", event.time_ns, f"{event.message}: {event.detail}", data, warn=True)]

    def _sample(
        self, measurand: str, value: float | None, unit: str, time_ns: int, context: str = "Sample.Periodic"
    ) -> list[Item]:
        if value is None:
            return []
        id, evse = self._vehicle.id, self._vehicle.evse
        return [Sample(id, measurand, float(value), unit, time_ns, evse, context=context, location="EV")]

    def _event(self, kind: str, time_ns: int, text: str, data: dict[str, Any], *, warn: bool = False) -> Event:
        vehicle = self._vehicle
        data = {**data, "station": vehicle.station} if vehicle.station else data
        severity = "warning" if warn else "info"
        return Event(vehicle.id, kind, time_ns, vehicle.evse, severity=severity, text=text, data=data)  # type: ignore[arg-type]


def _car_limits(event: gbt.CarLimits) -> dict[str, float | None]:
    return {
        "max_voltage_v": event.max_voltage_v,
        "max_current_a": _positive(event.max_current_a),
        "max_cell_voltage_v": event.max_cell_voltage_v,
        "max_temperature_c": event.max_temperature_c,
        "capacity_kwh": event.energy_kwh,
    }


def _charger_limits(event: gbt.ChargerLimits) -> dict[str, float | None]:
    return {
        "charger_max_voltage_v": event.max_voltage_v,
        "charger_min_voltage_v": event.min_voltage_v,
        "charger_max_current_a": _positive(event.max_current_a),
        "charger_min_current_a": _positive(event.min_current_a),
    }


def _positive(amps: float | None) -> float | None:
    return None if amps is None else 0.0 - amps
