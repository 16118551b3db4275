"""What is known of each device on a line: how fast it answers, how often it fails, whether it may be asked now.

A device that has been silent `STRIKES_OUT / SILENT` times in a row is taken for dead: its circuit opens. From then on
requests to it fail at once, but for one probe a period; the period doubles up to `PROBE_LONGEST_NS`. Any reply, a
refusal too, closes the circuit. Spoilt replies count less than silence: a noisy device is alive.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SECOND = 1_000_000_000
SILENT, SPOILT, STRIKES_OUT = 4, 1, 16
PROBE_FIRST_NS, PROBE_LONGEST_NS = SECOND, 30 * SECOND

# Upper bounds in seconds of all buckets of a latency histogram but the last: 0.128 ms, then twice as much each.
LATENCY_BOUNDS: tuple[float, ...] = tuple(0.000128 * 2.0**i for i in range(17))
_LOWEST_NS = 128_000


@dataclass(frozen=True, slots=True)
class UnitStatistics:
    """Of one device. answered: good replies. refused: exceptions. invalid: replies that were none. retries: tries after
    the first. late: replies to tries given up. worst_s: slowest reply. latency: replies by the bounds
    LATENCY_BOUNDS, one bucket more than bounds. circuit_open: it is taken for dead."""

    answered: int
    refused: int
    timeouts: int
    invalid: int
    late: int
    retries: int
    worst_s: float
    latency: tuple[int, ...]
    circuit_open: bool

    def latency_s(self, share: float) -> float:
        """The bound under which this share of the replies came (0..1); the slowest one where that is lower."""
        wanted, seen = share * sum(self.latency), 0
        for bound, number in zip(LATENCY_BOUNDS, self.latency, strict=False):
            seen += number
            if seen >= wanted:
                return min(bound, self.worst_s)
        return self.worst_s


@dataclass(slots=True)
class Unit:
    """timeout, spacing: ns. retries: see `Bus`. worst: ns, of all replies, late ones too. free: when it may be asked
    again. open_until: when the next probe may go, None: the circuit is closed."""

    timeout: int
    retries: int = 0
    spacing: int = 0
    answered: int = 0
    refused: int = 0
    timeouts: int = 0
    invalid: int = 0
    late: int = 0
    retried: int = 0
    worst: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    free: int = 0
    strikes: int = 0
    open_until: int | None = None
    probing: bool = False
    period: int = PROBE_FIRST_NS
    tags: list[int] = field(default_factory=lambda: [0, 0])  # of the last request queued: reads, urgent ones

    def measure(self, took: int) -> None:
        """A reply came `took` ns after its request began."""
        bucket = (took // _LOWEST_NS).bit_length()
        self.latency[bucket if bucket < len(self.latency) else -1] += 1
        if took > self.worst:
            self.worst = took

    def alive(self) -> None:
        """It has answered, or is to be taken for new."""
        self.strikes, self.open_until, self.probing, self.period = 0, None, False, PROBE_FIRST_NS

    def failed(self, now: int, *, silent: bool, probe: bool) -> bool:
        """A try went wrong. Is the circuit open now?"""
        self.strikes += SILENT if silent else SPOILT
        if probe:
            self.period = min(2 * self.period, PROBE_LONGEST_NS)
        elif self.open_until is not None or self.strikes < STRIKES_OUT:
            return self.open_until is not None
        self.open_until, self.probing = now + self.period, False
        return True

    def statistics(self) -> UnitStatistics:
        return UnitStatistics(
            self.answered,
            self.refused,
            self.timeouts,
            self.invalid,
            self.late,
            self.retried,
            self.worst / SECOND,
            tuple(self.latency),
            self.open_until is not None,
        )
