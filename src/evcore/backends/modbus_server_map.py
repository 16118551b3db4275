"""The registers in which a building's master sees the site. Layout 1: what has an address keeps it; a new layout has a
new version number in register 2. docs/modbus-server.md is drawn from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evcore.errors import ConfigError
from evcore.modbus.image import Image, Register

VERSION = 1
EVSE_BASE, EVSE_SLOTS, EVSE_USED = 1000, 250, 80
METER_BASE, METER_SLOTS, METER_USED = 30_000, 100, 80
BLOCK = 100  # registers from one slot to the next
SITE_USED = 60

ONLINE = ("offline", "online")
STATUS = ("unknown", "Available", "Occupied", "Reserved", "Unavailable", "Faulted")
CHARGING = ("none", "EVConnected", "Charging", "SuspendedEV", "SuspendedEVSE", "Idle")
QUALITY = ("none", "good", "stale", "suspect")
RESULT = ("none", "pending", "accepted", "rejected", "not supported", "offline", "timeout", "error")


@dataclass(frozen=True, slots=True)
class EvseSlot:
    """station, evse: who is shown. slot: 1 to 250, where. writable: a master may set its limit. most_a: the highest."""

    station: str
    evse: int = 1
    slot: int = 1
    writable: bool = False
    most_a: float = 500.0


@dataclass(frozen=True, slots=True)
class MeterSlot:
    """meter: the source of the samples. slot: 1 to 100."""

    meter: str
    slot: int = 1


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"{n} {word}" for n, word in enumerate(words))


def _limit(at: int, *, writable: bool, most_a: float) -> list[Register]:
    """What a master may ask and what became of it."""
    tenths = min(most_a, 6553.0)
    asked = "limit per phase that a master asks for"
    return [
        Register("limit_asked", at, "float32", writable=writable, least=0, most=most_a, unit="A", about=asked),
        Register(
            "limit_asked_tenths",
            at + 2,
            "uint16",
            scale="0.1",
            writable=writable,
            least=0,
            most=tenths,
            unit="A",
            about="the same in tenths, for masters without floats",
        ),
        Register(
            "clear", at + 3, "uint16", writable=writable, one_of=(1,), about="write 1: no limit is asked any more"
        ),
        Register("result", at + 4, "uint16", about="of the last write: " + _words(RESULT)),
        Register("writes", at + 5, "uint16", about="writes so far, wraps"),
        Register("result_of", at + 6, "uint16", about="the write that the result belongs to"),
    ]


def site_registers(*, writable: bool = False, most_a: float = 10_000.0) -> list[Register]:
    return [
        Register("magic", 0, "string", length=2, about='"EVCR"'),
        Register("layout", 2, about=f"version of this layout: {VERSION}"),
        Register("heartbeat", 3, about="counts up once a second, wraps"),
        Register("evse_slots", 4, about="highest EVSE slot in use"),
        Register("meter_slots", 5, about="highest meter slot in use"),
        Register("evse_base", 6, about=f"address of EVSE slot 1: {EVSE_BASE}"),
        Register("meter_base", 7, about=f"address of meter slot 1: {METER_BASE}"),
        Register("block", 8, about=f"registers from one slot to the next: {BLOCK}"),
        Register("time", 10, "uint32", unit="s", about="seconds since 1970 UTC"),
        Register("uptime", 12, "uint32", unit="s", about="since this server began"),
        Register("site", 14, "string", length=16, about="id of the site"),
        Register("online", 30, about="EVSEs of stations that are online"),
        Register("occupied", 31, about="EVSEs that are occupied"),
        Register("charging", 32, about="EVSEs that charge"),
        Register("faulted", 33, about="EVSEs with a fault"),
        Register("power", 34, "float32", unit="W", about="sum over the EVSEs whose power is known"),
        Register("power_known", 36, about="number of these EVSEs"),
        *_limit(40, writable=writable, most_a=most_a),
    ]


def evse_registers(slot: EvseSlot) -> list[Register]:
    return [
        Register("online", 0, about=_words(ONLINE)),
        Register("status", 1, about=_words(STATUS)),
        Register("charging", 2, about=_words(CHARGING)),
        Register("fault", 3, about="1 while there is one"),
        *(Register(f"current_l{n}", 2 + 2 * n, "float32", unit="A") for n in (1, 2, 3)),
        *(Register(f"voltage_l{n}", 8 + 2 * n, "float32", unit="V", about="to neutral") for n in (1, 2, 3)),
        Register("power", 16, "float32", unit="W", about="all phases, or DC"),
        Register("current", 18, "float32", unit="A", about="told without a phase: DC"),
        Register("voltage", 20, "float32", unit="V", about="told without a phase: DC"),
        Register("soc", 22, "float32", unit="%", about="of the car"),
        Register("energy", 24, "uint64", unit="Wh", about="import register of the EVSE"),
        Register("session_energy", 28, "uint32", unit="Wh", about="of the session, or of the last one"),
        Register("session_seconds", 30, "uint32", unit="s", about="of the session, or of the last one"),
        Register("session", 32, about="1 while there is one"),
        Register("age", 33, unit="s", about="of the newest value of this block"),
        Register("limit", 34, "float32", unit="A", about="limit in force, as the station has it"),
        *_limit(40, writable=slot.writable, most_a=slot.most_a),
        Register("station", 60, "string", length=16, about="id of the station"),
        Register("evse", 76, about="its number there"),
    ]


def meter_registers(slot: MeterSlot) -> list[Register]:
    return [
        Register("online", 0, about=_words(ONLINE)),
        Register("quality", 1, about="the worst of its values: " + _words(QUALITY)),
        Register("age", 2, unit="s", about="of the newest value"),
        *(Register(f"voltage_l{n}", 2 + 2 * n, "float32", unit="V", about="to neutral") for n in (1, 2, 3)),
        *(Register(f"current_l{n}", 14 + 2 * n, "float32", unit="A") for n in (1, 2, 3)),
        *(Register(f"power_l{n}", 22 + 2 * n, "float32", unit="W") for n in (1, 2, 3)),
        Register("power", 30, "float32", unit="W", about="all phases; below 0: export"),
        Register("frequency", 32, "float32", unit="Hz"),
        Register("energy_import", 40, "uint64", unit="Wh"),
        Register("energy_export", 44, "uint64", unit="Wh"),
        Register("meter", 60, "string", length=16, about="its id"),
    ]


def site_image(
    evses: Sequence[EvseSlot],
    meters: Sequence[MeterSlot],
    *,
    stale_s: float = 300.0,
    writable: bool = False,
    most_a: float = 10_000.0,
    name: str = "modbus-server",
) -> Image:
    """Measured values become missing when they have not been renewed for `stale_s`. Raises ConfigError (slots)."""
    _check(name, "evses", [(one.slot, (one.station, one.evse)) for one in evses], EVSE_SLOTS)
    _check(name, "meters", [(one.slot, (one.meter,)) for one in meters], METER_SLOTS)
    registers = [replace(one, name=f"site.{one.name}") for one in site_registers(writable=writable, most_a=most_a)]
    spans = [(0, SITE_USED)]
    for evse in evses:
        base = EVSE_BASE + BLOCK * (evse.slot - 1)
        registers += _placed(evse_registers(evse), f"evse{evse.slot}", base, stale_s)
        spans.append((base, EVSE_USED))
    for meter in meters:
        base = METER_BASE + BLOCK * (meter.slot - 1)
        registers += _placed(meter_registers(meter), f"meter{meter.slot}", base, stale_s)
        spans.append((base, METER_USED))
    return Image(registers, spans=spans)


def register_map() -> str:
    """The layout as Markdown tables."""
    out = []
    for title, base, registers in (
        ("Site", "", site_registers()),
        (f"EVSE in slot n: add {EVSE_BASE} + {BLOCK} (n - 1)", "+", evse_registers(EvseSlot("", writable=True))),
        (f"Meter in slot n: add {METER_BASE} + {BLOCK} (n - 1)", "+", meter_registers(MeterSlot(""))),
    ):
        out += [
            f"### {title}",
            "",
            "| address | registers | type | name | unit | meaning |",
            "|---|---|---|---|---|---|",
        ]
        for one in sorted(registers, key=lambda r: r.address):
            unit = one.unit if one.scale == 1 else f"{one.scale} {one.unit}"
            about = one.about + (" (write)" if one.name in ("limit_asked", "limit_asked_tenths", "clear") else "")
            out.append(f"| {base}{one.address} | {one.size} | {one.type} | `{one.name}` | {unit} | {about} |")
        out.append("")
    return "\n".join(out).rstrip()


_NEVER_OLD = {"online", "status", "charging", "fault", "session", "session_energy", "session_seconds", "limit", "age"}
_NEVER_OLD |= {
    "limit_asked",
    "limit_asked_tenths",
    "clear",
    "result",
    "writes",
    "result_of",
    "station",
    "evse",
    "meter",
}


def _placed(registers: list[Register], prefix: str, base: int, stale_s: float) -> list[Register]:
    age = round(stale_s * 1e9)
    return [
        replace(
            one,
            name=f"{prefix}.{one.name}",
            address=base + one.address,
            max_age_ns=None if one.name in _NEVER_OLD or one.name == "quality" else age,
        )
        for one in registers
    ]


def _check(name: str, key: str, slots: Sequence[tuple[int, tuple[object, ...]]], most: int) -> None:
    by_slot: dict[int, int] = {}
    shown: dict[tuple[object, ...], int] = {}
    for n, (slot, who) in enumerate(slots):
        if not 1 <= slot <= most:
            raise ConfigError(name, f"{key}[{n}].slot", f"1..{most}", str(slot))
        if by_slot.setdefault(slot, n) != n:
            raise ConfigError(name, f"{key}[{n}].slot", f"a slot that {key}[{by_slot[slot]}] does not have", str(slot))
        if shown.setdefault(who, n) != n:
            raise ConfigError(name, f"{key}[{n}]", f"another than {key}[{shown[who]}]", " ".join(map(str, who)))
