"""Cursor pagination: the cursor in the body and as a Link header (RFC 8288)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from evcore.backends.http.call import Call, Reply


def paged(call: Call, items: list[dict[str, Any]], after: str | None) -> Reply:
    """after: the cursor of the next page; None: this is the last one."""
    if after is None:
        return Reply({"items": items})
    parts = urlsplit(call.target)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "after"]
    link = f'<{parts.path}?{urlencode([*query, ("after", after)])}>; rel="next"'
    return Reply({"items": items, "next": after}, headers={"Link": link})
