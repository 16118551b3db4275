"""How long values take from their own time to the socket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DelaySummary:
    """Of `count` values: percentiles (at most 25 % too high, from a histogram) and the exact maximum, in ns."""

    count: int
    p50: int
    p99: int
    max: int


class Delay:
    """A histogram with four steps an octave. Negative delays (the clock of a device is ahead) count as 0."""

    def __init__(self) -> None:
        self._steps = [0] * 256
        self._count = 0
        self._max = 0

    def add(self, delay_ns: int) -> None:
        if delay_ns < 0:
            delay_ns = 0
        bits = delay_ns.bit_length()
        step = (bits << 2) + ((delay_ns >> (bits - 3)) & 3) if bits > 2 else delay_ns
        self._steps[min(step, 255)] += 1
        self._count += 1
        if delay_ns > self._max:
            self._max = delay_ns

    def summary(self) -> DelaySummary:
        return DelaySummary(self._count, self._percentile(0.5), self._percentile(0.99), self._max)

    def _percentile(self, share: float) -> int:
        left = share * self._count
        for step, count in enumerate(self._steps):
            left -= count
            if count and left <= 0:
                return min(_upper(step), self._max)
        return self._max


def _upper(step: int) -> int:
    """The first value beyond a step."""
    if step < 4:
        return step
    bits, quarter = step >> 2, step & 3
    return (5 + quarter) << (bits - 3)
