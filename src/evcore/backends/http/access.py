"""Who may ask: API keys, the dashboard's session cookie, and browsers only from our own pages.

A key comes as `Authorization: Bearer KEY` or `X-API-Key: KEY`, or was exchanged for a cookie at /v1/login. Without keys
(loopback only) everyone on this machine may ask, but no web page: requests from another origin are refused, and so is a
Host that is not this machine's (DNS rebinding).
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlsplit

from evcore import hosts
from evcore.backends.http.problem import ProblemError

COOKIE = "evcore_session"
LIFETIME_S = 12 * 3600
SESSIONS = 1000


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """A name or address of this machine's loopback only."""
    name = host.lower().rstrip(".")
    return name.endswith(".localhost") or hosts.is_loopback(name.strip("[]"))


class Access:
    """keys: empty for none. secure: we speak TLS ourselves. origins: further pages that may ask, as `https://host`."""

    def __init__(self, keys: Sequence[str], *, secure: bool = False, origins: Sequence[str] = ()) -> None:
        self._keys = [_digest(key) for key in keys]
        self._schemes = ("https",) if secure else ("http", "https")
        self._origins = {origin.lower().rstrip("/") for origin in origins}
        self._hosts = {urlsplit(origin).hostname for origin in self._origins}
        self._sessions: dict[bytes, float] = {}

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Raises ProblemError for a request that another site's page makes, or that is meant for another host."""
        host = headers.get("Host", "").lower()
        if not self._keys:
            name = _hostname(host)
            if name is None or not (is_loopback(name) or name in self._hosts):
                raise ProblemError(421, f"this is not the server of {host!r}", kind="wrong-host")
        origin = headers.get("Origin")
        if origin is not None and not self._same(origin.lower(), host):
            raise ProblemError(403, f"requests from pages of {origin!r} are not allowed", kind="cross-origin")
        # Fetch Metadata: a browser says of itself that another site's page embeds us; following a link is harmless.
        site, mode = headers.get("Sec-Fetch-Site"), headers.get("Sec-Fetch-Mode")
        if origin is None and site in ("cross-site", "same-site") and mode != "navigate":
            raise ProblemError(403, "requests from pages of other sites are not allowed", kind="cross-origin")

    def _same(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        return any(origin in (f"{s}://{host}", f"{s}://{_without_default_port(s, host)}") for s in self._schemes)

    def known(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """True: the request carries a key or a live session, or no key is needed."""
        if not self._keys:
            return True
        key = headers.get("X-API-Key", "")
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            key = credentials.strip()
        if key:
            return self._is_key(key)
        return self._sessions.get(_digest(cookies.get(COOKIE, "")), 0.0) > time.monotonic()

    def check_known(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> None:
        """Raises ProblemError 401."""
        if not self.known(headers, cookies):
            raise ProblemError(
                401,
                "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY, or log in at /v1/login",
                headers={"WWW-Authenticate": 'Bearer realm="evcore"'},
            )

    def login(self, key: str) -> str | None:
        """A new session's token; "" where none is needed; None: no such key."""
        if not self._keys:
            return ""
        if not self._is_key(key):
            return None
        while len(self._sessions) >= SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = time.monotonic() + LIFETIME_S
        return token

    def logout(self, cookie: str) -> None:
        """End the session; nothing happens where there is none."""
        self._sessions.pop(_digest(cookie), None)

    def _is_key(self, key: str) -> bool:
        asked = _digest(key)  # every key is compared, whole: the time says nothing
        return any([hmac.compare_digest(asked, known) for known in self._keys])


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


@lru_cache(maxsize=64)
def _hostname(host: str) -> str | None:
    """Of a Host header, without its port; None where it is none (RFC 9112, 3.2)."""
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _without_default_port(scheme: str, host: str) -> str:
    return host.removesuffix(":443" if scheme == "https" else ":80")
