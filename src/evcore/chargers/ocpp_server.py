"""`OcppServer`: the CSMS's end of OCPP 1.6, 2.0.1 and 2.1, all on one port."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import logging
import math
import random
import ssl as tls
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Literal

from evcore.chargers.ocpp_dialect import Dialect, is_hookable
from evcore.chargers.ocpp_services import Answerer, Services, SignCertificate, StationRules
from evcore.chargers.ocpp_station import ChargerState, shown
from evcore.chargers.ocpp_v2 import Dialect2
from evcore.chargers.ocpp_v16 import Dialect16
from evcore.errors import ConfigError, EvcoreError
from evcore.local import LocalLedger
from evcore.model import Answer, Command, Event, Health, Session, Station
from evcore.ocpp import Codec, Limits
from evcore.ocpp.admission import Admission
from evcore.ocpp.events import Anomaly, Notified
from evcore.ocpp.session import Session as RpcSession
from evcore.ocpp.upgrade import VERSIONS, Upgrade, UpgradeError
from evcore.ocpp.websocket import Closing, Link, Listening, Receiver, listen
from evcore.ports import Hub, Ledger

log = logging.getLogger("evcore.chargers.ocpp")

Passwords = Mapping[str, str | bytes]
_QUIET_NS = 1_000_000_000  # between two security events
_ORDINARY = {"peer", "lost", "shutdown", "restart", "replaced", "silent"}


class OcppServer:
    """A connector: listens for charging stations and makes them part of the hub.

    ledger: who may charge and where records go, committed before a station is answered; None: in memory, for trials.
    passwords: identity -> password; a str of 32 to 40 hex digits also stands for its bytes (1.6 AuthorizationKey).
    authenticate: (identity, password or None) -> may it connect?, instead; called on the event loop, so be quick.
    Without either the server listens on a loopback address only, unless allow_unauthenticated. ssl: a server context,
    for wss. register: answers BootNotification, "Accepted", "Pending" or "Rejected"; None: all are accepted.
    registered: identities that were accepted before this process began and need not boot again. heartbeat_s: told to
    stations. ping_s: after so long without a frame a station is pinged, after twice that it is gone; 0 for never.
    mode: see `Codec`. default_subprotocol: for chargers that name none, for example "ocpp1.6". max_message: bytes.
    max_stations: known at once. rules: how stations are treated. sign_certificate, data_transfer (by vendor id),
    answers (by action, of messages that otherwise only become events): hooks, see `Services`; they may be coroutines.
    max_failures: failed handshakes in a row after which an address waits, one is forgiven
    every 2 s; 0 for no limit, where all stations come through one proxy.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 9000,
        *,
        ledger: Ledger | None = None,
        passwords: Passwords | None = None,
        authenticate: Callable[[str, bytes | None], bool] | None = None,
        allow_unauthenticated: bool = False,
        ssl: tls.SSLContext | None = None,
        name: str = "ocpp",
        heartbeat_s: int = 300,
        call_timeout_s: float = 30.0,
        ping_s: float = 30.0,
        handshake_s: float = 10.0,
        mode: Literal["strict", "off"] = "strict",
        register: Callable[[Station], str] | None = None,
        registered: Collection[str] = (),
        default_subprotocol: str = "",
        max_message: int = 256 * 1024,
        max_stations: int = 20_000,
        max_failures: int = 20,
        rules: StationRules | None = None,
        sign_certificate: SignCertificate | None = None,
        data_transfer: Mapping[str, Answerer] | None = None,
        answers: Mapping[str, Answerer] | None = None,
    ) -> None:
        if passwords is None and authenticate is None and not allow_unauthenticated and not _is_loopback(host):
            raise ConfigError(
                "OcppServer", "passwords", "passwords, authenticate or allow_unauthenticated=True beyond loopback", host
            )
        if default_subprotocol not in ("", *VERSIONS):
            raise ConfigError("OcppServer", "default_subprotocol", f"one of {', '.join(VERSIONS)}", default_subprotocol)
        for action in answers or ():
            if not is_hookable(action, (Dialect16, Dialect2)):
                raise ConfigError("OcppServer", "answers", "actions that evcore does not answer itself", action)
        self._hooks = (rules or StationRules(), sign_certificate, data_transfer or {}, answers or {})
        _check_at_least(0, ping_s=ping_s, max_failures=max_failures)
        _check_at_least(1, heartbeat_s=heartbeat_s, max_stations=max_stations)
        _check_at_least(0.001, call_timeout_s=call_timeout_s, handshake_s=handshake_s)
        self.host, self.port, self.name = host, port, name
        self.started = asyncio.Event()
        self._wanted_port = port
        self._ledger = LocalLedger() if ledger is None else ledger
        self._passwords, self._authenticate, self._ssl = passwords, authenticate, ssl
        self._open_to_all = passwords is None and authenticate is None
        self._register, self._registered = register, frozenset(registered)
        self._heartbeat_s, self._call_timeout = heartbeat_s, int(call_timeout_s * 1e9)
        self._ping_s, self._handshake_s, self._default = ping_s, handshake_s, default_subprotocol
        self._max_message, self._max_stations, self._max_failures = max_message, max_stations, max_failures
        limits = Limits(size=max_message)
        # `value`: the registers of 2.x are JSON numbers, and a bill needs their digits
        self._codecs = {
            version: Codec(version, mode=mode, limits=limits, exact=() if version == "1.6" else ("value",))
            for version in VERSIONS.values()
        }
        self._door: Listening | None = None
        self._services: Services | None = None
        self._chargers: dict[str, ChargerState] = {}
        self._links: dict[str, _StationLink] = {}
        self._restored: dict[str, list[Session]] = {}  # active sessions from before this process, by station
        self._tasks: set[asyncio.Task[None]] = set()  # of links that are gone: records still under way
        self._draining = False
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
        return self._links.keys()

    async def run(self, hub: Hub) -> None:
        """Serve until cancelled. A port that cannot be had is tried again, with back-off."""
        self._services = Services(self.name, hub, self._ledger, self._heartbeat_s, self._register, *self._hooks)
        self._draining = False
        self._chargers, self._links = {}, {}
        self._restored = {}
        for item in hub.snapshot("session/"):
            if isinstance(item, Session) and item.state == "active":
                self._restored.setdefault(item.station, []).append(item)
        hub.publish(Health(self.name, "starting", time_ns=time.time_ns()))
        try:
            self._door = await self._listen(hub)
            self.port = self._door.port
            self.started.set()
            hub.publish(Health(self.name, "up", f"listening on {self.url}", time.time_ns()))
            await asyncio.Event().wait()
        finally:
            self.started.clear()
            await self._stop()
            hub.publish(Health(self.name, "stopped", time_ns=time.time_ns()))

    async def drain(self, seconds: float = 5.0) -> None:
        """Take no new stations and close the connected ones with 1012 (service restart), spread over `seconds`."""
        self._draining = True
        if self._door is not None:
            await self._door.drain(seconds)

    async def _listen(self, hub: Hub) -> Listening:
        wait = 0.5
        while True:
            try:
                return await listen(
                    self.host,
                    self._wanted_port,
                    self._accept,
                    refused=self._refused,
                    admission=Admission(failures=self._max_failures),
                    ssl=self._ssl,
                    limit=self._max_message,
                    ping_s=self._ping_s,
                    handshake_s=self._handshake_s,
                    default_subprotocol=self._default,
                )
            except OSError as error:
                detail = f"{self.host}:{self._wanted_port}: {error.strerror or error}"
                hub.publish(Health(self.name, "down", detail, time.time_ns()))
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))
                wait = min(2 * wait, 30.0)

    async def _stop(self) -> None:
        if self._door is not None:
            await self._door.close()
            self._door = None
        tasks = {task for link in self._links.values() for task in link.tasks} | self._tasks
        if tasks:  # a record under way is finished, though nobody hears the answer
            _, late = await asyncio.wait(tasks, timeout=5.0)
            for task in late:
                task.cancel()

    # The door's questions

    def _accept(self, upgrade: Upgrade, subprotocol: str) -> Receiver:
        """Nothing is allocated before the password is right."""
        if not self._may_connect(upgrade):
            raise UpgradeError(401, "credentials", "wrong identity or password")
        if self._draining:
            raise UpgradeError(503, "draining", "restarting")
        if not subprotocol:
            return Closing()
        if self._open_to_all and not _is_loopback(self.host):
            log.warning("%s connects from %s without authentication", upgrade.identity, upgrade.peer)
        version = VERSIONS[subprotocol]
        state = self._charger(upgrade.identity)
        session = RpcSession(self._codecs[version], "csms", accepted=state.registered, call_timeout=self._call_timeout)
        return _StationLink(self, state, session, subprotocol)

    def _may_connect(self, upgrade: Upgrade) -> bool:
        if self._open_to_all:
            return True
        if upgrade.user is not None and upgrade.user != upgrade.identity:  # 1.6 security whitepaper, A00.FR.203
            return False
        if self._authenticate is not None:
            return self._authenticate(upgrade.identity, upgrade.password)
        known = (self._passwords or {}).get(upgrade.identity)
        right = [hmac.compare_digest(wanted, upgrade.password or b"") for wanted in _as_bytes(known or "none")]
        return known is not None and upgrade.password is not None and any(right)

    def _refused(self, reason: str, peer: str) -> None:
        """A handshake came to nothing."""
        if self._services is None:
            return
        hub = self._services.hub
        hub.count("evcore_ocpp_errors_total", reason=f"upgrade_{reason}")
        hub.traffic("ocpp").errors += 1
        now = time.monotonic_ns()
        if now - self._last_refusal_ns >= _QUIET_NS:
            self._last_refusal_ns = now
            hub.publish(
                Event(self.name, "security.refused", time.time_ns(), severity="warning", text=f"{reason} from {peer}")
            )

    def _charger(self, identity: str) -> ChargerState:
        state = self._chargers.get(identity)
        if state is None:
            if self._services is None or (len(self._chargers) >= self._max_stations and not self._forget_one()):
                raise UpgradeError(503, "too_many_stations", "no room for another station")
            known = self._services.hub.last(f"charger/{identity}")  # as it described itself to an earlier process
            station = replace(known, online=False) if isinstance(known, Station) else Station(identity, False)
            state = ChargerState(self._services, station)
            state.sessions = {session.transaction_id: session for session in self._restored.pop(identity, ())}
            # who charged, or where all may boot booted, at an earlier process was accepted and need not boot again
            booted = self._register is None and bool(station.model)
            state.registered = booted or bool(state.sessions) or identity in self._registered
            self._chargers[identity] = state
        return state

    def _forget_one(self) -> bool:
        gone = next((id for id in self._chargers if id not in self._links), None)
        if gone is None:
            return False
        del self._chargers[gone]
        return True

    # The links' reports

    def serve(self, link: _StationLink) -> None:
        """The newest authenticated connection of an identity serves, from its first message on."""
        state = link.state
        state.generation += 1
        before = self._links.get(state.id)
        self._links[state.id] = link
        if before is not None:
            state.event("station.replaced", severity="warning", text="a newer connection took over")
            before.close(1008, "replaced")
        else:
            state.event("station.connected", text=link.subprotocol, data={"generation": state.generation})
        state.update(online=True, protocol=link.subprotocol, since_ns=time.time_ns())
        link.release = state.hub.serve(state.id, link.command)

    def ended(self, link: _StationLink, reason: str) -> None:
        """A connection ended; an older generation's end changes nothing but itself."""
        self._tasks |= link.tasks
        for task in link.tasks:
            task.add_done_callback(self._tasks.discard)
        link.release()
        if reason not in _ORDINARY:
            link.state.complain(f"websocket_{reason}", "the connection was closed for it")
            link.traffic.errors += 1
        if self._links.get(link.state.id) is link:
            del self._links[link.state.id]
            link.state.update(online=False)
            link.state.event("station.disconnected", text=reason)


