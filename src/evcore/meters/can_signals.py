"""A CAN database's signals as samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evcore.can.database import Database, Message
from evcore.can.frames import Frame
from evcore.errors import ConfigError, MessageError
from evcore.model import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """What a signal is in the model's words. value = signal * scale; unit "": that of the database."""

    measurand: str
    unit: str = ""
    scale: float = 1.0
    phase: str | None = None
    location: str = "Outlet"


class SignalSamples:
    """Frames in, samples out. Of a message without multiplexer only the newest frame is decoded, when it is asked for.

    signals: "Message.Signal" or "Signal" -> measurand or Reading; only these are given. None: all, each under its own
    name ("Message.Signal" where two messages have it), with the unit of the database.
    Raises ConfigError: a signal that the database does not have.
    """

    def __init__(
        self, database: Database, *, source: str, evse: int = 0, signals: Mapping[str, str | Reading] | None = None
    ) -> None:
        self._database, self._source, self._evse = database, source, evse
        self._readings = _readings(database, signals)
        self._muxed = {
            message.id for message in database.messages if message.source.is_multiplexed() or not message.native
        }
        self._newest: dict[int, Frame] = {}
        self._values: dict[str, Sample] = {}
        self.errors: dict[str, str] = {}  # message name -> what is wrong with its payloads

    def receive(self, frame: Frame) -> bool:
        """Take one frame; False: its payload breaks the database's rules (`errors` says how)."""
        message = self._database.message(frame.id)
        if message is None or message.name not in self._readings:
            return True
        if message.id in self._muxed:
            return self._decode(message, frame)
        if len(frame.data) < message.length:
            self.errors[message.name] = f"expected {message.length} bytes, got {len(frame.data)}"
            return False
        self._newest[message.id] = frame
        return True

    def samples(self) -> list[Sample]:
        """The newest value of each signal heard since the last call."""
        newest, self._newest = self._newest, {}
        for id, frame in newest.items():
            message = self._database.message(id)
            if message is not None:
                self._decode(message, frame)
        values, self._values = self._values, {}
        return list(values.values())

    def _decode(self, message: Message, frame: Frame) -> bool:
        try:
            values = message.decode(frame.data, False, True, False)
        except MessageError as error:
            self.errors[message.name] = str(error)
            return False
        readings = self._readings[message.name]
        for name, value in values.items():
            reading = readings.get(name)
            if reading is None or not math.isfinite(value):
                continue
            sample = Sample(
                self._source,
                reading.measurand,
                float(value * reading.scale),
                reading.unit or message.units[name],
                frame.time_ns,
                self._evse,
                phase=reading.phase,
                location=reading.location,
            )
            self._values[sample.key] = sample
        return True


def _readings(database: Database, signals: Mapping[str, str | Reading] | None) -> dict[str, dict[str, Reading]]:
    """Message name -> signal name -> reading."""
    count = Counter(name for message in database.messages for name in message.units)
    result: dict[str, dict[str, Reading]] = {}
    used = set()
    for message, name, long in _all(database):
        if signals is None:
            reading: str | Reading = name if count[name] == 1 else long
        else:
            key = long if long in signals else name
            if key not in signals:
                continue
            used.add(key)
            reading = signals[key]
        if isinstance(reading, str):
            reading = Reading(reading)
        result.setdefault(message.name, {})[name] = reading
    for key in signals or ():
        if key not in used:
            raise ConfigError(database.name, f"signals.{key}", "a signal of the database", key)
    return result


def _all(database: Database) -> Iterator[tuple[Message, str, str]]:
    for message in database.messages:
        for name in message.units:
            yield message, name, f"{message.name}.{name}"
