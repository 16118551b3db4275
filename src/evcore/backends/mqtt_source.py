"""Values of other devices that are on the broker already, as samples."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from evcore.errors import ConfigError, PayloadError
from evcore.model import Sample

_MAX_PAYLOAD = 65_536


@dataclass(frozen=True, slots=True)
class MqttSource:
    """One value in one topic of another device.

    topic: without wildcards. source, measurand, unit, phase, location, evse: as of `Sample`. pointer: JSON pointer
    (RFC 6901) to the number inside a JSON payload, "" where the payload is the number. scale: what it is multiplied
    with to have it in `unit` (kWh to Wh: 1000). Raises ConfigError.
    """

    topic: str
    source: str
    measurand: str
    unit: str
    pointer: str = ""
    scale: float = 1.0
    phase: str | None = None
    location: str = "Outlet"
    evse: int = 0

    def __post_init__(self) -> None:
        if not self.topic or any(mark in self.topic for mark in "#+\0"):
            raise ConfigError("mqtt", "sources.topic", "one topic without + and #", self.topic)
        if self.pointer and not self.pointer.startswith("/"):
            raise ConfigError("mqtt", "sources.pointer", '"" or a JSON pointer (/a/b)', self.pointer)
        if not math.isfinite(self.scale) or self.scale == 0:
            raise ConfigError("mqtt", "sources.scale", "a number, not 0", str(self.scale))

    def sample(self, payload: bytes, time_ns: int) -> Sample:
        """The value in `payload`, arrived at `time_ns`. Raises PayloadError."""
        if len(payload) > _MAX_PAYLOAD:
            raise PayloadError("length", "", f"at most {_MAX_PAYLOAD} bytes", f"{len(payload)}")
        number = _number(self._find(payload), self.pointer)
        value = float(number) * self.scale
        if not math.isfinite(value):
            raise PayloadError("range", self.pointer, "a finite number", str(number)[:40])
        return Sample(
            source=self.source,
            measurand=self.measurand,
            value=value,
            unit=self.unit,
            time_ns=time_ns,
            evse=self.evse,
            phase=self.phase,
            location=self.location,
            digits=str(number) if self.measurand.startswith("Energy.") else None,
        )

    def _find(self, payload: bytes) -> Any:
        if not self.pointer:
            return payload.decode("ascii", "replace").strip()
        try:
            found = json.loads(payload, parse_float=Decimal, parse_int=Decimal)
        except (ValueError, RecursionError) as error:
            raise PayloadError("json", "", "JSON", str(error)[:80]) from error
        for part in self.pointer[1:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")  # RFC 6901, 4
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(found):
                found = found[int(name[:9])]
            else:
                raise PayloadError("missing", self.pointer, f"a value at {self.pointer}", f"no {name[:40]!r}")
        return found


def _number(found: Any, pointer: str) -> Decimal:
    """As received, digit for digit: meters write 1234.50 and mean both decimals."""
    if isinstance(found, str):
        try:
            found = Decimal(found)
        except InvalidOperation:
            raise PayloadError("type", pointer, "a number", repr(found[:40])) from None
    if not isinstance(found, Decimal) or not found.is_finite():
        raise PayloadError("type", pointer, "a number", repr(found)[:40])
    return found
