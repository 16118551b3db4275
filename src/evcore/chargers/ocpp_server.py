"""`OcppServer`: the CSMS's end of OCPP 1.6, 2.0.1 and 2.1, all on one port."""

from __future__ import annotations

import asyncio
import math
import random
import ssl as tls
import time
from collections.abc import Callable, Collection, Mapping
from typing import Literal

from evcore.chargers.ocpp_access import Access, Authenticate, Passwords, UnknownStations
from evcore.chargers.ocpp_codecs import Codecs, PolicyFor
from evcore.chargers.ocpp_dialect import is_hookable
from evcore.chargers.ocpp_reception import Reception
from evcore.chargers.ocpp_roster import Roster
from evcore.chargers.ocpp_services import Answerer, Services, SignCertificate, StationRules
from evcore.chargers.ocpp_station import ChargerState
from evcore.chargers.ocpp_stats import ServerStats, stats_of
from evcore.chargers.ocpp_tls import CertificateKeeper
from evcore.chargers.ocpp_v2 import Dialect2
from evcore.chargers.ocpp_v16 import Dialect16
from evcore.chargers.ocpp_web_payments import watch_web_payments
from evcore.errors import ConfigError
from evcore.hosts import is_loopback
from evcore.local import LocalLedger
from evcore.model import Event, Health, Station
from evcore.ocpp import Limits
from evcore.ocpp.admission import Admission
from evcore.ocpp.policy import Mode, Policy, policy_of
from evcore.ocpp.session import Session as RpcSession
from evcore.ocpp.subject import SubjectRule
from evcore.ocpp.upgrade import VERSIONS
from evcore.ocpp.websocket import GUESSING, Listening, ServerCertificates, listen
from evcore.ports import Hub, Ledger

_QUIET_NS = 1_000_000_000  # between two security events
_FINISH_S = 5.0  # for records that are under way at the end
_ALL = tuple(VERSIONS.values())


