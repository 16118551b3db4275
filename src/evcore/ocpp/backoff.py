"""When a station may try to connect again. Sans-I/O.

Source: OCPP 2.0.1 and 2.1 Part 4, 5.3 with errata 2025-04: the first wait is RetryBackOffWaitMinimum and a random part,
each further one twice the one before and a new random part, and after RetryBackOffRepeatTimes doublings it stays. 1.6
asks for an appropriate law only, so it gets the same one.
"""

from __future__ import annotations

import random
from collections.abc import Callable

_SECOND = 1_000_000_000


class RetryBackOff:
    """wait_minimum_s, random_range_s, repeat_times: the variables of that name of OCPPCommCtrlr, may be changed at any
    time. stable_s: a link resets the law when it lasted so long, or when the station was accepted on it; one that
    opens and breaks at once does not. rng: 0 to 1.
    """

    def __init__(
        self,
        wait_minimum_s: float = 5.0,
        random_range_s: float = 10.0,
        repeat_times: int = 5,
        *,
        stable_s: float = 60.0,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.wait_minimum_s, self.random_range_s, self.repeat_times = wait_minimum_s, random_range_s, repeat_times
        self._stable, self._rng = int(stable_s * _SECOND), rng
        self._wait = 0.0  # the last one, s; 0: none since the reset
        self._doublings = 0
        self._since: int | None = None

    def connected(self, now: int) -> None:
        """A link opened; whether it counts as success is seen later."""
        self._since = now

    def accepted(self) -> None:
        """BootNotification was accepted: this link is a success."""
        self._wait, self._doublings = 0.0, 0

    def next_try(self, now: int) -> int:
        """The link ended, or did not open: when to try again (monotonic ns)."""
        if self._since is not None and now - self._since >= self._stable:
            self.accepted()
        self._since = None
        if not self._wait:
            self._wait = self.wait_minimum_s + self._random()
        elif self._doublings < self.repeat_times:
            self._doublings += 1
            self._wait = 2 * self._wait + self._random()
        return now + int(self._wait * _SECOND)

    def _random(self) -> float:
        return self._rng() * self.random_range_s
