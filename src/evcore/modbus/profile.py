"""A device as data: which register means what, in the model's words. The files are in `profiles/`; their form is
`profiles/profile.schema.json`, and `Profile.load` says precisely what in a file is wrong.

Addresses are 0-based, as on the wire. An energy register keeps its exact digits: the decimal number that the register
shows, moved to Wh, never the noise of a binary float.
"""

from __future__ import annotations

import struct
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from evcore.core.modbus import ORDERS, TYPES, Layout, Point, Value
from evcore.errors import ConfigError

WORDS = {
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "int64": 4,
    "uint64": 4,
    "float32": 2,
    "float64": 4,
    "bits": 1,
}


@dataclass(frozen=True, slots=True)
class ProfilePoint:
    """One value of a device.

    name: the same in every profile for the same thing (voltage_l1, power, energy_import). function, address: 3 or 4,
    and the first register. type, order, length, bit, missing: as of `core.modbus.Point`. scale: value = raw * scale, in
    `unit`, the SI base. measurand, phase: OCPP's words; measurand "" for what is not a measured value (serial numbers).
    verified: two independent sources agree on it.
    """

    name: str
    address: int
    type: str
    function: int = 3
    order: str = "ABCD"
    scale: Decimal = Decimal(1)
    length: int = 1
    bit: int = 0
    missing: int | None = None
    measurand: str = ""
    phase: str | None = None
    unit: str = ""
    verified: bool = True

    @property
    def registers(self) -> int:
        return WORDS.get(self.type, self.length)

    @property
    def end(self) -> int:
        """The address after its last register."""
        return self.address + self.registers

    @property
    def counts_up(self) -> bool:
        """A meter register of energy: it never falls."""
        return self.measurand.endswith(".Register")

    def at(self, base: int) -> Point:
        """For a block of registers that begins at `base`; unscaled, `exact` scales."""
        return Point(self.address - base, self.type, self.order, missing=self.missing, length=self.length, bit=self.bit)

    def exact(self, raw: Value) -> Decimal | None:
        """The number that the register shows, in `unit`; None if it shows none."""
        if raw is None or isinstance(raw, (bool, str)):
            return None
        text = shortest_float32(raw) if self.type == "float32" and isinstance(raw, float) else repr(raw)
        return Decimal(text) * self.scale

    def resolution(self, value: Decimal) -> Decimal:
        """The smallest step that the register can take at `value`."""
        if self.type == "float32":
            return abs(value) / 2**23
        return abs(value) / 2**52 if self.type == "float64" else self.scale


def shortest_float32(value: float) -> str:
    """The shortest decimal text that a float32 register reads as `value`: 230.1, not 230.10000610351562."""
    for digits in (6, 7, 8):
        text = f"{value:.{digits}g}"
        if struct.pack(">f", float(text)) == struct.pack(">f", value):
            return text
    return f"{value:.9g}"


def plain(value: Decimal) -> str:
    """Decimal text without exponent and without zeros at the end: 1234560, 0.05."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class Source:
    """Where a register map was read."""

    repository: str
    path: str
    commit: str


@dataclass(frozen=True, slots=True)
class Profile:
    """readable: address ranges (first, last) that may be read across; elsewhere a read never goes over a hole.
    max_registers: of one read. requires, caveats: what to know, with a link where there is one."""

    name: str
    title: str
    manufacturer: str
    model: str
    points: tuple[ProfilePoint, ...]
    sources: tuple[Source, ...]
    max_registers: int = 125
    readable: tuple[tuple[int, int], ...] = ()
    requires: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Profile:
        """A profile of this package by name ("sdm630") or a TOML file by path. Raises ConfigError (file, key, expected,
        got)."""
        path = Path(name_or_path)
        if isinstance(name_or_path, str) and "/" not in name_or_path and path.suffix != ".toml":
            return _builtin(name_or_path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(str(path), "", "a readable TOML file", str(error)) from None
        return parse(text, name=path.stem, file=str(path))

    @staticmethod
    def names() -> list[str]:
        """The profiles of this package."""
        folder = resources.files("evcore.modbus").joinpath("profiles")
        return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))

    def point(self, name: str) -> ProfilePoint:
        """Raises KeyError."""
        return next(point for point in self.points if point.name == name) if name in self else _no_point(name)

    def __contains__(self, name: object) -> bool:
        return any(point.name == name for point in self.points)


def _no_point(name: str) -> ProfilePoint:
    raise KeyError(name)


def _builtin(name: str) -> Profile:
    file = resources.files("evcore.modbus").joinpath("profiles", f"{name}.toml")
    if not name.replace("_", "").isalnum() or not file.is_file():
        raise ConfigError(name, "", f"a path or one of {', '.join(Profile.names())}", name)
    return parse(file.read_text(encoding="utf-8"), name=name, file=f"{name}.toml")


# --- The file form. Each key: what it must be, and how to say so. ---

_TOP: dict[str, tuple[type | tuple[type, ...], str]] = {
    "title": (str, "text"),
    "manufacturer": (str, "text"),
    "model": (str, "text"),
    "function": (int, "3 or 4"),
    "order": (str, "ABCD, CDAB, BADC or DCBA"),
    "max_registers": (int, "1 to 125"),
    "readable": (list, "a list of [first, last]"),
    "requires": (list, "a list of texts"),
    "caveats": (list, "a list of texts"),
    "source": (list, "tables [[source]]"),
    "point": (list, "tables [[point]]"),
}
_SOURCE: dict[str, tuple[type | tuple[type, ...], str]] = {
    "repository": (str, "owner/name"),
    "path": (str, "text"),
    "commit": (str, "a commit hash"),
}
_POINT: dict[str, tuple[type | tuple[type, ...], str]] = {
    "name": (str, "text"),
    "address": (int, "0 to 65535"),
    "type": (str, ", ".join(TYPES)),
    "function": (int, "3 or 4"),
    "order": (str, "ABCD, CDAB, BADC or DCBA"),
    "scale": ((int, Decimal), "a number"),
    "length": (int, "a number of registers or bits"),
    "bit": (int, "0 to 15"),
    "missing": (int, "an integer"),
    "measurand": (str, "an OCPP measurand"),
    "phase": (str, "an OCPP phase"),
    "unit": (str, "text"),
    "status": (str, "verified or unverified"),
}


def parse(text: str, *, name: str, file: str) -> Profile:
    """A profile from TOML text. Raises ConfigError, as `Profile.load`."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, "", "TOML", str(error)) from None
    _check(file, "", data, _TOP, ("title", "manufacturer", "model", "source", "point"))
    limit = data.get("max_registers", 125)
    if not 1 <= limit <= 125:
        raise ConfigError(file, "max_registers", "1 to 125", str(limit))
    points = tuple(_point(file, i, item, data) for i, item in enumerate(data["point"]))
    seen: set[str] = set()
    for i, point in enumerate(points):
        if point.name in seen:
            raise ConfigError(file, f"point[{i}].name", "a name not used before", point.name)
        if point.registers > limit:
            raise ConfigError(file, f"point[{i}]", f"at most {limit} registers", str(point.registers))
        seen.add(point.name)
    return Profile(
        name=name,
        title=data["title"],
        manufacturer=data["manufacturer"],
        model=data["model"],
        points=points,
        sources=tuple(_source(file, i, item) for i, item in enumerate(data["source"])),
        max_registers=limit,
        readable=tuple(_range(file, i, item) for i, item in enumerate(data.get("readable", []))),
        requires=_texts(file, "requires", data),
        caveats=_texts(file, "caveats", data),
    )


