"""The messages of GB/T 27930-2015 as data: who sends what, how often, how long, and what lies where.

Bytes and bits are counted from 1, as in the standard; numbers are little-endian; value = (raw - zero) / per. What is
not used, and optional values that are absent, is filled with ones. Currents: negative while the car is charged.
Lengths: the standard's first, then those that cars and chargers on the road send (2011 and 2023 among them).
Source: GB/T 27930-2015, tables 3 to 34; GB/T 27930-2023 category A where it only refines them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CHARGER = 0x56
CAR = 0xF4

Sender = Literal["charger", "car"]
Kind = Literal["number", "word", "text", "version", "date", "time", "cells", "temperatures", "bytes"]
Words = Mapping[int, str]

NO_YES: Words = {0: "no", 1: "yes", 2: "untrusted"}
FAULT: Words = {0: "normal", 1: "fault", 2: "untrusted"}
LEVEL: Words = {0: "normal", 1: "high", 2: "low"}
READY: Words = {0x00: "no", 0xAA: "yes"}
MODE: Words = {1: "constant voltage", 2: "constant current"}
BATTERY: Words = {
    1: "lead-acid",
    2: "NiMH",
    3: "LFP",
    4: "LMO",
    5: "LCO",
    6: "NMC",
    7: "polymer",
    8: "LTO",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One value. byte: first one. size: bytes, 0 to the end. bit, bits: a part of byte(s); bits 0: all of them.

    words: what values mean. maximum: the standard's, in unit. filled: all ones mean that it is absent.
    """

    name: str
    byte: int
    size: int = 1
    kind: Kind = "number"
    per: int = 1
    zero: int = 0
    unit: str = ""
    bit: int = 1
    bits: int = 0
    words: Words = field(default_factory=dict)
    maximum: float | None = None
    filled: bool = True

    @property
    def width(self) -> int:
        """Bits."""
        return self.bits or 8 * self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """One message. lengths: legal ones, the standard's first; empty: any up to `longest`. period_ms: 0 for an event."""

    name: str
    pgn: int
    priority: int
    sender: Sender
    lengths: tuple[int, ...]
    period_ms: int
    fields: tuple[Field, ...]
    longest: int = 0

    @property
    def source(self) -> int:
        return CHARGER if self.sender == "charger" else CAR

    @property
    def destination(self) -> int:
        return CAR if self.sender == "charger" else CHARGER


def _volts(name: str, byte: int) -> Field:
    return Field(name, byte, 2, per=10, unit="V")


def _amps(name: str, byte: int) -> Field:
    return Field(name, byte, 2, per=10, zero=4000, unit="A")


def _celsius(name: str, byte: int) -> Field:
    return Field(name, byte, zero=50, unit="Celsius", maximum=200)


def _cell(name: str, byte: int) -> Field:
    return Field(name, byte, 2, per=100, unit="V", maximum=24)


def _percent(name: str, byte: int) -> Field:
    return Field(name, byte, unit="Percent", maximum=100)


def _number(name: str, byte: int) -> Field:
    return Field(name, byte, zero=-1, filled=False)  # of a cell or probe, counted from 1


def _ready(name: str) -> Field:
    return Field(name, 1, kind="word", words=READY)


def _states(words: Words, places: Mapping[str, float]) -> tuple[Field, ...]:
    """Two-bit states; the place 2.3 is byte 2, bits 3 and 4."""
    fields = []
    for name, place in places.items():
        byte, bit = divmod(round(place * 10), 10)
        fields.append(Field(name, byte, kind="word", bit=bit, bits=2, words=words))
    return tuple(fields)


