"""URLs that a station is sent to: which may leave here. The station fetches them with its own rights, so that a URL of
its own loopback, or with shell code in it, is an attack on the station (CVE-2024-23971).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

_URI = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986, 2
_NAME = re.compile(r"(?=.{1,253}\.?$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_-]{1,63}\.?")
_LOCAL_NAMES = ("localhost", "localdomain", "ip6-localhost", "ip6-loopback", "metadata", "metadata.google.internal")
_METADATA = tuple(map(ipaddress.ip_address, ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "168.63.129.16")))
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_url(url: str, schemes: Collection[str], *, allow_local: bool = False) -> None:
    """Raises ValueError: what is wrong with it, without its user and password.

    allow_local: loopback, link-local, unspecified and metadata addresses too. A name that resolves to one of them is
    not seen here: it is the station that resolves it.
    """
    if not _URI.fullmatch(url):
        raise ValueError("expected a URL of RFC 3986, without spaces, quotes, backslashes or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("expected a URL with a host, and a port that is one") from None
    if parts.scheme.lower() not in schemes:
        raise ValueError(f"expected a URL of {', '.join(schemes)}, got {parts.scheme[:20]!r}")
    host = parts.hostname or ""
    if not host or port == 0 or parts.netloc.count("@") > 1:
        raise ValueError("expected a URL with one host")
    address = _address(host)
    if address is None and not _NAME.fullmatch(host):
        raise ValueError(f"expected a host name or an address, got {host[:60]!r}")
    if not allow_local and (_is_local_name(host) if address is None else _is_local(address)):
        raise ValueError(f"{host[:60]} is a loopback, link-local or metadata address")


def _address(host: str) -> _Address | None:
    """The address in any of its spellings (127.1, 0x7f000001, 2130706433, ::ffff:127.0.0.1); None: a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
        except OSError:
            return None
    mapped = address.ipv4_mapped or address.sixtofour if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_local(address: _Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in _METADATA
        or (address.version == 4 and address.packed[0] == 0)
    )


def _is_local_name(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name in _LOCAL_NAMES or name.endswith((".localhost", ".localdomain"))
