"""Who may connect to an `OcppServer`, and how sure it is that they are who they say.

A station proves who it is with a password (security profiles 1 and 2), judged before the upgrade with a 401, or with a
client certificate (profile 3), which can be seen only after it and is judged with a close code 1008. Where a password
is configured it must be shown; a certificate that is shown must be the station's own; one of both must be there.
"""

from __future__ import annotations

import hmac
import inspect
import re
import ssl as tls
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from evcore.errors import ConfigError
from evcore.ocpp.subject import Subject, SubjectRule, read_subject
from evcore.ocpp.upgrade import Upgrade, UpgradeError

Passwords = Mapping[str, str | bytes | None]
Authenticate = Callable[[str, bytes | None], "bool | Awaitable[bool]"]
Unknown = Literal["refuse", "pending", "accept"]
UnknownStations = Unknown | Callable[[Upgrade], Unknown]


@dataclass(frozen=True, slots=True)
class Claim:
    """What the request says, as far as it was judged. proven: a password was right. verdict: still to be waited for.
    pending: nobody knows this station, its BootNotification is answered so. certificate: nothing but one can prove it.
    """

    identity: str
    proven: bool = False
    verdict: Awaitable[bool] | None = None
    pending: bool = False
    certificate: bool = False


class Access:
    """passwords: identity -> its password, None for a station that has none. authenticate: asked instead. unproven: may
    a station connect that proves nothing? unknown: what to do with who is not in `passwords`. rule: for client
    certificates. verify: how the listener's TLS asks for them."""

    def __init__(
        self,
        passwords: Passwords | None,
        authenticate: Authenticate | None,
        *,
        unproven: bool,
        unknown: UnknownStations,
        rule: SubjectRule,
        verify: tls.VerifyMode,
    ) -> None:
        for identity, password in (passwords or {}).items():
            if password is not None and not password:
                raise ConfigError("OcppServer", f"passwords.{identity}", "a password, or None for none", "an empty one")
        self._passwords, self._authenticate = passwords, authenticate
        self._unproven, self._unknown = unproven, unknown
        self.rule, self._verify = rule, verify

    @property
    def asks_for_certificates(self) -> bool:
        return self._verify is not tls.CERT_NONE

    def judge(self, upgrade: Upgrade) -> Claim:
        """Before the upgrade. Raises UpgradeError: 401, or 404 for a station that nobody knows (OCPP-J 1.6, 3.2; 2.x
        Part 4, 3.2)."""
        if self._authenticate is None and self._passwords is None:
            return self._without_password(upgrade.identity)
        if upgrade.user is not None and upgrade.user != upgrade.identity:
            raise _wrong()  # 1.6 security whitepaper, A00.FR.203
        if self._authenticate is not None:
            return self._asked(upgrade, self._authenticate)
        return self._listed(upgrade, self._passwords or {})

    def _without_password(self, identity: str) -> Claim:
        if self.asks_for_certificates:
            return Claim(identity, certificate=not self._unproven)
        if not self._unproven:
            raise _wrong()
        return Claim(identity)

    def _asked(self, upgrade: Upgrade, authenticate: Authenticate) -> Claim:
        identity, password = upgrade.identity, upgrade.password
        if password is None and self.asks_for_certificates:
            return Claim(identity, certificate=True)
        verdict = authenticate(identity, password)
        if inspect.isawaitable(verdict):
            return Claim(identity, proven=password is not None, verdict=verdict)
        if not verdict:
            raise _wrong()
        return Claim(identity, proven=password is not None)

    def _listed(self, upgrade: Upgrade, passwords: Passwords) -> Claim:
        identity, shown = upgrade.identity, upgrade.password
        if identity not in passwords:
            hmac.compare_digest(b"no such station!", shown or b"")
            return self._nobody_knows(upgrade)
        wanted = passwords[identity]
        if wanted is None:  # a certificate proves it, or nothing does
            return self._without_password(identity)
        right = [hmac.compare_digest(form, shown or b"") for form in forms_of(wanted)]
        if shown is None or not any(right):
            raise _wrong()
        return Claim(identity, proven=True)

    def _nobody_knows(self, upgrade: Upgrade) -> Claim:
        answer = self._unknown if isinstance(self._unknown, str) else self._unknown(upgrade)
        if answer == "refuse":
            raise UpgradeError(404, "unknown_station", "no such station")
        if answer not in ("pending", "accept"):  # such as a coroutine, which would let everybody in
            raise TypeError(f"unknown: expected refuse, pending or accept, got {type(answer).__name__}")
        return Claim(upgrade.identity, pending=answer == "pending")

    def judge_certificate(self, claim: Claim, certificate: Mapping[str, object] | None) -> tuple[str, Subject | None]:
        """After the upgrade: what is wrong, "" for nothing, and whose certificate was shown."""
        if not certificate:
            return ("no_certificate" if claim.certificate else ""), None
        subject = read_subject(certificate)
        return self.rule.problem(claim.identity, subject), subject


def forms_of(password: str | bytes) -> tuple[bytes, ...]:
    """What may come over the wire for a configured password. 32 to 40 hex digits also stand for their bytes, as in the
    setting AuthorizationKey of OCPP 1.6 (security white paper, A00.FR.205)."""
    if isinstance(password, bytes):
        return (password,)
    if re.fullmatch("(?:[0-9A-Fa-f]{2}){16,20}", password):
        return password.encode(), bytes.fromhex(password)
    return (password.encode(),)


def _wrong() -> UpgradeError:
    return UpgradeError(401, "credentials", "wrong identity or password")
