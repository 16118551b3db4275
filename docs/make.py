"""Draw what the docs show of the code: state tables as Mermaid diagrams, the repairs of the lenient mode and the
commands as tables.

`--check` says whether they are up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from commands_page import commands
from session_page import session

from evcore.backends import register_map
from evcore.gateway.payment import TRANSITIONS
from evcore.ocpp.repairs import table

HERE = Path(__file__).parent


def diagram(transitions: dict[tuple[str, str], str]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> created"]
    lines += [f"    {state} --> {after}: {event}" for (state, event), after in transitions.items()]
    return "\n".join([*lines, "```"])


def repairs() -> str:
    lines = ["| repair | mends | exact | by default | seen |", "|---|---|---|---|---|"]
    for row in table().values():
        seen = "; ".join(
            re.sub(r"([\w.-]+/[\w.-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", who) for who in row.seen
        )
        exact, default = ("yes" if flag else "" for flag in (row.exact, row.default))
        lines.append(f"| `{row.name}` | {row.mends} | {exact} | {default} | {seen} |")
    return "\n".join(lines)


PAGES = {
    "payment.md": lambda: diagram({(state, str(event)): after for (state, event), after in TRANSITIONS.items()}),
    "ocpp-lenient.md": repairs,
    "commands.md": commands,
    "ocpp-session.md": session,
    "modbus-server.md": register_map,
}


def main() -> int:
    stale = 0
    for name, draw in PAGES.items():
        page = HERE / name
        text = page.read_text()
        begin, end = re.search(r"<!-- drawn by .*? -->\n", text).end(), text.index("<!-- end -->")
        drawn = f"{text[:begin]}{draw()}\n{text[end:]}"
        stale |= drawn != text
        if "--check" not in sys.argv:
            page.write_text(drawn)
    return stale if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