_CHARGER: tuple[Layout, ...] = (
    Layout("CHM", 0x2600, 6, "charger", (3,), 250, (Field("version", 1, 3, "version"),)),
    Layout(
        "CRM",
        0x0100,
        6,
        "charger",
        (8,),
        250,
        (_ready("recognised"), Field("charger_number", 2, 4), Field("area", 6, 3, "text")),
    ),
    Layout("CTS", 0x0700, 6, "charger", (7,), 500, (Field("time", 1, 7, "time"),)),
    Layout(
        "CML",
        0x0800,
        6,
        "charger",
        (8, 6),
        250,
        (
            _volts("max_voltage_v", 1),
            _volts("min_voltage_v", 3),
            _amps("max_current_a", 5),
            _amps("min_current_a", 7),
        ),
    ),
    Layout("CRO", 0x0A00, 4, "charger", (1,), 250, (_ready("ready"),)),
    Layout(
        "CCS",
        0x1200,
        6,
        "charger",
        (8, 7, 6),
        50,
        (
            _volts("voltage_v", 1),
            _amps("current_a", 3),
            Field("elapsed_min", 5, 2, unit="min"),
            *_states({0: "no", 1: "yes"}, {"allowed": 7.1}),
        ),
    ),
    Layout(
        "CST",
        0x1A00,
        4,
        "charger",
        (4,),
        10,
        (
            *_states(NO_YES, {"target_reached": 1.1, "manual": 1.3, "fault": 1.5, "car_stopped": 1.7}),
            *_states(
                FAULT,
                {
                    "charger_overtemperature": 2.1,
                    "connector": 2.3,
                    "inner_overtemperature": 2.5,
                    "energy_not_delivered": 2.7,
                    "emergency_stop": 3.1,
                    "other": 3.3,
                    "current_mismatch": 4.1,
                    "voltage_abnormal": 4.3,
                },
            ),
        ),
    ),
    Layout(
        "CSD",
        0x1D00,
        6,
        "charger",
        (8, 7, 6, 5),
        250,
        (
            Field("elapsed_min", 1, 2, unit="min"),
            Field("energy_kwh", 3, 2, per=10, unit="kWh"),
            Field("charger_number", 5, 4),
        ),
    ),
    Layout(
        "CEM",
        0x1F00,
        2,
        "charger",
        (4,),
        250,
        (
            *_states(
                NO_YES,
                {"BRM": 1.1, "BCP": 2.1, "BRO": 2.3, "BCS": 3.1, "BCL": 3.3, "BST": 3.5, "BSD": 4.1},
            ),
            Field("other", 4, bit=3, bits=6),
        ),
    ),
)

