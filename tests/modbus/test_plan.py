"""Plans: the cheapest reads by the wire model, checked against every other way to cut the points."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.modbus import Plan, Profile
from evcore.modbus.client import char_ns, silence_ns
from evcore.modbus.profile import ProfilePoint

BASE = Profile.load("sdm630")


def profile(addresses: list[int], **changes: object) -> Profile:
    points = tuple(ProfilePoint(f"p{i}", address, "float32") for i, address in enumerate(addresses))
    return replace(BASE, points=points, **{"max_registers": 125, "readable": (), **changes})  # type: ignore[arg-type]


def reads(plan: Plan) -> list[tuple[int, int, int]]:
    return [(step.function, step.address, step.count) for step in plan.steps]


def test_a_read_costs_what_the_document_says():
    plan = Plan(profile([0]), baudrate=9600, turnaround_s=0.02)
    assert plan.wire_s == pytest.approx(
        (13 * char_ns(9600) + 2 * silence_ns(9600)) / 1e9 + 0.02 + 4 * char_ns(9600) / 1e9
    )


def test_neighbours_are_one_read_and_holes_are_not_read_unless_the_profile_allows_it():
    assert reads(Plan(profile([0, 2, 4, 8]), baudrate=9600)) == [(3, 0, 6), (3, 8, 2)]
    assert reads(Plan(profile([0, 2, 4, 8], readable=((0, 9),)), baudrate=9600)) == [(3, 0, 10)]
    assert reads(Plan(profile([0, 2, 4, 8], readable=((0, 5), (6, 20))), baudrate=9600)) == [(3, 0, 6), (3, 8, 2)]


def test_a_wide_hole_is_worth_a_read_of_its_own_on_a_slow_line_only():
    far = profile([0, 60], readable=((0, 61),))
    assert len(reads(Plan(far, baudrate=9600, turnaround_s=0.02))) == 2
    assert len(reads(Plan(far, baudrate=115200, turnaround_s=0.02))) == 1
    assert len(reads(Plan(far))) == 1


def test_the_limit_of_one_read_is_never_exceeded():
    plan = Plan(profile(list(range(0, 60, 2)), max_registers=10), baudrate=9600)
    assert reads(plan) == [(3, 10 * i, 10) for i in range(6)]


def test_functions_are_read_apart_and_names_choose_points():
    mixed = replace(BASE, points=(ProfilePoint("a", 0, "int16", function=4), ProfilePoint("b", 1, "int16", function=3)))
    assert reads(Plan(mixed)) == [(3, 1, 1), (4, 0, 1)]
    assert reads(Plan(BASE, names=["power", "frequency"], baudrate=9600)) == [(4, 52, 20)]
    with pytest.raises(KeyError):
        Plan(BASE, names=["nothing"])
    assert Plan(BASE, names=[]).steps == ()


def test_an_sdm630_takes_two_reads_of_at_most_50_registers():
    assert reads(Plan(BASE, baudrate=9600)) == [(4, 0, 36), (4, 52, 24)]


@settings(max_examples=60, deadline=None)
@given(
    addresses=st.lists(st.integers(0, 150), min_size=1, max_size=8, unique=True),
    limit=st.integers(2, 125),
    edge=st.integers(0, 150),
    baudrate=st.sampled_from([1200, 9600, 115200]),
)
def test_no_other_cut_is_cheaper(addresses, limit, edge, baudrate):
    chosen = profile([2 * a for a in addresses], max_registers=limit, readable=((0, edge), (edge + 1, 400)))
    plan = Plan(chosen, baudrate=baudrate)
    points = sorted(chosen.points, key=lambda p: p.address)
    best = None
    for cuts in itertools.product([False, True], repeat=len(points) - 1):
        groups = [[points[0]]]
        for cut, point in zip(cuts, points[1:], strict=True):
            if cut:
                groups.append([])
            groups[-1].append(point)
        if all(allowed(group, chosen) for group in groups):
            cost = sum(plan._read_ns + (g[-1].end - g[0].address) * plan._register_ns for g in groups)
            best = cost if best is None else min(best, cost)
    assert best is not None
    assert plan.wire_s == pytest.approx(best / 1e9)
    for step in plan.steps:
        assert step.count <= limit
        covered = {a for p in step.points for a in range(p.address, p.end)}
        assert covered <= set(range(step.address, step.address + step.count))


def allowed(group: list[ProfilePoint], of: Profile) -> bool:
    """Register by register: each hole between two neighbours lies, with both of their edges, in one readable range."""
    if group[-1].end - group[0].address > of.max_registers:
        return False
    for left, right in itertools.pairwise(group):
        hole = range(left.end - 1, right.address + 1)
        if right.address > left.end and not any(all(f <= a <= t for a in hole) for f, t in of.readable):
            return False
    return True
