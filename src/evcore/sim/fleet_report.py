"""What a fleet counted."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Histogram:
    """Durations in ns, in 32 steps for each doubling: a percentile is right to 3 %, and memory does not grow."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = self.longest = 0

    def add(self, ns: int) -> None:
        shift = max(ns.bit_length() - 6, 0)
        self._buckets[(shift << 6) | (ns >> shift)] += 1
        self.count += 1
        if ns > self.longest:
            self.longest = ns

    def percentile(self, share: float) -> int:
        """The duration that `share` of all do not exceed; 0 without any."""
        left = share * self.count
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return min(((bucket & 63) + 1) << (bucket >> 6), self.longest)
        return self.longest


class FleetReport:
    """drops, broken: faults that the fleet made. broken_refused: CALLERRORs for them. cut: CALLs whose answer a
    connection's end cut off. denied: answers that do not accept the driver's token, by action. asked: CALLs of the
    CSMS. nonsense: what came and is nothing. closings: by code."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.results: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.denied: Counter[str] = Counter()
        self.closings: Counter[str] = Counter()
        self.latency, self.opening = Histogram(), Histogram()
        self.failures: Counter[str] = Counter()
        self.drops = self.broken = self.broken_refused = self.cut = self.asked = self.nonsense = 0
        self.unanswered = self.behind = self.lost = 0
        self.seconds = 0.0

    def sent(self, action: str) -> None:
        self.calls[action] += 1

    def answered(self, action: str, ns: int, good: bool) -> None:
        self.latency.add(ns)
        (self.results if good else self.refusals)[action] += 1

    @property
    def ok(self) -> bool:
        """Was every good CALL answered with a result, but for those that a fault of ours cut off?"""
        refused = sum(self.refusals.values()) + self.unanswered + self.nonsense
        return refused == 0 and self.lost == 0 and sum(self.results.values()) > 0

    def as_dict(self, **about: Any) -> dict[str, Any]:
        answered = sum(self.results.values())
        return about | {
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "sent": sum(self.calls.values()),
            "answered": answered,
            "refused": sum(self.refusals.values()),
            "denied": sum(self.denied.values()),
            "unanswered": self.unanswered,
            "cut_off": self.cut,
            "per_second": round(answered / self.seconds, 1) if self.seconds else 0.0,
            "latency_ms": _milliseconds(self.latency),
            "connections": self.opening.count,
            "opening_ms": _milliseconds(self.opening),
            "not_connected": dict(self.failures),
            "lost": self.lost,
            "closings": dict(self.closings),
            "faults": {"dropped": self.drops, "broken": self.broken, "broken_refused": self.broken_refused},
            "asked": self.asked,
            "nonsense": self.nonsense,
            "behind": self.behind,
            "actions": {
                action: {
                    "sent": n,
                    "answered": self.results[action],
                    "refused": self.refusals[action],
                    "denied": self.denied[action],
                }
                for action, n in sorted(self.calls.items())
            },
        }


def _milliseconds(histogram: Histogram) -> dict[str, float]:
    shares = {"p50": 0.5, "p99": 0.99}
    found = {name: round(histogram.percentile(share) / 1e6, 3) for name, share in shares.items()}
    return found | {"max": round(histogram.longest / 1e6, 3)}
