"""From a site's file to the policy of a station."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcore.gateway.config import parse
from evcore.gateway.policies import policy_for
from evcore.model import Station
from evcore.ocpp.policy import Policy, Rule
from evcore.ocpp.repairs import default_names

FILE = """
[[ocpp]]
[ocpp.policy]
mode = "lenient"
without = ["time_zone"]
actions = { MeterValues = "off", BootNotification = ["cut"] }
out_actions = { ChangeConfiguration = "off" }

[[ocpp.policies]]
stations = ["TEST-*", "LAB"]
mode = "off"

[[ocpp.policies]]
vendor = "Schneider*"
model = "*evlink*"
mode = "lenient"
repairs = ["cut", "let_through"]

[[ocpp.policies]]
vendor = "alfen"
"""


def station(id: str = "CP1", vendor: str = "", model: str = "") -> Station:
    return Station(id, True, vendor=vendor, model=model)


def test_without_tables_all_stations_have_the_policy_of_the_port(tmp_path: Path) -> None:
    assert policy_for(parse("[[ocpp]]", file="f", base=tmp_path).ocpp[0]) == Policy()
    text = FILE.partition("[[ocpp.policies]]")[0]
    policy = policy_for(parse(text, file="f", base=tmp_path).ocpp[0])
    assert isinstance(policy, Policy)
    assert policy.rule("in", "Heartbeat") == Rule("lenient", default_names() - {"time_zone"})
    assert policy.rule("in", "MeterValues") == Rule("off")
    assert policy.rule("in", "BootNotification") == Rule("lenient", ["cut"])
    assert policy.rule("out", "ChangeConfiguration") == Rule("off")
    assert policy.rule("out", "Reset") == Rule("strict")


def test_the_first_table_that_fits_a_station_counts(tmp_path: Path) -> None:
    policies = policy_for(parse(FILE, file="f", base=tmp_path).ocpp[0])
    assert not isinstance(policies, Policy)
    assert policies(station("TEST-7")) == policies(station("LAB", "Schneider Electric", "EVlink")) == Policy("off")
    schneider = policies(station("CP1", "SCHNEIDER Electric", "The EVlink Box"))
    assert schneider == Policy("lenient", ["cut", "let_through"])
    assert policies(station("CP1", "Alfen", "Eve")) == Policy()
    assert policies(station("CP1", "Other", "EVlink")).rule("in", "MeterValues") == Rule("off")


def test_a_station_that_has_not_booted_yet_may_say_who_it_is_though_it_says_it_wrong(tmp_path: Path) -> None:
    text = FILE.replace('mode = "lenient"', 'mode = "strict"', 1).replace('without = ["time_zone"]', "")
    text = text.replace('BootNotification = ["cut"]', 'Reset = "off"')
    policies = policy_for(parse(text, file="f", base=tmp_path).ocpp[0])
    assert not isinstance(policies, Policy)
    unknown = policies(station())
    assert unknown.rule("in", "BootNotification") == Rule("lenient", ["cut", "let_through"])
    assert unknown.rule("in", "Heartbeat") == Rule("strict")
    assert unknown.rule("in", "MeterValues") == Rule("off")
    assert unknown.rule("out", "ChangeConfiguration") == Rule("off")
    assert policies(station("CP1", "Other", "Box")).rule("in", "BootNotification") == Rule("strict")


@pytest.mark.parametrize("pattern", ["stations = ['*']", "vendor = '*'", "model = '*'"])
def test_each_pattern_alone_says_whose_policy_it_is(pattern: str, tmp_path: Path) -> None:
    text = f"[[ocpp]]\n[[ocpp.policies]]\n{pattern}\nmode = 'off'"
    policies = policy_for(parse(text, file="f", base=tmp_path).ocpp[0])
    assert not isinstance(policies, Policy)
    assert policies(station("CP1", "V", "M")) == Policy("off")
