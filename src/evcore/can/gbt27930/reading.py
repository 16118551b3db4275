"""From the values of one message to what they mean: events, faults, the reason of a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from evcore.can.gbt27930 import events
from evcore.can.gbt27930.codec import Value
from evcore.can.gbt27930.events import Event, Side
from evcore.can.gbt27930.messages import FAULT, LEVEL, Layout

Values = Mapping[str, Any]

# In the order of weight: the first of these that a stop message holds is its reason.
_STOP_WORDS = {
    "charger": ("fault", "manual", "target_reached"),
    "car": ("cell_voltage_reached", "voltage_reached", "soc_reached"),
}
_ANSWERS: dict[str, tuple[str, Side]] = {"charger": ("car_stopped", "car"), "car": ("charger_stopped", "charger")}
_HEAVIEST = ("emergency_stop", "insulation")


def faults(layout: Layout, values: Values) -> Iterator[tuple[str, bool]]:
    """The fault states of a message that are known: (name, is there)."""
    for field in layout.fields:
        value = values.get(field.name)
        if field.words is FAULT and value in ("normal", "fault"):
            yield field.name, value == "fault"
        elif field.words is LEVEL and value in ("normal", "high", "low"):
            yield f"{field.name}_high", value == "high"
            yield f"{field.name}_low", value == "low"


def stop_reasons(by: Side, values: Values) -> tuple[Side, str, tuple[str, ...]]:
    """Who stopped, the weightiest reason, and all that BST or CST gives. An answer to the other's stop has none."""
    broken = [name for name, value in values.items() if value == "fault"]
    asked = [name for name in _STOP_WORDS[by] if values.get(name) == "yes"]
    answer, other = _ANSWERS[by]
    if not broken and not asked and values.get(answer) == "yes":
        return other, "unknown", ()
    broken.sort(key=lambda name: name not in _HEAVIEST)
    reasons = (*broken, *asked)
    return by, reasons[0] if reasons else "unknown", reasons


def timed_out(values: Values) -> tuple[str, ...]:
    """The messages that CEM or BEM says did not come."""
    return tuple(name for name, value in values.items() if value == "yes")


def _identified(values: Values, time_ns: int) -> list[Event]:
    return [
        events.CarIdentified(
            vin=values.get("vin") or "",
            battery=str(values.get("battery") or ""),
            capacity_ah=values.get("capacity_ah"),
            voltage_v=values.get("voltage_v"),
            maker=values.get("maker") or "",
            version=values.get("version") or "",
            time_ns=time_ns,
        )
    ]


def _handshake(values: Values, time_ns: int) -> list[Event]:
    return [events.CarLimits(values.get("max_voltage_v"), None, None, None, None, time_ns)]


def _battery(values: Values, time_ns: int) -> list[Event]:
    return [
        events.CarLimits(
            max_voltage_v=values.get("max_voltage_v"),
            max_current_a=values.get("max_current_a"),
            max_cell_voltage_v=values.get("max_cell_voltage_v"),
            max_temperature_c=values.get("max_temperature_c"),
            energy_kwh=values.get("energy_kwh"),
            time_ns=time_ns,
        ),
        events.Measured(values.get("voltage_v"), None, values.get("soc"), None, None, time_ns),
    ]


def _limits(values: Values, time_ns: int) -> list[Event]:
    return [
        events.ChargerLimits(
            max_voltage_v=values.get("max_voltage_v"),
            min_voltage_v=values.get("min_voltage_v"),
            max_current_a=values.get("max_current_a"),
            min_current_a=values.get("min_current_a"),
            time_ns=time_ns,
        )
    ]


def _demand(values: Values, time_ns: int) -> list[Event]:
    mode = str(values.get("mode") or "")
    return [events.Demand(values.get("voltage_v"), values.get("current_a"), mode, time_ns)]


def _measured(values: Values, time_ns: int) -> list[Event]:
    return [
        events.Measured(
            voltage_v=values.get("voltage_v"),
            current_a=values.get("current_a"),
            soc=values.get("soc"),
            max_cell_voltage_v=values.get("max_cell_voltage_v"),
            remaining_min=values.get("remaining_min"),
            time_ns=time_ns,
        )
    ]


def _output(values: Values, time_ns: int) -> list[Event]:
    volts, amps = values.get("voltage_v"), values.get("current_a")
    return [events.Output(volts, amps, values.get("elapsed_min"), _yes(values), time_ns)]


def _state(values: Values, time_ns: int) -> list[Event]:
    hot, cold = values.get("max_temperature_c"), values.get("min_temperature_c")
    return [events.Temperatures(hot, cold, _yes(values), time_ns)]


def _charged(values: Values, time_ns: int) -> list[Event]:
    return [
        events.Charged(
            elapsed_min=values.get("elapsed_min"),
            energy_kwh=values.get("energy_kwh"),
            charger_number=values.get("charger_number"),
            time_ns=time_ns,
        )
    ]


def _end(values: Values, time_ns: int) -> list[Event]:
    return [
        events.Measured(None, None, values.get("soc"), values.get("max_cell_voltage_v"), None, time_ns),
        *_state(values, time_ns),
    ]


def _yes(values: Values) -> bool | None:
    return {"yes": True, "no": False}.get(values.get("allowed", ""))


EVENT_OF: Mapping[str, Callable[[dict[str, Value], int], list[Event]]] = {
    "BRM": _identified,
    "BHM": _handshake,
    "BCP": _battery,
    "CML": _limits,
    "BCL": _demand,
    "BCS": _measured,
    "CCS": _output,
    "BSM": _state,
    "CSD": _charged,
    "BSD": _end,
}
