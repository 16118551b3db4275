"""Which topic an item of the model goes to. The table with examples: docs/mqtt.md.

The root is `evcore/v1/SITE`. Renaming a topic or a payload field breaks a client and needs `v2`; adding one does not.
"""

from __future__ import annotations

import contextlib
from urllib.parse import quote, unquote

from evcore.model import Evse, Health, Meter, Sample, Session, Station, Vehicle

# Everything printable of ASCII but `# + / $ %`. MQTT 5.0, 4.7.1 and 4.7.3: `# + /` are the filter's own and U+0000 is
# forbidden; `$` marks our own level `$gateway`, and `%` makes the encoding reversible. The rest goes as UTF-8 in %XX.
_SAFE = "!\"&'()*,-.:;<=>?@[\\]^_`{|}~"


def encode_id(id: str) -> str:
    """An id as one topic level."""
    return quote(id, safe=_SAFE, errors="surrogatepass")


def decode_id(level: str) -> str:
    """The id that `encode_id` made the topic level of. Raises UnicodeDecodeError (a ValueError) for other bytes."""
    return unquote(level, errors="surrogatepass")


class Topics:
    """The topics of one node at one site."""

    def __init__(self, site: str, node: str) -> None:
        self.root = f"evcore/v1/{encode_id(site)}"
        self.gateway = f"{self.root}/$gateway/{encode_id(node)}"
        self.status = f"{self.gateway}/status"
        self.commands = f"{self.root}/+/cmd/+"
        self.all_status = f"{self.root}/+/status"

    def sample(self, sample: Sample) -> str:
        return f"{self.root}/{encode_id(sample.source)}/{sample.evse}/meter/{encode_id(sample.measurand)}"

    def state(self, state: Station | Meter | Vehicle | Evse | Session | Health) -> str:
        match state:
            case Station() | Meter() | Vehicle():
                return f"{self.root}/{encode_id(state.id)}/status"
            case Evse():
                return f"{self.root}/{encode_id(state.station)}/{state.id}/state"
            case Session():
                return f"{self.root}/{encode_id(state.station)}/{state.evse}/session"
            case Health():
                return f"{self.gateway}/connector/{encode_id(state.connector)}"

    def event(self, source: str, kind: str) -> str:
        return f"{self.root}/{encode_id(source)}/event/{encode_id(kind)}"

    def answer(self, target: str, name: str) -> str:
        return f"{self.root}/{encode_id(target)}/rsp/{encode_id(name)}"

    def parse_command(self, topic: str) -> tuple[str, str] | None:
        """(target id, name) of a topic that `commands` matches; None for any other. Raises ValueError (broken %XX)."""
        if not topic.startswith(self.root + "/"):
            return None
        levels = topic[len(self.root) + 1 :].split("/")
        if len(levels) != 3 or levels[1] != "cmd":
            return None
        return decode_id(levels[0]), decode_id(levels[2])

    def parse_status(self, topic: str) -> str | None:
        """The id of a topic that `all_status` matches; None for any other, and for one that is not of our making."""
        if not topic.startswith(self.root + "/") or not topic.endswith("/status"):
            return None
        level = topic[len(self.root) + 1 : -len("/status")]
        with contextlib.suppress(ValueError):
            if "/" not in level:
                return decode_id(level)
        return None

    def may_answer_to(self, topic: str) -> bool:
        """May an asker have its answer there? Not where it would pass for a command or a state of ours: the gateway
        may write what the asker may not."""
        if not topic or topic.startswith("$") or any(mark in topic for mark in "#+\0"):
            return False
        if topic.startswith("evcore/"):
            levels = topic.split("/")
            return len(levels) > 4 and levels[4] == "rsp"
        return True
