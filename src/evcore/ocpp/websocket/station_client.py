"""`StationClient`: the station's end of OCPP, over any number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import ssl as tls
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from evcore.certificates import load_chain
from evcore.errors import CallError, ConfigError, LinkError, StoreError
from evcore.ocpp.backoff import RetryBackOff
from evcore.ocpp.codec import Codec
from evcore.ocpp.connection_profile import ConnectionProfile, ProfileSwitch, Step
from evcore.ocpp.events import Anomaly, Called, Repaired
from evcore.ocpp.policy import Policy
from evcore.ocpp.records import MessageStore, Record
from evcore.ocpp.registration import Registration
from evcore.ocpp.session import Session
from evcore.ocpp.station import Connected, Disconnected, NotConnected, ProfileTried, StationAbout, StationEvent
from evcore.ocpp.station_clock import StationClock
from evcore.ocpp.transactions import TransactionQueue
from evcore.ocpp.upgrade import VERSIONS, write_url
from evcore.ocpp.websocket.attendant import Attendant
from evcore.ocpp.websocket.client import CertificateRefused, HandshakeRefused, connect
from evcore.ocpp.websocket.connection import log
from evcore.ocpp.websocket.link import Handler, Link
from evcore.ocpp.websocket.station_state import StationState

Payload = Mapping[str, Any]
Version = Literal["1.6", "2.0.1", "2.1"]
_SUBPROTOCOLS = {version: name for name, version in VERSIONS.items()}


def not_supported(called: Called) -> Any:
    """The handler of a station that does nothing: what it does not know never gets here, so NotSupported it is."""
    raise CallError("NotSupported", f"{called.action} is not supported")


class StationClient:
    """Connects, boots, beats, and sends what must not be lost; for ever.

        station = StationClient("ws://csms/ocpp", "CP1", StationAbout("Vendor", "Model"), handle)
        running = asyncio.create_task(station.run())
        await station.online.wait()
        await station.call("StatusNotification", {...})  # may be lost
        station.record("TransactionEvent", {...}, transaction="1")  # is kept until it is answered

    profile: where and how to connect; a URL alone for no password. about: what BootNotification says; it is sent again
    on a reconnect only after this changed, or with a new profile. handle: answers the CSMS's calls, as for `Link`.
    versions: offered in this order, but while messages or transactions of one are not finished only that one, unless
    the CSMS speaks it no more. back_off: the law of reconnecting. store: where records are kept, None for memory.
    clock: None for the machine's, set right by the CSMS's. on_event: told of all that happens (`evcore.ocpp.station`),
    on the event loop, so be quick. policy: how messages are judged, by direction and action; strictly unless given.
    What it mends is a `Repaired`.

    attempts, retry_s, burst_per_s, queue_limit: see `TransactionQueue`. boot_retry_s: see `Registration`.
    profile_attempts: see `ProfileSwitch`. These three are attributes, and their settings may be changed at any time.
    """

    def __init__(
        self,
        profile: ConnectionProfile | str,
        id: str,
        about: StationAbout,
        handle: Handler = not_supported,
        *,
        versions: Sequence[Version] = ("2.1", "2.0.1", "1.6"),
        back_off: RetryBackOff | None = None,
        store: MessageStore | None = None,
        clock: StationClock | None = None,
        on_event: Callable[[StationEvent], None] | None = None,
        attempts: int = 3,
        retry_s: float = 60.0,
        burst_per_s: float = 5.0,
        queue_limit: int = 1000,
        boot_retry_s: float = 60.0,
        call_timeout_s: float = 30.0,
        ping_s: float = 30.0,
        deflate: bool = False,
        profile_attempts: int = 3,
        policy: Policy | None = None,
    ) -> None:
        if not versions or not set(versions) <= set(_SUBPROTOCOLS):
            raise ConfigError("StationClient", "versions", "some of 1.6, 2.0.1, 2.1", ", ".join(versions) or "none")
        profile = ConnectionProfile(profile) if isinstance(profile, str) else profile
        tls_context(profile)  # a file that is not there is told now
        self.id, self.versions = id, tuple(versions)
        self.clock = StationClock(time.time_ns(), time.monotonic_ns()) if clock is None else clock
        self.registration = Registration(self.clock, retry_s=boot_retry_s)
        self.switch = ProfileSwitch(profile, attempts=profile_attempts)
        self.back_off = RetryBackOff() if back_off is None else back_off
        self._state = StationState(about, self.clock, self.registration, self.back_off, store, on_event, versions[0])
        self.queue: TransactionQueue = self._state.queue
        self.queue.attempts, self.queue.interval_s = attempts, retry_s
        self.queue.burst_per_s, self.queue.limit = burst_per_s, queue_limit
        self._handle, self._codecs, self._policy = handle, dict[str, Codec](), policy
        self._call_timeout, self._ping_s, self._deflate = int(call_timeout_s * 1e9), ping_s, deflate
        self._link: _StationLink | None = None
        self._hurry = asyncio.Event()
        self._certificate_told = self._offer_all = False
        self._trial: ConnectionProfile | None = None  # the profile of this connection, until the CSMS has spoken on it

    # What it is now

    @property
    def online(self) -> asyncio.Event:
        """Set while the CSMS accepts it."""
        return self._state.online

    @property
    def connected(self) -> bool:
        """Is a WebSocket open, accepted or not?"""
        return self._link is not None

    @property
    def version(self) -> str:
        """That is spoken now, or was last, or at the beginning is the first choice."""
        return self._state.version

    @property
    def boots(self) -> int:
        """How often BootNotification was answered."""
        return self._state.boots

    @property
    def about(self) -> StationAbout:
        return self._state.about

    @about.setter
    def about(self, about: StationAbout) -> None:
        self._state.about = about

    # For the user

    async def call(self, action: str, payload: Payload, *, timeout_s: float | None = None) -> Any:
        """Call the CSMS and wait for its answer. Raises as `Link.call`; LinkError also when not connected."""
        return (await self.exchange(action, payload, timeout_s=timeout_s))[1]

    async def exchange(self, action: str, payload: Payload, *, timeout_s: float | None = None) -> tuple[str, Any]:
        """As `call`, with the message id."""
        link = self._link
        if link is None:
            raise LinkError("not connected")
        return await self._state.exchange(link, action, payload, timeout_s)

    def send(self, action: str, payload: Payload) -> None:
        """A SEND (2.1): goes out at once, is never answered. Raises LinkError (not connected), PayloadError, and
        ValueError before 2.1."""
        if self._link is None:
            raise LinkError("not connected")
        self._link.send(action, payload)

    def record(self, action: str, payload: Payload, *, transaction: str = "", version: str | None = None) -> Record:
        """Send this, after all that was recorded before it, until the CSMS answers it; its end is a Delivered, a
        GivenUp, or for a meter reading a Dropped. transaction: the station's own name of it, so that messages of 1.6
        get the CSMS's id. version: of the payload, None for `version`. Raises StoreError (no room).

        It is safe from a loss of power only after `committed`.
        """
        state, now = self._state, time.monotonic_ns()
        record = self.queue.put(action, payload, now, version=version or state.version, transaction=transaction)
        state.keeper.wake()
        state.idle.clear()
        if state.online.is_set():
            state.wake.set()
        else:
            state.tell_queue(now)
        return record

    def now(self) -> str:
        """The time as RFC 3339, for a message. Before the clock is set it is made up, and put right when it is sent."""
        return self.clock.stamp(time.monotonic_ns())

    async def committed(self) -> None:
        """Waits until the store has all that was recorded so far, or has failed to take it (`NotStored`)."""
        await self._state.keeper.commit()

    async def drained(self) -> None:
        """Waits until nothing that was recorded is left to send."""
        await self._state.idle.wait()

    def boot(self) -> None:
        """Send BootNotification now, because the CSMS asked for it."""
        self.registration.boot_again(time.monotonic_ns())
        self._state.wake.set()

    def restart(self, reason: str = "RemoteReset") -> None:
        """The station begins anew: it connects at once and boots. reason: 2.x BootReasonEnumType."""
        self._state.boot_reason = reason
        self.registration.restarted(time.monotonic_ns())
        self.reconnect("restart")

    def reconnect(self, reason: str = "reconnect") -> None:
        """Close the connection, after the answer that is being given, and open one at once: for a new profile."""
        self._hurry.set()
        asyncio.get_running_loop().call_soon(self._close, 1000, reason)

    def drop(self) -> None:
        """Lose the connection, as when a cable is cut."""
        if self._link is not None and self._link.connection is not None:
            self._link.connection.abort("dropped")

    async def run(self) -> None:
        """Until cancelled. Raises StoreError when what the store has cannot be read."""
        state = self._state
        await state.keeper.load()
        if len(self.queue):
            state.idle.clear()
        keeping = asyncio.create_task(state.keeper.run())
        try:
            while True:
                await self._connection()
                await self._pause()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    # Inside

    async def _connection(self) -> None:
        """One connection, from the handshake to its end."""
        profile, self._trial = self.switch.profile, self.switch.proposed
        try:
            connection = await connect(
                write_url(profile.url, self.id),
                self._receiver,
                subprotocols=[_SUBPROTOCOLS[version] for version in self._offers()],
                user=self.id,
                password=profile.password,
                ssl=tls_context(profile),
                deflate=self._deflate,
                ping_s=self._ping_s,
            )
        except (LinkError, ConfigError) as error:
            self._not_connected(error, profile)
            return
        link = self._link
        if link is None:
            return
        self._certificate_told = self._offer_all = False
        attendant = Attendant(link, self._state)
        attending = asyncio.create_task(self._attend(attendant, link))
        probation = asyncio.get_running_loop().call_later(self._call_timeout / 1e9, self._end_trial, link)
        try:
            await connection.wait_closed()
            attendant.end()
            await attending  # an answer that came just before the end is taken
            if self._is_on_trial():
                self._tell_step(self.switch.failed())
        finally:
            probation.cancel()
            attending.cancel()
            await asyncio.gather(attending, return_exceptions=True)
            self._state.go_offline()
            self.registration.lost()
            self._close(1001, "shutdown")
            self._link = None

    def _is_on_trial(self) -> bool:
        return self._trial is not None and self._trial is self.switch.proposed

    def _heard(self) -> None:
        """The CSMS has spoken: only now is a new profile known to work. One that takes anybody's upgrade may close then
        because of a certificate, as `OcppServer` does, or never say a word."""
        if self._is_on_trial():
            self._tell_step(self.switch.connected())
        self._trial = None

    def _end_trial(self, link: Link) -> None:
        if self._is_on_trial():
            link.close(1000, "no answer")

    async def _attend(self, attendant: Attendant, link: Link) -> None:
        try:
            await attendant.run()
        except Exception:  # noqa: BLE001 - the station goes on; this connection, with nobody to attend to it, does not
            log.exception("attending to %s failed", self.id)
            link.close(1011, "internal error")

    async def _pause(self) -> None:
        """Until the next try."""
        wait = (self.back_off.next_try(time.monotonic_ns()) - time.monotonic_ns()) / 1e9
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._hurry.wait()
        self._hurry.clear()

    def _offers(self) -> Sequence[Version]:
        """What was begun in a version is finished in it, unless the CSMS does not speak it any more."""
        held = [version for version in self.versions if self.queue.holds(version)]
        return self.versions if self._offer_all else held or self.versions

    def _receiver(self, subprotocol: str) -> Link:
        version, state, now = VERSIONS[subprotocol], self._state, time.monotonic_ns()
        codec = self._codecs.get(version)
        if codec is None:
            codec = self._codecs[version] = Codec(version, policy=self._policy)
        if version != state.version:  # other words, perhaps another CSMS: it has not heard of us
            self.registration.restarted(now)
        if self._trial is not None:
            self.registration.boot_again(now)
        state.version = version
        self.registration.connected(state.about.boot(version, state.boot_reason), now)
        accepted = self.registration.accepted and not self.registration.boot_due
        session = Session(codec, "station", accepted=accepted, call_timeout=self._call_timeout)
        return _StationLink(session, self._handle, self)

    def _opened(self, link: _StationLink) -> None:
        self._link = link
        self._state.tell(Connected(self.switch.profile.url, self.version))

    def _ended(self, code: int, reason: str) -> None:
        self.registration.lost()  # before the BootNotification under way fails, which then costs no wait
        self._state.tell(Disconnected(code, reason))

    def _told(self, event: Anomaly | Repaired) -> None:
        self._state.tell(event)

    def _close(self, code: int, reason: str) -> None:
        if self._link is not None:
            self._link.close(code, reason)

    def _not_connected(self, error: LinkError | ConfigError, profile: ConnectionProfile) -> None:
        why: Literal["network", "certificate", "authentication", "refused"] = "network"
        if isinstance(error, CertificateRefused):
            why = "certificate"
        elif isinstance(error, HandshakeRefused):
            closed = error.status == 0 and profile.url.startswith("wss:")
            why = "authentication" if closed or error.status in (401, 403, 404) else "refused"
            self._offer_all = not self._offer_all  # perhaps it was the version
        self._state.tell(NotConnected(why, str(error)))
        if why == "certificate":
            self._record_certificate(str(error))
        if self._is_on_trial():
            self._tell_step(self.switch.failed())

    def _tell_step(self, step: Step) -> None:
        if step is Step.FELL_BACK:  # at once, whenever the new profile's next try would have been
            self.registration.boot_again(time.monotonic_ns())
        if step is not Step.SAME:
            self._state.tell(ProfileTried(step))

    def _record_certificate(self, detail: str) -> None:
        """A04.FR.02, and 1.6 whitepaper A00.FR.309 and 411: the CSMS is told when it can be, once an outage."""
        if self._certificate_told:
            return
        self._certificate_told = True
        kind = "InvalidCentralSystemCertificate" if self.version == "1.6" else "InvalidCsmsCertificate"
        event = {"type": kind, "timestamp": self.now(), "techInfo": detail[:255]}
        with contextlib.suppress(StoreError):  # no room: what money is made of goes before
            self.record("SecurityEventNotification", event)


class _StationLink(Link):
    """One connection; tells its station."""

    __slots__ = ("_client",)

    def __init__(self, session: Session, handle: Handler, client: StationClient) -> None:
        super().__init__(session, handle)
        self._client = client

    def on_opened(self) -> None:
        self._client._opened(self)

    def received(self, data: bytes) -> None:
        if not self.traffic.received:
            self._client._heard()
        super().received(data)

    def on_closed(self, code: int, reason: str) -> None:
        self._client._ended(code, reason)

    def on_anomaly(self, anomaly: Anomaly) -> None:
        self._client._told(anomaly)

    def on_repaired(self, repaired: Repaired) -> None:
        self._client._told(repaired)


def tls_context(profile: ConnectionProfile) -> tls.SSLContext | None:
    """For `wss://`: the CSMS's certificate is verified, with at least TLS 1.2 (A00.FR.312). Raises ConfigError: a file
    that cannot be read or is none."""
    if not profile.url.startswith("wss:"):
        return None
    if profile.ssl is not None:
        return profile.ssl
    try:
        context = tls.create_default_context(cafile=profile.ca)
        context.minimum_version = tls.TLSVersion.TLSv1_2
        if profile.certificate is not None:
            chain, key = map(Path, profile.certificate)
            load_chain(context, chain, key, None, file="ConnectionProfile", where="certificate")
    except (OSError, ValueError) as error:
        raise ConfigError("ConnectionProfile", "ca", "readable PEM files", f"{error}") from error
    return context
