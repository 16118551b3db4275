"""Which reads to issue for a profile, by the time that they take on the wire.

A read costs (Serial Line V1.02, 2.5.1; 11 bits a character):
    13 characters (8 request, 5 around the data of the reply) + 2 silences t3.5 + the device's turnaround
    + 2 characters a register.
Two neighbours are read as one where the registers between them cost less than a read of their own. The best choice
over all points, sorted by address, is found by dynamic programming; no fixed gap is best on every line. A read never
exceeds the profile's `max_registers`, and goes over registers that are no points only inside one of its `readable`
ranges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from evcore.core.modbus import Layout, ReadRequest, Value
from evcore.modbus.client import char_ns, silence_ns
from evcore.modbus.profile import Profile, ProfilePoint

TCP_CHAR_NS = 1_000  # a byte on Ethernet costs next to nothing: fewest reads


@dataclass(frozen=True, slots=True)
class Step:
    """One read and the points in it."""

    function: int
    address: int
    count: int
    points: tuple[ProfilePoint, ...]
    layout: Layout = field(repr=False, compare=False)

    def request(self, unit: int) -> ReadRequest:
        return ReadRequest(unit, self.function, self.address, self.count)

    def decode(self, registers: bytes) -> list[tuple[ProfilePoint, Value]]:
        """Each point with what its registers hold, unscaled."""
        return list(zip(self.points, self.layout.decode(registers), strict=True))


class Plan:
    """baudrate: of the serial line, None for TCP. turnaround_s: what the device takes to answer. names: only these
    points; None: all. steps: the reads, by function and address. wire_s: what one round of them takes by the model.
    Raises KeyError (no such point)."""

    def __init__(
        self,
        profile: Profile,
        *,
        baudrate: int | None = None,
        turnaround_s: float = 0.02,
        names: Iterable[str] | None = None,
    ) -> None:
        self.profile = profile
        wanted = profile.points if names is None else tuple(profile.point(name) for name in names)
        char = TCP_CHAR_NS if baudrate is None else char_ns(baudrate)
        silence = 0 if baudrate is None else silence_ns(baudrate)
        self._read_ns = 13 * char + 2 * silence + round(turnaround_s * 1e9)
        self._register_ns = 2 * char
        steps: list[Step] = []
        for function in sorted({point.function for point in wanted}):
            points = sorted((p for p in wanted if p.function == function), key=lambda p: (p.address, p.end))
            steps += self._best(function, points)
        self.steps = tuple(steps)
        self.wire_s = sum(self._read_ns + step.count * self._register_ns for step in steps) / 1e9

    def _best(self, function: int, points: list[ProfilePoint]) -> list[Step]:
        """best[i]: the cheapest way to read points[:i], and where its last read begins."""
        best: list[tuple[int, int]] = [(0, 0)]
        for i in range(1, len(points) + 1):
            choices = []
            end = 0
            for j in range(i - 1, -1, -1):
                end = max(end, points[j].end)
                if end - points[j].address > self.profile.max_registers:
                    break
                if self._allowed(points[j:i]):
                    cost = self._read_ns + (end - points[j].address) * self._register_ns
                    choices.append((best[j][0] + cost, j))
            best.append(min(choices))
        steps: list[Step] = []
        i = len(points)
        while i:
            j = best[i][1]
            steps.append(_step(function, points[j:i]))
            i = j
        return steps[::-1]

    def _allowed(self, points: list[ProfilePoint]) -> bool:
        """Every register from the first to the last is a point's, or lies in one readable range with its neighbours."""
        reached = points[0].end
        for point in points[1:]:
            if point.address > reached and not any(
                first < reached and point.address <= last for first, last in self.profile.readable
            ):
                return False
            reached = max(reached, point.end)
        return True


def _step(function: int, points: list[ProfilePoint]) -> Step:
    base = points[0].address
    count = max(point.end for point in points) - base
    return Step(function, base, count, tuple(points), Layout(point.at(base) for point in points))
