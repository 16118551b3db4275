"""A CAN database: the files are read by cantools, each message is compiled into a native plan (native/src/can.c)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from typing_extensions import Buffer

from evcore.core.can import Decoders, MessagePlan
from evcore.errors import ConfigError, FrameError, PayloadError

if TYPE_CHECKING:
    from cantools.database.can import Message as CantoolsMessage
    from cantools.database.can import Signal as CantoolsSignal

    from evcore.core.can import SignalSpec

EXTENDED = 0x8000_0000  # bit 31 of a SocketCAN identifier: 29 bits wide (linux/can.h, CAN_EFF_FLAG)
_STANDARD_MAX = 0x7FF
_BYTES_MAX = 4096  # native/include/evcore/can.h, EV_CAN_BYTES_MAX

_Decode = Callable[[Buffer, bool, bool, bool], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a database. id: SocketCAN identifier, bit 31 for 29 bits. length: bytes of a whole payload.

    units: signal name to unit, "" where the file says none. native: decoded by the native plan; what that cannot
    express (containers, signals beyond 64 bits, scaled multiplexers) goes through cantools.
    """

    id: int
    name: str
    length: int
    units: Mapping[str, str]
    decode: _Decode
    source: CantoolsMessage
    plan: MessagePlan | None = None

    @property
    def native(self) -> bool:
        return self.plan is not None


class Database(Decoders):
    """What the payloads of a bus mean.

    `decode(frame_id, data)` gives what cantools' `decode_message` gives, equal in value and type. Identifiers are
    SocketCAN's: bit 31 marks 29 bits; a number without it means the 11-bit message, or the 29-bit one where only that
    has this number.
    """

    def __init__(self, messages: Iterable[Message], *, name: str = "") -> None:
        self.messages = tuple(messages)
        self._by_name = {message.name: message for message in self.messages}
        self._by_id = {message.id: message for message in self.messages}
        plans = {message.id & ~EXTENDED: message.plan or message.decode for message in self.messages}
        # The exact identifier wins over the number alone.
        plans |= {id: message.plan or message.decode for id, message in self._by_id.items()}
        super().__init__(plans, name)

    @classmethod
    def load(cls, path: str | PathLike[str], *, strict: bool = False) -> Database:
        """Read a DBC, KCD, SYM or ARXML file. strict: refuse overlapping signals and those that do not fit.

        Raises ConfigError: the file cannot be read; the key is the place in it where the parser names one.
        """
        file = fspath(path)
        return cls.of(_read(file, strict), name=file)

    @classmethod
    def of(cls, messages: Iterable[CantoolsMessage], *, name: str = "") -> Database:
        """The same of messages that cantools has already: those of its `Database.messages`, or built by hand."""
        return cls([_compile(message) for message in messages], name=name)

    def message(self, id: int) -> Message | None:
        """The message of exactly this SocketCAN identifier."""
        return self._by_id.get(id)

    def encode(self, name: str, values: Mapping[str, Any], *, scaling: bool = True, padding: bool = False) -> bytes:
        """Return the payload of message `name`. values: all signals, numbers or choice names.

        padding: fill unused bits with 1. Raises FrameError (no such message), PayloadError (a signal is missing,
        unknown or out of range).
        """
        message = self._by_name.get(name)
        if message is None:
            raise FrameError("name", f"no message {name!r} in {self.name or 'the database'}", where="name")
        try:
            return bytes(message.source.encode(dict(values), scaling, padding))
        except Exception as error:
            raise _refused(name, "values that can be sent", error) from error


def _refused(name: str, expected: str, error: Exception) -> PayloadError:
    """cantools raises its own errors, KeyError, ValueError or TypeError: all say that the input is wrong."""
    return PayloadError("value", f"/{name}", expected, f"{type(error).__name__}: {error}"[:300])


