"""What the tests of this room share: frames from text, and machines driven without a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from evcore.can.frames import EXTENDED, Frame

MS = 1_000_000


def frame(text: str, time_ns: int = 0) -> Frame:
    """ "1CEC56F4#10310007FF000200"; spaces in the data are allowed."""
    id, data = text.split("#")
    return Frame(int(id, 16) | (EXTENDED if len(id) == 8 else 0), bytes.fromhex(data), 0, time_ns)


def replay(machine, frames: Iterable[Frame], after: int = 0) -> list:
    """Frames at their own times, deadlines between them at theirs, then `after` ns of silence."""
    events, now = [], 0
    for item in frames:
        now = _until(machine, max(now, item.time_ns), events)
        machine.receive(item, now)
        events += machine.poll(now)
    _until(machine, now + after, events)
    return events


def _until(machine, end: int, events: list) -> int:
    while (due := machine.next_deadline()) is not None and due <= end:
        events += machine.poll(due)
    return end


@pytest.fixture
def make_frame() -> Callable[[str], Frame]:
    return frame


@pytest.fixture
def run() -> Callable[..., list]:
    return replay
