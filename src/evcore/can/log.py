"""Recorded frames: candump text and SavvyCAN CSV read here, every other format through python-can."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import IO

from evcore.can.frames import EXTENDED, FD, REMOTE, STANDARD_MAX, Frame
from evcore.errors import ConfigError, FrameError

_KEPT = 100
# (1703510921.123456) can0 1826F456#010100 R
_CANDUMP = re.compile(
    r"\((\d+)\.(\d+)\)\s+(\S+)\s+([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})#(?:#([0-9A-Fa-f]))?"
    r"(?:(R)[0-9A-Fa-f]?|([0-9A-Fa-f.]*))(?:_[0-9A-Fa-f])?(?:\s+[TR])?\s*"
)
_CANDUMP_NAMES = {".log", ".candump", ".txt", ""}


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that is no frame. number: counted from 1."""

    number: int
    reason: str
    text: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}: {self.text!r}"


class Log:
    """The frames of one file, read as they are asked for; each iteration begins anew.

    broken: how many lines were no frame in the last iteration; each costs only itself. errors: the first 100 of them.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self.broken = 0
        self.errors: list[LineError] = []

    def __iter__(self) -> Iterator[Frame]:
        """Raises ConfigError (no such file, or a format that nobody knows), FrameError (a broken binary file)."""
        self.broken, self.errors = 0, []
        suffix = Path(self.path).suffix.lower()
        try:
            if suffix in _CANDUMP_NAMES:
                with open(self.path, encoding="ascii", errors="replace") as file:
                    yield from self._candump(file)
            elif suffix == ".csv" and self._is_savvycan():
                with open(self.path, encoding="ascii", errors="replace", newline="") as file:
                    yield from self._savvycan(file)
            else:
                yield from self._python_can()
        except OSError as error:
            raise ConfigError(self.path, "", "a readable file", str(error)) from error

    def _refuse(self, number: int, reason: str, text: str) -> None:
        self.broken += 1
        if len(self.errors) < _KEPT:
            self.errors.append(LineError(number, reason, text[:80]))

    def _candump(self, file: IO[str]) -> Iterator[Frame]:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            frame = _candump_frame(line)
            if isinstance(frame, str):
                self._refuse(number, frame, line.rstrip("\n"))
            else:
                yield frame

    def _is_savvycan(self) -> bool:
        with open(self.path, encoding="ascii", errors="replace") as file:
            return file.readline(100).startswith("Time Stamp,ID,Extended")

    def _savvycan(self, file: IO[str]) -> Iterator[Frame]:
        rows = csv.reader(file)
        columns = {name.strip(): i for i, name in enumerate(next(rows))}
        for row in rows:
            try:
                yield _savvycan_frame(row, columns)
            except (ValueError, IndexError, KeyError) as error:
                self._refuse(rows.line_num, str(error), ",".join(row))

    def _python_can(self) -> Iterator[Frame]:
        import can

        from evcore.can.bus import frame_of

        try:
            with can.LogReader(self.path) as reader:
                for message in reader:
                    yield frame_of(message)
        except OSError:
            raise
        except Exception as error:  # python-can's readers raise what their parsing happens to raise
            unknown = "unknown" in str(error).lower() and "format" in str(error).lower()
            if unknown:
                raise ConfigError(self.path, "", "a log format that python-can reads", str(error)) from error
            raise FrameError("log", f"{self.path}: {type(error).__name__}: {error}") from error


def read_log(path: str | PathLike[str]) -> Log:
    """The frames of a log file. Format by name: .log .candump .txt (candump -l), .csv (SavvyCAN, or python-can's own),
    and all that python-can reads (.asc .blf .trc .mf4 .db)."""
    return Log(path)


def _candump_frame(line: str) -> Frame | str:
    match = _CANDUMP.fullmatch(line)
    if match is None:
        return "not a candump line"
    seconds, fraction, _, id_text, flags, remote, payload = match.groups()
    time_ns = int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    id = int(id_text, 16)
    if len(id_text) == 8 and not id >> 29:
        id |= EXTENDED  # candump writes 29-bit identifiers with eight digits; error frames carry their own flag
    elif len(id_text) == 3 and id > STANDARD_MAX:
        return "an identifier of three digits has 11 bits"
    if remote:
        return Frame(id | REMOTE, b"", 0, time_ns)
    try:
        data = bytes.fromhex(payload.replace(".", ""))
    except ValueError:
        return "half a byte"
    if len(data) > (8 if flags is None else 64):
        return f"{len(data)} bytes"
    return Frame(id, data, 0 if flags is None else int(flags, 16) | FD, time_ns)


def _savvycan_frame(row: list[str], columns: dict[str, int]) -> Frame:
    """Time stamps are microseconds."""
    id = int(row[columns["ID"]], 16)
    extended = row[columns["Extended"]].strip().lower() == "true"
    if id > (0x1FFF_FFFF if extended else STANDARD_MAX):
        raise ValueError("identifier too large")
    length = int(row[columns["LEN"]])
    first = columns["D1"]
    if not 0 <= length <= 64 or first + length > len(row):
        raise ValueError(f"{length} bytes, {len(row) - first} columns")
    data = bytes(int(cell, 16) for cell in row[first : first + length])
    flags = FD if length > 8 else 0
    return Frame(id | EXTENDED if extended else id, data, flags, int(row[columns["Time Stamp"]]) * 1000)
