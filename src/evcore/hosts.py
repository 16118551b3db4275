"""What a listener's host name says by itself."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Is `host` reachable from this machine only? Of names only localhost is believed."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