class OcppServer:
    """A connector: listens for charging stations and makes them part of the hub.

    ledger: who may charge and where records go, committed before a station is answered; None: in memory, for trials.

    Who may connect (without any of these: a loopback address only, unless allow_unauthenticated):
    passwords: identity -> password, None for a station that proves itself with a certificate; a str of 32 to 40 hex
    digits also stands for its bytes (1.6 AuthorizationKey). May change while it runs. authenticate: (identity, password
    or None) -> may it connect?, instead. Called on the event loop, so be quick; or return an awaitable: picows decides
    about an upgrade at once, so the station then gets its 101, is heard when the answer is there, and a refusal is a
    close with 1008 instead of a 401. unknown: "refuse" (404), "pending" (connects, but BootNotification is answered so)
    or "accept" who is not in `passwords`; or a function of the upgrade that says which; None: "refuse", or "accept"
    with allow_unauthenticated. ssl: for wss, `ServerCertificates` (taken over from their files whenever these
    change) or a context; where it asks for client certificates (security profile 3) `subjects` says which is whose.

    handler_timeout_s: a CALL that could not be answered within it (the ledger hangs, or a hook) is refused with
    InternalError; a record that is being stored is stored all the same, anything else is cancelled.

    register: answers BootNotification, "Accepted", "Pending" or "Rejected"; None: all are accepted. registered:
    identities that were accepted before this process began and need not boot again. heartbeat_s: told to stations.
    ping_s: after so long without a frame a station is pinged, after twice that it is gone; 0 for never. versions: those
    spoken. default_subprotocol: for chargers that name none, for example "ocpp1.6". no_common_subprotocol: "close"
    after the upgrade, as OCPP-J says, or "refuse" it. mode: see `Codec`. policy: instead, by direction and action, for
    all stations or as a function of the station (see `PolicyFor`). max_message: bytes. max_stations: known at once.
    max_failures: failed handshakes after which an address waits, one is forgiven every 2 s; 0 for no limit.
    max_opening: connections at once whose peer is not known yet; for more, who has the most of them loses one. duel_s:
    a second connection of one identity takes over at once if it has proven who it is; else only when the first one is
    silent for so long.

    rules: how stations are treated. sign_certificate, data_transfer (by vendor id), answers (by action, of messages
    that otherwise only become events): hooks, see `Services`; they may be coroutines.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 9000,
        *,
        ledger: Ledger | None = None,
        passwords: Passwords | None = None,
        authenticate: Authenticate | None = None,
        allow_unauthenticated: bool = False,
        unknown: UnknownStations | None = None,
        ssl: tls.SSLContext | ServerCertificates | None = None,
        subjects: SubjectRule | None = None,
        name: str = "ocpp",
        heartbeat_s: int = 300,
        call_timeout_s: float = 30.0,
        handler_timeout_s: float = 20.0,
        ping_s: float = 30.0,
        handshake_s: float = 10.0,
        duel_s: float = 5.0,
        mode: Mode | None = None,
        policy: Policy | PolicyFor | None = None,
        register: Callable[[Station], str] | None = None,
        registered: Collection[str] = (),
        versions: Collection[str] = _ALL,
        default_subprotocol: str = "",
        no_common_subprotocol: Literal["close", "refuse"] = "close",
        max_message: int = 64 * 1024,
        max_stations: int = 20_000,
        max_failures: int = 20,
        max_opening: int = 2048,
        rules: StationRules | None = None,
        sign_certificate: SignCertificate | None = None,
        data_transfer: Mapping[str, Answerer] | None = None,
        answers: Mapping[str, Answerer] | None = None,
    ) -> None:
        verify = tls.CERT_NONE if ssl is None else ssl.verify_mode
        unproven = allow_unauthenticated or (is_loopback(host) and verify is tls.CERT_NONE)
        if passwords is None and authenticate is None and verify is not tls.CERT_REQUIRED and not unproven:
            expected = "passwords, authenticate, client certificates or allow_unauthenticated=True beyond loopback"
            raise ConfigError("OcppServer", "passwords", expected, host)
        self._subprotocols = tuple(name for name, version in VERSIONS.items() if version in versions)
        if not self._subprotocols or not set(versions) <= set(_ALL):
            raise ConfigError("OcppServer", "versions", f"some of {', '.join(_ALL)}", f"{tuple(versions)}")
        if default_subprotocol not in ("", *self._subprotocols):
            expected = f"one of {', '.join(self._subprotocols)}"
            raise ConfigError("OcppServer", "default_subprotocol", expected, default_subprotocol)
        if no_common_subprotocol not in ("close", "refuse"):
            raise ConfigError("OcppServer", "no_common_subprotocol", "close or refuse", no_common_subprotocol)
        for action in answers or ():
            if not is_hookable(action, (Dialect16, Dialect2)):
                raise ConfigError("OcppServer", "answers", "actions that evcore does not answer itself", action)
        self._hooks = (rules or StationRules(), sign_certificate, data_transfer or {}, answers or {})
        _check_at_least(0, ping_s=ping_s, max_failures=max_failures)
        _check_at_least(1, heartbeat_s=heartbeat_s, max_stations=max_stations, max_message=max_message)
        _check_at_least(1, max_opening=max_opening)
        _check_at_least(0.001, call_timeout_s=call_timeout_s, handler_timeout_s=handler_timeout_s)
        _check_at_least(0.001, handshake_s=handshake_s, duel_s=duel_s)
        self.host, self.port, self.name = host, port, name
        self.started = asyncio.Event()
        self._wanted_port = port
        self._ledger = LocalLedger() if ledger is None else ledger
        self._ssl = ssl
        self._access = Access(
            passwords,
            authenticate,
            unproven=unproven,
            unknown=unknown or ("accept" if allow_unauthenticated else "refuse"),
            rule=subjects or SubjectRule(),
            verify=verify,
        )
        self._register, self._registered = register, frozenset(registered)
        self._heartbeat_s, self._call_timeout = heartbeat_s, int(call_timeout_s * 1e9)
        self._ping_s, self._handshake_s, self._duel_s = ping_s, handshake_s, duel_s
        self._handler_timeout_s = handler_timeout_s
        self._default, self._no_common = default_subprotocol, no_common_subprotocol
        self._max_message, self._max_stations, self._max_failures = max_message, max_stations, max_failures
        self._max_opening = max_opening
        if mode is not None and policy is not None:
            raise ConfigError("OcppServer", "mode", "none beside a policy, which has its own", mode)
        self._codecs = Codecs(policy or policy_of(mode or "strict"), Limits(size=max_message))
        self._door: Listening | None = None
        self._keeper: CertificateKeeper | None = None
        self._services: Services | None = None
        self._roster: Roster | None = None
        self._reception: Reception | None = None
        self._last_refusal_ns = -_QUIET_NS

    @property
    def url(self) -> str:
        scheme = "ws" if self._ssl is None else "wss"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def secure(self) -> bool:
        """Are connections encrypted (security profile 2 or 3)?"""
        return self._ssl is not None or self._hooks[0].behind_tls

    @property
    def connected(self) -> Collection[str]:
        """Identities of the stations that are connected."""
        return () if self._roster is None else self._roster.links.keys()

    @property
    def known(self) -> Collection[str]:
        """Identities of the stations of which something is kept, connected or not."""
        return () if self._roster is None else self._roster.known

    @property
    def stats(self) -> ServerStats:
        """What it has seen and done; all zero before the first `run`."""
        services, roster, door = self._services, self._roster, self._door
        if services is None or roster is None:
            return ServerStats()
        opening = 0 if door is None else door.opening
        return stats_of(services.hub, self.name, connected=len(roster.links), opening=opening, known=len(roster.known))

    async def run(self, hub: Hub) -> None:
        """Serve until cancelled. A port that cannot be had is tried again, with back-off. Raises ConfigError
        (certificates that cannot be used)."""
        self._services = Services(self.name, hub, self._ledger, self._heartbeat_s, self._answer_boot, *self._hooks)
        self._roster = roster = Roster(self._services, self._max_stations, self._was_accepted)
        self._reception = reception = Reception(
            roster,
            self._access,
            self._session,
            verdict_s=self._handshake_s,
            duel_s=self._duel_s,
            handler_timeout_s=self._handler_timeout_s,
            warn=not is_loopback(self.host),
            secure=self.secure,
        )
        hub.publish(Health(self.name, "starting", time_ns=time.time_ns()))
        payments = asyncio.create_task(watch_web_payments(hub, roster.links, self._hooks[0].web_payment_s))
        try:
            self._door = door = await self._listen(hub, reception)
            self.port = door.port
            self.started.set()
            await self._keep(hub, door)
        finally:
            self.started.clear()
            payments.cancel()
            self._keeper = None
            await reception.close()
            if self._door is not None:
                await self._door.close()
                self._door = None
            await roster.finish(_FINISH_S)
            hub.publish(Health(self.name, "stopped", time_ns=time.time_ns()))

    async def drain(self, seconds: float = 5.0, *, goodbye_s: float = 5.0) -> None:
        """Take no new stations and close the connected ones with 1012 (service restart), spread over `seconds`; then
        wait for their good-byes and for what is being stored, at most `goodbye_s`."""
        until = time.monotonic() + seconds + goodbye_s
        if self._reception is not None:
            self._reception.draining = True
        if self._door is not None:
            await self._door.drain(seconds, goodbye_s=goodbye_s)
        if self._roster is not None:
            await self._roster.settle(max(until - time.monotonic(), 0.0))

    async def reload(self) -> bool:
        """Take over the certificates that the files of `ServerCertificates` hold now; False: they cannot be used, and
        those in force stay (an event says why), or nothing listens."""
        return self._keeper is not None and await self._keeper.reload()

    async def _keep(self, hub: Hub, door: Listening) -> None:
        """Say how it is, until cancelled."""

        def say() -> None:
            problem = "" if self._keeper is None else self._keeper.problem
            state: Literal["up", "degraded"] = "degraded" if problem else "up"
            hub.publish(Health(self.name, state, problem or f"listening on {self.url}", time.time_ns()))

        say()
        if isinstance(self._ssl, ServerCertificates):
            self._keeper = CertificateKeeper(self.name, self._ssl, hub, door, say)
            await self._keeper.run()
        await asyncio.Event().wait()

    async def _listen(self, hub: Hub, reception: Reception) -> Listening:
        wait = 0.5
        context = self._ssl.load() if isinstance(self._ssl, ServerCertificates) else self._ssl
        while True:
            try:
                return await listen(
                    self.host,
                    self._wanted_port,
                    reception.accept,
                    refused=self._refused,
                    admission=Admission(failures=self._max_failures, homes=self._max_stations),
                    ssl=context,
                    limit=self._max_message,
                    ping_s=self._ping_s,
                    handshake_s=self._handshake_s,
                    opening=self._max_opening,
                    default_subprotocol=self._default,
                    subprotocols=self._subprotocols,
                    no_common_subprotocol=self._no_common,
                )
            except OSError as error:
                detail = f"{self.host}:{self._wanted_port}: {error.strerror or error}"
                hub.publish(Health(self.name, "down", detail, time.time_ns()))
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))
                wait = min(2 * wait, 30.0)

    def _session(self, version: str, state: ChargerState) -> RpcSession:
        codec = self._codecs.of(version, state.station)
        quick, accepted = Dialect16.AT_ONCE, state.registered
        return RpcSession(codec, "csms", accepted=accepted, call_timeout=self._call_timeout, at_once=quick)

    # Registration

    def _was_accepted(self, station: Station) -> bool:
        """Where all may boot, who booted at an earlier process was accepted and need not boot again."""
        return (self._register is None and bool(station.model)) or station.id in self._registered

    def _answer_boot(self, station: Station) -> str:
        reception, roster = self._reception, self._roster
        if reception is None or roster is None:
            return "Rejected"
        link = roster.links.get(station.id)
        if link is not None:
            link.session.codec = self._codecs.of(link.version, station)
        problem = reception.serial_problem(station)
        if problem:
            self._tell(f"{station.id} boots with {problem}")
            roster.links[station.id].close(1008, "serial number")
            return "Rejected"
        if reception.is_pending(station):
            return "Pending"
        return "Accepted" if self._register is None else self._register(station)

    # Refusals

    def _refused(self, reason: str, peer: str, identity: str) -> None:
        """A handshake came to nothing."""
        if self._services is None:
            return
        hub = self._services.hub
        if reason == GUESSING:
            self._tell(f"many wrong passwords for {identity}, the last from {peer}", urgent=True)
            return
        self._services.count("errors", reason=f"upgrade_{reason}")
        hub.traffic("ocpp").errors += 1
        self._tell(f"{reason} from {peer}" + (f" for {identity}" if identity else ""))

    def _tell(self, text: str, *, urgent: bool = False) -> None:
        """A security event, at most one a second unless urgent."""
        now = time.monotonic_ns()
        if self._services is None or (now - self._last_refusal_ns < _QUIET_NS and not urgent):
            return
        self._last_refusal_ns = now
        self._services.hub.publish(
            Event(self.name, "security.refused", time.time_ns(), severity="warning", text=text[:500])
        )


def _check_at_least(least: float, **settings: float) -> None:
    for key, value in settings.items():
        if not least <= value < math.inf:
            raise ConfigError("OcppServer", key, f"a number of at least {least:g}", f"{value}")
