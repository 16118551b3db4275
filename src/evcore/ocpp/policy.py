"""How strictly messages are judged: for each direction and action a mode, and in the lenient mode a set of repairs.

`"in"` is what the peer sends, `"out"` what this side sends. Modes:

strict      a message that breaks its schema is refused, with the code and the place
lenient     it is mended where a repair of the table fits (`evcore.ocpp.repairs`), and that is reported; else refused
off         nothing is judged but the frame itself
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from evcore.ocpp.repairs import check_names, default_names

Mode: TypeAlias = Literal["strict", "lenient", "off"]
Direction: TypeAlias = Literal["in", "out"]

MODES: tuple[str, ...] = get_args(Mode)
_ACTION = re.compile("[A-Za-z0-9]{1,64}")
_NONE: Mapping[str, Rule | Mode] = MappingProxyType({})


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """A mode and the repairs that it allows; none but in the lenient mode."""

    mode: Mode
    repairs: frozenset[str]

    def __init__(self, mode: Mode = "strict", repairs: Collection[str] | None = None) -> None:
        """repairs: names of `evcore.ocpp.repairs.table`; None: its defaults. Raises ValueError."""
        if mode not in MODES:
            raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
        if repairs is not None and mode != "lenient":
            raise ValueError(f"repairs: expected with mode lenient only, got them with mode {mode}")
        object.__setattr__(self, "mode", mode)
        allowed = frozenset[str]()
        if mode == "lenient":
            allowed = default_names() if repairs is None else check_names(repairs)
        object.__setattr__(self, "repairs", allowed)


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """What is accepted from a peer, and what is sent to it. Immutable; equal by content.

    inbound, outbound: what holds where no exception does. exceptions: (direction, action, rule).
    """

    inbound: Rule
    outbound: Rule
    exceptions: frozenset[tuple[Direction, str, Rule]]
    _by_action: dict[tuple[Direction, str], Rule] = field(repr=False, compare=False)

    def __init__(
        self,
        mode: Mode = "strict",
        repairs: Collection[str] | None = None,
        *,
        actions: Mapping[str, Rule | Mode] = _NONE,
        out: Rule | Mode = "strict",
        out_actions: Mapping[str, Rule | Mode] = _NONE,
    ) -> None:
        """mode, repairs: of what comes in. actions: by action, where it differs. out, out_actions: the same of what
        goes out: strict unless said otherwise, for a peer is to get what its protocol promises. Raises ValueError."""
        found: dict[tuple[Direction, str], Rule] = {}
        for direction, key, given in (("in", "actions", actions), ("out", "out_actions", out_actions)):
            for action, rule in given.items():
                if not isinstance(action, str) or not _ACTION.fullmatch(action):
                    raise ValueError(f"{key}: expected names of actions, got {action!r}"[:200])
                found[direction, action] = _as_rule(f"{key}.{action}", rule)  # type: ignore[index]
        object.__setattr__(self, "inbound", Rule(mode, repairs))
        object.__setattr__(self, "outbound", _as_rule("out", out))
        object.__setattr__(self, "exceptions", frozenset((*key, rule) for key, rule in found.items()))
        object.__setattr__(self, "_by_action", found)

    def rule(self, direction: Direction, action: str | None) -> Rule:
        """What holds for an action; None: one that could not be read."""
        default = self.inbound if direction == "in" else self.outbound
        return default if action is None else self._by_action.get((direction, action), default)

    def but(self, action: str, rule: Rule) -> Policy:
        """The same policy, with another rule for an action that comes in."""
        actions = {action: other for (direction, action), other in self._by_action.items() if direction == "in"}
        out = {action: other for (direction, action), other in self._by_action.items() if direction == "out"}
        mode, repairs = self.inbound.mode, self.inbound.repairs if self.inbound.mode == "lenient" else None
        return Policy(mode, repairs, actions={**actions, action: rule}, out=self.outbound, out_actions=out)

    def all_repairs(self, direction: Direction) -> frozenset[str]:
        """The repairs that some action of a direction allows: for a message whose action could not be read yet."""
        default = self.inbound if direction == "in" else self.outbound
        return default.repairs.union(*(rule.repairs for where, _, rule in self.exceptions if where == direction))

    def everywhere(self, direction: Direction, mode: Mode) -> bool:
        """Does `mode` hold for every action of a direction?"""
        default = self.inbound if direction == "in" else self.outbound
        return default.mode == mode and all(
            rule.mode == mode for where, _, rule in self.exceptions if where == direction
        )


def policy_of(mode: Mode) -> Policy:
    """What a mode alone means: what goes out is judged too, unless the mode is off. Raises ValueError."""
    return Policy(mode, out="off" if mode == "off" else "strict")


def _as_rule(key: str, given: Rule | Mode) -> Rule:
    if isinstance(given, Rule):
        return given
    if given not in MODES:
        raise ValueError(f"{key}: expected a Rule or one of {', '.join(MODES)}, got {given!r}")
    return Rule(given)
