"""The tables of `ocpp-session.md`, from those that the session runs by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from evcore.ocpp.boot_gate import BOOT_GATE, MANY, REMOTE, REPORTS, TRIGGER_NAMES, TRIGGERS
from evcore.ocpp.events import Outcome
from evcore.ocpp.rules import FRAME_CODES, RULES, URGENT, Priority, Rules, priority_of

# The fields of `Rules`: what each is about, and where it is written.
SUBJECTS = {
    "unreadable": ("no JSON, or a CALL without a readable id: answered under the id `-1` with", "2.x Part 4, 4.2.3"),
    "unknown_type": (
        "a message type number that nobody knows: answered with",
        "1.6J and 2.x Part 4, 4.1.3; 2.0.1 Part 4, 4.4, which the errata of 2026-04 are said to take back",
    ),
    "result_errors": ("a CALLRESULT that breaks its schema is answered with CALLRESULTERROR", "2.1 Part 2, FR.06"),
    "silent_when_rejected": (
        "a rejected station answers nothing, instead of `SecurityError`",
        "1.6, 4.2; 2.x Part 2, B03.FR.08",
    ),
    "repeated": (
        "a CALL that comes again under its id gets the one answer (`answer`) or `ProtocolError` (`refuse`)",
        "1.6J, 4.1.4; 2.0.1 Part 4, 4.1.4 with errata 2024-09",
    ),
}


def session() -> str:
    remote = frozenset[str]().union(*REMOTE.values())
    return "\n\n".join(
        [
            "### What differs between the versions: `RULES`",
            table(("rule", "about", *RULES, "source"), map(_rule, fields(Rules))),
            "### What answers a CALL whose frame is broken: `FRAME_CODES`",
            table(("what is wrong", "2.x", "1.6"), _frame_codes()),
            "### Before BootNotification is accepted: `BOOT_GATE`",
            table(("registration", "the station may send", "the CSMS may send"), _gate()),
            f"Remote starts and stops are {_list(remote)}. What was triggered is what the CSMS asked for by "
            f"{_list(TRIGGERS | set(REPORTS))} and the station agreed to: once, but as often as it likes "
            f"{_list(MANY)}, until the next BootNotification is answered. "
            f"{_list(TRIGGER_NAMES)} bring `SignCertificate`.",
            "### Whose turn it is: `evcore.ocpp.rules.Priority`",
            table(("priority", "CALLs, unless the caller says otherwise"), _priorities()),
            "### How a call ends: `evcore.ocpp.events.Outcome`",
            table(("outcome", "of `Finished`, once for every own CALL"), _outcomes()),
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(names: Iterable[str]) -> str:
    *most, last = (f"`{name}`" for name in sorted(names))
    return f"{', '.join(most)} and {last}" if most else last


def _rule(field: Any) -> list[str]:
    about, source = SUBJECTS[field.name]
    shown = {None: "silence", True: "yes", False: "no"}
    values = [getattr(rules, field.name) for rules in RULES.values()]
    return [f"`{field.name}`", about, *(shown.get(value, f"`{value}`") for value in values), source]


def _frame_codes() -> Iterable[list[str]]:
    old = {"FormatViolation": "FormationViolation"}
    for reason, code in FRAME_CODES.items():
        yield [f"`{reason}`", f"`{code}`", f"`{old.get(code, code)}`"]
    yield ["all else: `arity`, `action`, `idtype`, `length` ...", "`RpcFrameworkError`", "`FormationViolation`"]


def _gate() -> Iterable[list[str]]:
    for status in (None, "Pending", "Rejected", "Accepted"):
        yield [status or "(none yet)", BOOT_GATE["station", status], BOOT_GATE["csms", status]]


def _priorities() -> Iterable[list[str]]:
    named = {Priority.BOOT: "`BootNotification`", Priority.URGENT: _list(URGENT), Priority.BULK: "none"}
    for priority in Priority:
        yield [f"`{priority.name}`", named.get(priority, "all others")]
    wrong = [action for action in URGENT if priority_of(action) is not Priority.URGENT]
    if wrong:
        raise ValueError(f"not urgent: {wrong}")


def _outcomes() -> Iterable[list[str]]:
    means = {
        Outcome.ANSWERED: "CALLRESULT, valid",
        Outcome.REFUSED: "CALLERROR",
        Outcome.INVALID: "an answer that is no frame, or breaks its schema",
        Outcome.TIMED_OUT: "no answer in time, or never its turn",
        Outcome.CANCELLED: "given up by its caller; once sent, the next waits for its answer or the end of its time",
        Outcome.DISCONNECTED: "the connection ended first",
    }
    for outcome in Outcome:
        yield [f"`{outcome.name}`", means[outcome]]
