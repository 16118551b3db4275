"""Two sessions on a bad wire, driven by hypothesis: `two_sessions.py` says what must hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from two_sessions import VERSIONS, TwoSessions

from evcore.ocpp.rules import Priority

sides = st.sampled_from(("csms", "station"))
places = st.integers(0, 9)


class Machine(RuleBasedStateMachine):
    world: TwoSessions

    @initialize(version=st.sampled_from(VERSIONS), accepted=st.booleans())
    def begin(self, version: str, accepted: bool) -> None:
        self.world = TwoSessions(version, accepted)

    @rule(accepted=st.booleans())
    def reconnect(self, accepted: bool) -> None:
        self.world.reconnect(accepted)

    @rule(n=st.integers(1, 8))
    def deliver(self, n: int) -> None:
        for _ in range(n):
            self.world.deliver()

    @rule(place=places)
    def deliver_out_of_order(self, place: int) -> None:
        self.world.deliver(place)

    @rule(place=places)
    def lose(self, place: int) -> None:
        self.world.lose(place)

    @rule(place=places)
    def double(self, place: int) -> None:
        self.world.double(place)

    @rule(place=places, cut=st.integers(0, 40), byte=st.integers(0, 255))
    def spoil(self, place: int, cut: int, byte: int) -> None:
        self.world.spoil(place, cut, byte)

    @rule(to=sides, type=st.integers(2, 7), place=places)
    def forge(self, to: str, type: int, place: int) -> None:
        self.world.forge(to, type, place)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(side=sides, timeout=st.sampled_from((5, 30)), priority=st.sampled_from((None, *Priority)))
    def call(self, side: str, timeout: int, priority: Priority | None) -> None:
        self.world.call(side, timeout, priority)

    @rule(status=st.sampled_from(("Accepted", "Pending", "Rejected")))
    def boot(self, status: str) -> None:
        self.world.boot(status)

    @rule(what=st.sampled_from(("Heartbeat", "StatusNotification")))
    def trigger(self, what: str) -> None:
        self.world.trigger(what)

    @rule(side=sides)
    def send(self, side: str) -> None:
        self.world.send(side)

    @rule(side=sides, place=places)
    def cancel(self, side: str, place: int) -> None:
        self.world.cancel(side, place)

    @rule(side=sides, place=places, how=st.sampled_from(("answer", "answer", "refuse", "nonsense", "twice")))
    def answer(self, side: str, place: int, how: str) -> None:
        self.world.answer(side, place, how)

    @rule(side=sides, place=places)
    def refuse_result(self, side: str, place: int) -> None:
        self.world.refuse_result(side, place)

    @invariant()
    def what_must_hold(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.hang_up()


@pytest.mark.parametrize("steps", [15, 60])
def test_each_call_ends_once_and_no_answer_reaches_another_whatever_the_wire_does(steps: int) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_the_seeds_of_the_fuzz_target_are_lawful_stories() -> None:
    fuzz = Path(__file__).parents[2] / "fuzz"
    seeds = sorted(fuzz.glob("corpus/session/*"))
    assert len(seeds) >= 6
    subprocess.run([sys.executable, fuzz / "session.py", *seeds], check=True, timeout=60)
