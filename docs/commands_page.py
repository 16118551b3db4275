"""The tables of commands.md: each verb with its arguments, what each version sends, and the events of messages."""

from __future__ import annotations

from evcore.chargers.commands import TABLES
from evcore.chargers.ocpp_v2 import Dialect2
from evcore.chargers.ocpp_v16 import Dialect16
from evcore.verbs import ABOUT, Verb
from evcore.vocabulary import ARGUMENTS, Arg


def commands() -> str:
    return "\n\n".join([*(command(verb) for verb in Verb), notices()])


def notices() -> str:
    """What stations say by themselves, as events."""
    kinds = {action: notice.kind for dialect in (Dialect16, Dialect2) for action, notice in dialect.NOTICES.items()}
    rows = [f"| {action} | `{kind}` |" for action, kind in sorted(kinds.items())]
    return "\n".join(["## Events of messages", "", "| message | event |", "|---|---|", *rows])


def command(verb: Verb) -> str:
    lines = [f"### {verb}", "", ABOUT[verb], ""]
    rows = [row for name, arg in ARGUMENTS[verb].items() for row in arguments(name, arg)]
    if rows:
        lines += ["| argument | what | meaning |", "|---|---|---|", *rows, ""]
    lines += [f"- {', '.join(versions)}: {what}" for what, versions in sent(verb).items()]
    return "\n".join(lines)


def sent(verb: Verb) -> dict[str, list[str]]:
    """What is sent -> by which versions."""
    found: dict[str, list[str]] = {}
    for version, table in TABLES.items():
        run = table[verb]
        what = f"`NotSupported`, {run}" if isinstance(run, str) else " ".join((run.__doc__ or "").split())
        found.setdefault(what, []).append(version)
    return found


def arguments(name: str, arg: Arg) -> list[str]:
    rows = [f"| `{name}`{' **needed**' if arg.required else ''} | {what(arg)} | {arg.about} |"]
    inner = arg.item if arg.kind == "list" and arg.item is not None else arg
    for member, part in inner.members.items():
        rows += arguments(f"{name}{'[]' if arg.kind == 'list' else ''}.{member}", part)
    return rows


def what(arg: Arg) -> str:
    if arg.one_of:
        kind = ", ".join(arg.one_of)
    elif arg.kind == "list" and arg.item is not None:
        kind = f"list of {arg.item.kind}"
    else:
        kind = arg.kind
    bounds = "" if arg.one_of else span(arg)
    default = "" if arg.default in (None, "") else f"; default {arg.default}"
    return f"{kind}{bounds}{default}"


def span(arg: Arg) -> str:
    unit = {"text": " characters", "scalar": " characters", "list": " items"}.get(arg.kind, "")
    least = "" if arg.least is None else f"{arg.least:.10g}"
    most = "" if arg.most is None or arg.most >= 2**31 - 1 else f"{arg.most:.10g}"
    if least in ("", "0") and not most:
        return ""
    return f", {least or 0} to {most}{unit}" if most else f", at least {least}{unit}"