class _StationLink(Link):
    """One connection of one station."""

    __slots__ = ("_asked_to_boot", "_dialect", "_server", "release", "secure", "state", "subprotocol", "version")

    def __init__(self, server: OcppServer, state: ChargerState, session: RpcSession, subprotocol: str) -> None:
        self._server, self.state, self.subprotocol = server, state, subprotocol
        self.version, self.secure = session.version, server.secure
        self._dialect: Dialect = (Dialect16 if self.version == "1.6" else Dialect2)(state, self)
        self.release: Callable[[], None] = _nothing
        self._asked_to_boot = False
        super().__init__(session, self._dialect.handle, traffic=state.hub.traffic("ocpp"))

    async def command(self, command: Command) -> Answer:
        return await self._dialect.command(command)

    def on_opened(self) -> None:
        self._server.serve(self)

    def on_closed(self, code: int, reason: str) -> None:
        self._server.ended(self, reason)

    def on_anomaly(self, anomaly: Anomaly) -> None:
        self.state.complain(anomaly.reason, anomaly.detail, anomaly.action)
        if anomaly.reason == "not_accepted" and not self._asked_to_boot:
            # it reconnected to a server that does not know it any more: ask, or it would be refused for ever
            self._asked_to_boot = True
            self.spawn(self._ask_to_boot())

    async def _ask_to_boot(self) -> None:
        with contextlib.suppress(EvcoreError):
            await self.call("TriggerMessage", {"requestedMessage": "BootNotification"})

    def on_notified(self, notified: Notified) -> None:
        self.state.event("periodic_event", text=notified.action, data=shown(notified))


def _check_at_least(least: float, **settings: float) -> None:
    for key, value in settings.items():
        if not least <= value < math.inf:
            raise ConfigError("OcppServer", key, f"a number of at least {least:g}", f"{value}")


def _nothing() -> None:
    pass


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _as_bytes(password: str | bytes) -> list[bytes]:
    """What may come over the wire for a configured password."""
    if isinstance(password, bytes):
        return [password]
    forms = [password.encode()]
    if 32 <= len(password) <= 40 and len(password) % 2 == 0:
        try:
            forms.append(bytes.fromhex(password))
        except ValueError:
            return forms
    return forms