def _read(file: str, strict: bool) -> list[CantoolsMessage]:
    import cantools
    from cantools.database.can.database import Database as CantoolsDatabase

    try:
        loaded = cantools.database.load_file(file, strict=strict)
    except OSError as error:
        raise ConfigError(file, "", "a readable file", str(error)) from error
    except Exception as error:  # whatever a parser stumbles over, the file is at fault
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"line {place[1]}, column {place[2]}" if place else ""
        raise ConfigError(file, where, "a CAN database", f"{type(error).__name__}: {error}"[:500]) from error
    if not isinstance(loaded, CantoolsDatabase):
        raise ConfigError(file, "", "a CAN database", f"a {type(loaded).__module__}")
    return loaded.messages


def _compile(message: CantoolsMessage) -> Message:
    id = message.frame_id | (EXTENDED if message.is_extended_frame else 0)
    units = {signal.name: signal.unit or "" for signal in message.signals}
    plan = _plan(message)
    decode: _Decode = _through_cantools(message) if plan is None else plan.decode
    return Message(id, message.name, message.length, units, decode, message, plan)


def _through_cantools(message: CantoolsMessage) -> _Decode:
    def decode(
        data: Buffer, choices: bool = True, scaling: bool = True, allow_truncated: bool = False
    ) -> dict[str, Any]:
        try:
            return dict(message.decode_simple(bytes(data), choices, scaling, allow_truncated))
        except Exception as error:
            raise _refused(message.name, "a payload of this message", error) from error

    return decode


def _plan(message: CantoolsMessage) -> MessagePlan | None:
    """None: not a case for the native plan."""
    signals = _in_order(message.signals)
    names = [signal.name for signal in message.signals]
    if message.is_container or message.length > _BYTES_MAX or len(set(names)) != len(names):
        return None
    if not all(_expressible(signal) for signal in signals):
        return None
    index = {signal.name: i for i, signal in enumerate(signals)}
    try:
        return MessagePlan(message.name, message.length, [_spec(signal, index, message.signals) for signal in signals])
    except ValueError:
        return None


def _in_order(signals: list[CantoolsSignal], parent: str | None = None, depth: int = 0) -> list[CantoolsSignal]:
    """Roots first, then what each multiplexer selects: the order of cantools' answers. A signal whose multiplexer is
    none is never decoded."""
    if depth > len(signals):
        return []
    here = [signal for signal in signals if signal.multiplexer_signal == parent]
    result = list(here)
    for signal in here:
        if signal.is_multiplexer:
            result += _in_order(signals, signal.name, depth + 1)
    return result


def _expressible(signal: CantoolsSignal) -> bool:
    conversion = signal.conversion
    if conversion.is_float:
        return signal.length in (32, 64) and not conversion.choices and not signal.is_multiplexer
    if signal.length > 64:
        return False
    if not signal.is_multiplexer:
        return True
    # cantools selects by the scaled value, or back from the name; the plan by the raw one: the same only if these are.
    names = [str(choice) for choice in (conversion.choices or {}).values()]
    return conversion.scale == 1 and conversion.offset == 0 and len(set(names)) == len(names) and signal.length < 64


def _spec(signal: CantoolsSignal, index: Mapping[str, int], all_signals: list[CantoolsSignal]) -> SignalSpec:
    conversion = signal.conversion
    known: set[int] = set()
    if signal.is_multiplexer:
        for other in all_signals:
            if other.multiplexer_signal == signal.name:
                known.update(other.multiplexer_ids or ())
        known.update(conversion.choices or ())
    parent = signal.multiplexer_signal
    return {
        "name": signal.name,
        "start": signal.start,
        "bits": signal.length,
        "big_endian": signal.byte_order == "big_endian",
        "kind": "float" if conversion.is_float else "signed" if signal.is_signed else "unsigned",
        "factor": conversion.scale,
        "offset": conversion.offset,
        "choices": conversion.choices or None,
        "selector": None if parent is None else index[parent],
        "values": _ranges(signal.multiplexer_ids or ()),
        "known": _ranges(known) or None,
    }


def _ranges(values: Iterable[int]) -> list[tuple[int, int]]:
    """[1, 2, 3, 7] -> [(1, 3), (7, 7)]"""
    result: list[tuple[int, int]] = []
    for value in sorted(set(values)):
        if result and result[-1][1] == value - 1:
            result[-1] = (result[-1][0], value)
        else:
            result.append((value, value))
    return result
