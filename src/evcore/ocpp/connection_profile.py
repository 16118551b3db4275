"""How a station connects: address, security profile, secrets; and how it moves to a better one. No I/O.

Source: OCPP 1.6 security whitepaper edition 3, 2.2 to 2.5 and A05; 2.0.1 Part 2, A05 and B10 with errata 2025-09.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evcore.errors import ConfigError

if TYPE_CHECKING:
    import ssl as tls

_BASIC, _TLS, _MUTUAL = 1, 2, 3


@dataclass(frozen=True, slots=True)
class ConnectionProfile:
    """url: of the CSMS, without the identity. security: 0 no password, 1 a password in clear, 2 TLS and a password,
    3 TLS and a certificate of the station; None chooses by the rest, and never a password in clear.

    password: bytes for a 1.6 AuthorizationKey that is no text. ca: PEM file of the CSMS's root, None for the roots of
    the system. certificate: PEM files of the station's chain and key. ssl: a context instead of both.
    Raises ConfigError: what it says cannot be done, or not safely.
    """

    url: str
    security: int | None = None
    password: str | bytes | None = field(default=None, repr=False)
    ca: str | None = None
    certificate: tuple[str, str] | None = None
    ssl: tls.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        secure = parts.scheme == "wss"
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConfigError("ConnectionProfile", "url", "ws://HOST or wss://HOST", _shown(self.url))
        if parts.username or parts.password:
            raise ConfigError("ConnectionProfile", "url", "the password as an argument", "one in the URL")
        if self.security is None:
            object.__setattr__(self, "security", self._natural(secure))
        problem = _problem(self, secure)
        if problem:
            raise ConfigError("ConnectionProfile", "security", problem, str(self.security))

    @property
    def level(self) -> int:
        """The security profile, 0 to 3."""
        return self.security or 0

    def _natural(self, secure: bool) -> int:
        if not secure:
            return 0
        return _MUTUAL if self.certificate else _TLS if self.password is not None else 0


def _problem(profile: ConnectionProfile, secure: bool) -> str:
    """What does not fit the security profile, as what was expected; "" if nothing."""
    level, password = profile.level, profile.password
    if level not in (0, _BASIC, _TLS, _MUTUAL):
        return "0, 1, 2 or 3"
    if not secure and password is not None and level != _BASIC:
        return "1, said explicitly, to send a password over ws://"
    if level == 0 and password is not None:
        return "1 or 2 with a password"
    if level >= _TLS and not secure:
        return "wss:// for profiles 2 and 3"
    if level == _BASIC and secure:
        return "ws:// for profile 1"
    if level in (_BASIC, _TLS) and password is None:
        return "a password for profiles 1 and 2"
    if level == _MUTUAL and profile.certificate is None and profile.ssl is None:
        return "a certificate for profile 3"
    if secure and profile.ssl is not None and profile.ssl.verify_mode == 0:
        return "a context that verifies the CSMS's certificate"
    return ""


def _shown(url: str) -> str:
    """Without what may be a password."""
    return url.rpartition("@")[2][:100]


class Step(Enum):
    """What `ProfileSwitch` says of a try to connect."""

    SAME = "same"
    CONFIRMED = "confirmed"  # the new profile serves; the old one is forgotten
    TRY_AGAIN = "try again"
    FELL_BACK = "fell back"  # to the old profile; the new one is forgotten


class ProfileSwitch:
    """Which profile to connect with. A new one is tried `attempts` times (2.0.1 NetworkProfileConnectionAttempts), then
    the old one is taken again, so that a wrong setting never cuts the station off.

    To survive a crash keep `current` and `proposed` until `connected` says CONFIRMED.
    """

    def __init__(self, profile: ConnectionProfile, *, attempts: int = 3) -> None:
        self.current, self.attempts = profile, attempts
        self.proposed: ConnectionProfile | None = None
        self._failures = 0

    @property
    def profile(self) -> ConnectionProfile:
        """To connect with now."""
        return self.proposed or self.current

    def propose(self, new: ConnectionProfile, version: str, *, downgrade: bool = False) -> str:
        """The CSMS wants another profile: "" if that is accepted and to be used from the next connection on, else why
        it is to be rejected. Prerequisites (password, root, certificate) are those of `new`, which cannot be made
        without them. downgrade: 2.x AllowSecurityProfileDowngrade."""
        old = self.current.level
        if version == "1.6" and new.level <= old:
            return f"A05.FR.01: expected a security profile over {old}, got {new.level}"
        if new.level < old:
            if new.level <= _BASIC:
                return f"A05.FR.09: expected no downgrade to {new.level}"
            if not downgrade:
                return f"A05.FR.10: expected a security profile of at least {old}, got {new.level}"
        self._begin(new)
        return ""

    def propose_password(self, password: str | bytes) -> None:
        """A new password (1.6 AuthorizationKey, 2.x BasicAuthPassword), to be used from the next connection on; the old
        one is kept until it worked (A01.FR.03, A01.FR.04). Raises ConfigError: the profile has no use for one."""
        now = self.current
        self._begin(ConnectionProfile(now.url, now.security, password, now.ca, now.certificate, now.ssl))

    def connected(self) -> Step:
        """The CSMS serves on a connection with `profile`: it was opened and the CSMS has said something."""
        if self.proposed is None:
            return Step.SAME
        self.current, self.proposed = self.proposed, None
        return Step.CONFIRMED

    def failed(self) -> Step:
        """A connection with `profile` did not come about, or ended before the CSMS had said anything."""
        if self.proposed is None:
            return Step.SAME
        self._failures += 1
        if self._failures < self.attempts:
            return Step.TRY_AGAIN
        self.proposed = None
        return Step.FELL_BACK

    def _begin(self, new: ConnectionProfile) -> None:
        self.proposed, self._failures = new, 0