def _check(
    file: str, where: str, item: Any, form: Mapping[str, tuple[Any, str]], required: Sequence[str] = ()
) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ConfigError(file, where, "a table", type(item).__name__)
    prefix = f"{where}." if where else ""
    for key in required:
        if key not in item:
            raise ConfigError(file, prefix + key, form[key][1], "nothing")
    for key, value in item.items():
        if key not in form:
            raise ConfigError(file, prefix + key, f"one of {', '.join(form)}", "an unknown key")
        kind, expected = form[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(file, prefix + key, expected, repr(value))
    return item


def _point(file: str, i: int, item: Any, top: Mapping[str, Any]) -> ProfilePoint:
    where = f"point[{i}]"
    _check(file, where, item, _POINT, ("name", "address", "type"))
    for key, allowed in (
        ("type", TYPES),
        ("order", ORDERS),
        ("function", (3, 4)),
        ("status", ("verified", "unverified")),
    ):
        value = item.get(key, top.get(key, allowed[0]))
        if value not in allowed:
            raise ConfigError(file, f"{where}.{key}", _POINT[key][1], repr(value))
    made = ProfilePoint(
        name=item["name"],
        address=item["address"],
        type=item["type"],
        function=item.get("function", top.get("function", 3)),
        order=item.get("order", top.get("order", "ABCD")),
        scale=Decimal(item.get("scale", 1)),
        length=item.get("length", 1),
        bit=item.get("bit", 0),
        missing=item.get("missing"),
        measurand=item.get("measurand", ""),
        phase=item.get("phase"),
        unit=item.get("unit", ""),
        verified=item.get("status", "verified") == "verified",
    )
    if not made.name.replace("_", "").isalnum():
        raise ConfigError(file, f"{where}.name", "letters, digits and _", made.name)
    if made.measurand and made.type == "string":
        raise ConfigError(file, f"{where}.measurand", "none for a string", made.measurand)
    if not made.scale.is_finite() or made.scale == 0:
        raise ConfigError(file, f"{where}.scale", "a number other than 0", str(made.scale))
    try:
        Layout([made.at(0)])
    except ValueError as error:
        raise ConfigError(file, where, "a point as of the schema", str(error).removeprefix("point 0: ")) from None
    return made


def _source(file: str, i: int, item: Any) -> Source:
    _check(file, f"source[{i}]", item, _SOURCE, tuple(_SOURCE))
    return Source(**item)


def _range(file: str, i: int, item: Any) -> tuple[int, int]:
    good = isinstance(item, list) and len(item) == 2 and all(type(end) is int for end in item)
    if not good or not 0 <= item[0] <= item[1] <= 65535:
        raise ConfigError(file, f"readable[{i}]", "[first, last] with 0 <= first <= last <= 65535", repr(item))
    return item[0], item[1]


def _texts(file: str, key: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    for i, item in enumerate(data.get(key, [])):
        if not isinstance(item, str):
            raise ConfigError(file, f"{key}[{i}]", "text", repr(item))
    return tuple(data.get(key, []))