_CAR: tuple[Layout, ...] = (
    Layout("BHM", 0x2700, 6, "car", (2,), 250, (_volts("max_voltage_v", 1),)),
    Layout(
        "BRM",
        0x0200,
        7,
        "car",
        (41, 49),
        250,
        (
            Field("version", 1, 3, "version"),
            Field("battery", 4, kind="word", words=BATTERY),
            Field("capacity_ah", 5, 2, per=10, unit="Ah"),
            Field("voltage_v", 7, 2, per=10, unit="V"),
            Field("maker", 9, 4, "text"),
            Field("serial", 13, 4),
            Field("made", 17, 3, "date"),
            Field("charges", 20, 3),
            Field("owner", 23, kind="word", words={0: "leased", 1: "own"}),
            Field("vin", 25, 17, "text"),
            Field("software", 42, 8, "bytes"),
        ),
    ),
    Layout(
        "BCP",
        0x0600,
        7,
        "car",
        (13,),
        500,
        (
            _cell("max_cell_voltage_v", 1),
            _amps("max_current_a", 3),
            Field("energy_kwh", 5, 2, per=10, unit="kWh"),
            _volts("max_voltage_v", 7),
            _celsius("max_temperature_c", 9),
            Field("soc", 10, 2, per=10, unit="Percent", maximum=100),
            _volts("voltage_v", 12),
        ),
    ),
    Layout("BRO", 0x0900, 4, "car", (1,), 250, (_ready("ready"),)),
    Layout(
        "BCL",
        0x1000,
        6,
        "car",
        (5,),
        50,
        (_volts("voltage_v", 1), _amps("current_a", 3), Field("mode", 5, kind="word", words=MODE)),
    ),
    Layout(
        "BCS",
        0x1100,
        7,
        "car",
        (9,),
        250,
        (
            _volts("voltage_v", 1),
            _amps("current_a", 3),
            Field("max_cell_voltage_v", 5, 2, per=100, unit="V", bits=12, maximum=24),
            Field("max_cell_group", 5, 2, bit=13, bits=4, filled=False),
            _percent("soc", 7),
            Field("remaining_min", 8, 2, unit="min", maximum=600),
        ),
    ),
    Layout(
        "BSM",
        0x1300,
        6,
        "car",
        (7,),
        250,
        (
            _number("max_cell_number", 1),
            _celsius("max_temperature_c", 2),
            _number("max_temperature_probe", 3),
            _celsius("min_temperature_c", 4),
            _number("min_temperature_probe", 5),
            *_states(LEVEL, {"cell_voltage": 6.1, "soc_level": 6.3}),
            *_states(FAULT, {"overcurrent": 6.5, "overtemperature": 6.7, "insulation": 7.1, "connector": 7.3}),
            *_states(NO_YES, {"allowed": 7.5}),
        ),
    ),
    Layout("BMV", 0x1500, 7, "car", (), 10_000, (Field("cells", 1, 0, "cells"),), longest=512),
    Layout("BMT", 0x1600, 7, "car", (), 10_000, (Field("temperatures_c", 1, 0, "temperatures"),), longest=128),
    Layout("BSP", 0x1700, 7, "car", (), 10_000, (Field("reserved", 1, 0, "bytes"),), longest=16),
    Layout(
        "BST",
        0x1900,
        4,
        "car",
        (4,),
        10,
        (
            *_states(
                NO_YES,
                {"soc_reached": 1.1, "voltage_reached": 1.3, "cell_voltage_reached": 1.5, "charger_stopped": 1.7},
            ),
            *_states(
                FAULT,
                {
                    "insulation": 2.1,
                    "outlet_overtemperature": 2.3,
                    "part_overtemperature": 2.5,
                    "connector": 2.7,
                    "pack_overtemperature": 3.1,
                    "relay": 3.3,
                    "cp2_voltage": 3.5,
                    "other": 3.7,
                    "overcurrent": 4.1,
                    "voltage_abnormal": 4.3,
                },
            ),
        ),
    ),
    Layout(
        "BSD",
        0x1C00,
        6,
        "car",
        (7,),
        250,
        (
            _percent("soc", 1),
            _cell("min_cell_voltage_v", 2),
            _cell("max_cell_voltage_v", 4),
            _celsius("min_temperature_c", 6),
            _celsius("max_temperature_c", 7),
        ),
    ),
    Layout(
        "BEM",
        0x1E00,
        2,
        "car",
        (4,),
        250,
        (
            *_states(
                NO_YES,
                {"CRM(00)": 1.1, "CRM(AA)": 1.3, "CTS, CML": 2.1, "CRO": 2.3, "CCS": 3.1, "CST": 3.3, "CSD": 4.1},
            ),
            Field("other", 4, bit=3, bits=6),
        ),
    ),
)

MESSAGES: Mapping[str, Layout] = {layout.name: layout for layout in (*_CHARGER, *_CAR)}
BY_PGN: Mapping[int, Layout] = {layout.pgn: layout for layout in MESSAGES.values()}
# Either side may send these; their content is handed on as bytes.
DIAGNOSTIC: Mapping[int, str] = {0x2000 + 0x100 * n: f"DM{n + 1}" for n in range(6)}
# GB/T 27930-2023 category B asks with these which protocol to speak.
NEGOTIATION: Mapping[int, Sender] = {0x3C00: "charger", 0x3D00: "car"}
