"""Draw what the docs show of the code: state tables as Mermaid diagrams. `--check` says whether they are up to date."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from evcore.gateway.payment import TRANSITIONS

HERE = Path(__file__).parent


def diagram(transitions: dict[tuple[str, str], str]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> created"]
    lines += [f"    {state} --> {after}: {event}" for (state, event), after in transitions.items()]
    return "\n".join([*lines, "```"])


def main() -> int:
    page = HERE / "payment.md"
    text = page.read_text()
    drawn = re.sub(
        r"(?s)(<!-- drawn by .*? -->\n).*?(<!-- end -->)",
        lambda match: match[1] + diagram({(s, str(e)): a for (s, e), a in TRANSITIONS.items()}) + "\n" + match[2],
        text,
    )
    if "--check" in sys.argv:
        return int(drawn != text)
    page.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
