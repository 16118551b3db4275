"""Policies: what holds for a direction and an action, and what is no policy."""

from __future__ import annotations

from typing import Any

import pytest

from evcore.ocpp import Codec
from evcore.ocpp.policy import Policy, Rule, policy_of
from evcore.ocpp.repairs import Repair, check_names, default_names, quote, shorten, table
from evcore.ocpp.repairs_text import _FIXES as TEXT_FIXES
from evcore.ocpp.repairs_values import _FIXES as VALUE_FIXES


def test_every_repair_of_the_table_is_done_by_code_and_every_code_is_in_the_table() -> None:
    by_level = {
        level: {row.name for row in table().values() if row.level == level} for level in ("text", "frame", "value")
    }
    assert by_level["text"] | by_level["frame"] == set(TEXT_FIXES)
    assert by_level["value"] - {"let_through"} == set(VALUE_FIXES)


def test_every_repair_names_what_it_mends_and_an_issue_that_shows_it() -> None:
    for row in table().values():
        assert row.mends
        assert row.seen
        assert all("#" in seen and "/" in seen for seen in row.seen), row.name
        assert (row.level == "value") == bool(row.on or row.name == "let_through"), row.name


def test_a_mode_alone_means_what_comes_in_and_off_means_both_ways() -> None:
    assert policy_of("strict") == Policy() == Policy("strict", out="strict")
    assert policy_of("lenient").rule("in", "Heartbeat").repairs == default_names()
    assert policy_of("lenient").rule("out", "Heartbeat") == Rule("strict")
    assert policy_of("off").rule("out", None).mode == "off"
    assert "let_through" not in default_names()


def test_an_exception_holds_for_its_direction_and_action_only() -> None:
    policy = Policy("lenient", {"cut"}, actions={"MeterValues": "off"}, out_actions={"MeterValues": Rule("lenient")})
    assert policy.rule("in", "MeterValues") == Rule("off")
    assert policy.rule("in", "Heartbeat") == policy.rule("in", None) == Rule("lenient", {"cut"})
    assert policy.rule("out", "MeterValues").repairs == default_names()
    assert policy.rule("out", "Heartbeat") == Rule("strict")
    assert policy.all_repairs("in") == {"cut"}
    assert not policy.everywhere("in", "lenient")
    assert Policy("off").everywhere("in", "off")


def test_policies_are_immutable_and_equal_by_content() -> None:
    one, same = (Policy("lenient", actions={"A": "off", "B": "strict"}) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != Policy("lenient", actions={"A": "off"})
    with pytest.raises(AttributeError):
        one.inbound = Rule()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "loose"}, "mode: expected one of strict, lenient, off, got 'loose'"),
        ({"mode": "lenient", "repairs": ["cuts"]}, "expected a known repair, perhaps cut, got 'cuts'"),
        ({"mode": "lenient", "repairs": "cut"}, "expected a list of names, got the text 'cut'"),
        ({"mode": "strict", "repairs": ["cut"]}, "repairs: expected with mode lenient only"),
        ({"actions": {"MeterValues": "loose"}}, "actions.MeterValues: expected a Rule or one of strict"),
        ({"actions": {"Meter Values": "off"}}, "actions: expected names of actions, got 'Meter Values'"),
        ({"out_actions": {7: "off"}}, "out_actions: expected names of actions, got 7"),
        ({"out": "loose"}, "out: expected a Rule or one of strict"),
    ],
)
def test_what_is_no_policy_is_refused_by_key_expected_and_got(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        Policy(**arguments)
    assert words in str(refused.value)


def test_a_codec_takes_a_mode_or_a_policy_not_both() -> None:
    with pytest.raises(ValueError, match="mode: expected none beside a policy"):
        Codec("1.6", mode="lenient", policy=Policy())
    with pytest.raises(ValueError, match="mode: expected one of strict, lenient, off"):
        Codec("1.6", mode="loose")  # type: ignore[arg-type]


def test_a_report_of_a_repair_is_short_and_tells_no_secret() -> None:
    assert quote("LetMeIn!") == "a text of 8 characters"
    assert quote(None) == "null"
    assert len(shorten("x" * 1000)) == 40
    assert str(Repair("cut", "/info", "a text of 80 characters", "a text of 50 characters")).startswith("cut at /info")


def test_no_names_at_all_are_a_set_of_none() -> None:
    assert check_names([]) == frozenset()
