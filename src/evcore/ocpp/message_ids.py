"""Message ids: unique for ever, at a tenth of the price of a UUID.

OCPP 2.0.1 Part 4, 4.1.4 wants ids that no connection of the station used before; 1.6 (4.1.4) wants it within one.
"""

from __future__ import annotations

import os
import secrets
from itertools import count

ID_MAX = 36  # characters; OCPP-J 1.6, 4.1.4; 2.0.1 Part 4, 4.1.4

_prefix, _numbers = "", count(1)


def _begin() -> None:
    """64 random bits for this process and a number each: no two processes draw the same, nor a child its parent's."""
    global _prefix, _numbers
    _prefix, _numbers = secrets.token_hex(8) + "-", count(1)


def new_id() -> str:
    """17 characters and a decimal number; within 36 for the first 10^19."""
    return f"{_prefix}{next(_numbers)}"


_begin()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin)
