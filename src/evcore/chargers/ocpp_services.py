"""What the stations of one server share, and what a station's words need of its connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from evcore.model import Station
from evcore.ports import Hub, Ledger

SCHEMES = ("https", "http", "ftps", "ftp", "sftp")

SignCertificate = Callable[[str, str, str], str | Awaitable[str | None] | None]
"""(station, CSR as PEM, type) -> the chain as PEM, the station's own certificate first; None: not signed. type:
ChargingStationCertificate, V2GCertificate or V2G20Certificate.
"""
Answerer = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
"""(station, payload with wire names) -> the payload of the answer. Raises CallError to refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationRules:
    """How stations are treated, whatever version they speak.

    url_schemes: of the URLs that a station may be sent to for firmware and logs. allow_local_urls: also to loopback,
    link-local and cloud metadata addresses. free_vend: sessions without any token (NoAuthorization of 2.x) are accepted
    (2.0.1 Part 2, C02.FR.02). direct_payment: so are tokens of a station's own payment terminal (2.1, C18) that nobody
    knows. certificates_over_plain: certificates may be installed, removed and signed without TLS (security profiles 0
    and 1) too, as when a station is moved to profile 2. behind_tls: TLS ends at a proxy in front of the port.
    minor_digits: of the currency. cost_messages: 1.6 stations are told the running and the final cost by DataTransfer
    (OCA, OCPP & California Pricing Requirements). web_payment_s: how long a 2.1 station may keep an EVSE free for a
    payment that was begun on the web (2.1 Part 2, C25.FR.21); 0: it is not told.
    """

    url_schemes: Collection[str] = SCHEMES
    allow_local_urls: bool = False
    free_vend: bool = True
    direct_payment: bool = True
    certificates_over_plain: bool = False
    behind_tls: bool = False
    minor_digits: int = 2
    cost_messages: bool = False
    web_payment_s: int = 300

    def lets_certificates(self, peer: Peer) -> bool:
        """May certificates be installed, removed and signed over this connection? Whoever sits on a plain wire could
        put its own root into the station."""
        return peer.secure or self.certificates_over_plain


@dataclass(slots=True)
class Services:
    """What all stations of a server share. register: answers BootNotification.

    sign_certificate: None: no certificate request is signed. data_transfer: by vendor id, answers DataTransfer.
    answers: by action, answers other CALLs of stations instead of what evcore says to them.
    """

    name: str
    hub: Hub
    ledger: Ledger
    heartbeat_s: int
    register: Callable[[Station], str]
    rules: StationRules = StationRules()
    sign_certificate: SignCertificate | None = None
    data_transfer: Mapping[str, Answerer] = field(default_factory=dict)
    answers: Mapping[str, Answerer] = field(default_factory=dict)

    def count(self, what: str, n: int = 1, **labels: str) -> None:
        """Add to the counter evcore_ocpp_WHAT_total of this server."""
        self.hub.count(f"evcore_ocpp_{what}_total", n, server=self.name, **labels)


class Peer(Protocol):
    """The connection to a station. version: that it speaks. secure: it is encrypted (security profile 2 or 3)."""

    @property
    def version(self) -> str: ...
    @property
    def secure(self) -> bool: ...
    async def call(self, action: str, payload: Any) -> Any:
        """The payload of the station's answer. Raises CallError, CallTimeout, LinkError, MessageError, TypeError."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it in a task that is kept until it ends."""
        ...
