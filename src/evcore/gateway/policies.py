"""From the tables of a site's file to the policy of each station."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, cast

from evcore.model import Station
from evcore.ocpp.policy import MODES, Mode, Policy, Rule
from evcore.ocpp.repairs import check_names, default_names

if TYPE_CHECKING:
    from evcore.gateway.config import OcppTable, PolicyTable, StationPolicyTable

BOOT = "BootNotification"


def policy_for(listener: OcppTable) -> Policy | Callable[[Station], Policy]:
    """How the stations of a port are judged."""
    default = _policy(listener.policy)
    return StationPolicies(default, listener.policies) if listener.policies else default


class StationPolicies:
    """The policy of a station: that of the first table whose patterns fit, else the default.

    Vendor and model are known once a station has booted. Until then its BootNotification, and that alone, is mended
    with what the tables that look for them allow: a message too broken to say who sent it would never find its table.
    """

    def __init__(self, default: Policy, tables: Iterable[StationPolicyTable]) -> None:
        self._default = default
        self._tables = [(table, _policy(table)) for table in tables]

    def __call__(self, station: Station) -> Policy:
        known = bool(station.vendor or station.model)
        to_come = set[str]()
        for table, policy in self._tables:
            if not _fits_identity(table, station.id):
                continue
            if not known and (table.vendor is not None or table.model is not None):
                to_come |= policy.rule("in", BOOT).repairs
            elif _fits(table.vendor, station.vendor) and _fits(table.model, station.model):
                return _letting_boot(policy, to_come)
        return _letting_boot(self._default, to_come)


def _letting_boot(policy: Policy, repairs: set[str]) -> Policy:
    own = policy.rule("in", BOOT)
    if not repairs or own.mode == "off":
        return policy
    return policy.but(BOOT, Rule("lenient", own.repairs | repairs))


def _fits_identity(table: StationPolicyTable, identity: str) -> bool:
    return not table.stations or any(fnmatchcase(identity, pattern) for pattern in table.stations)


def _fits(pattern: str | None, value: str) -> bool:
    return pattern is None or fnmatchcase(value.casefold(), pattern.casefold())


def policy_problems(key: str, table: PolicyTable) -> Iterable[tuple[str, str, str]]:
    """What is wrong with a policy: key, expected, got."""
    if key.endswith("]"):  # of some stations
        patterns = (getattr(table, name) for name in ("stations", "vendor", "model"))
        if not any(patterns):
            yield key, "stations, vendor or model, to say whose policy it is", "none of them"
    if table.repairs is not None and table.without:
        yield f"{key}.without", "nothing beside repairs, which names them all", ", ".join(table.without)[:80]
    if table.mode != "lenient" and (table.repairs is not None or table.without):
        yield key, 'mode = "lenient" with repairs or without', f'mode = "{table.mode}"'
        return
    for part, names in (("repairs", table.repairs or ()), ("without", table.without)):
        yield from _name_problems(f"{key}.{part}", names)
    for part, actions in (("actions", table.actions), ("out_actions", table.out_actions)):
        for action, given in actions.items():
            where = f"{key}.{part}.{action}"[:120]
            if isinstance(given, tuple):
                yield from _name_problems(where, given)
            elif given not in MODES:
                yield where, f"one of {', '.join(MODES)}, or a list of repairs", repr(given)[:80]
            if not (action.isascii() and action.isalnum()):
                yield where, "the name of an action", repr(action)[:80]


def _name_problems(key: str, names: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    for name in names:
        try:
            check_names([name])
        except ValueError as error:
            expected, _, got = str(error).removeprefix("repairs: expected ").rpartition(", got ")
            yield key, expected, got


def _policy(table: PolicyTable) -> Policy:
    repairs: Iterable[str] | None = table.repairs
    if table.without:
        repairs = default_names() - set(table.without)
    return Policy(
        table.mode,
        None if repairs is None else frozenset(repairs),
        actions=_rules(table.actions),
        out=table.out,
        out_actions=_rules(table.out_actions),
    )


def _rules(given: Mapping[str, str | tuple[str, ...]]) -> dict[str, Rule]:
    return {
        action: Rule("lenient", rule) if isinstance(rule, tuple) else Rule(cast("Mode", rule))
        for action, rule in given.items()
    }
