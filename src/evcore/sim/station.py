"""`SimStation`: a charging station to test and demonstrate against, on a real WebSocket."""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl as tls
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from evcore.errors import CallError, EvcoreError, LinkError
from evcore.ocpp import Codec
from evcore.ocpp.session import Session
from evcore.ocpp.upgrade import write_url
from evcore.ocpp.websocket import Handler, HandshakeRefused, Link, connect
from evcore.sim.station_evse import SimEvse, SimTransaction
from evcore.sim.station_queue import Answered, Entry, Payload, TransactionQueue
from evcore.sim.station_v2 import Words2
from evcore.sim.station_v16 import Words16

TICK_S = 1.0  # simulated: the step of the physics


class SimStation:
    """Boots, heartbeats, charges what is plugged in, answers remote commands; reconnects with back-off and sends again
    what was not answered.

    url: of the CSMS, without the identity. evses: how many, numbered from 1. power_w: the most that one delivers. dc:
    with SoC. speed: simulated seconds in a real one. interval_s: between meter values, simulated. on_energy: told (id,
    Wh) of each step's energy, so that a simulated site meter agrees. auto_plug: a remote start also plugs the car in.
    answers: every answer the CSMS gave, oldest first. closings: (code, reason) of each connection's end. energy_wh:
    delivered so far by all EVSEs.
    """

    def __init__(
        self,
        url: str,
        id: str,
        *,
        version: Literal["1.6", "2.0.1", "2.1"] = "1.6",
        password: str | bytes | None = None,
        evses: int = 1,
        power_w: float = 11_000,
        voltage: float = 230.0,
        phases: int = 3,
        dc: bool = False,
        speed: float = 1.0,
        interval_s: float = 10.0,
        on_energy: Callable[[str, float], None] | None = None,
        auto_plug: bool = True,
        ssl: tls.SSLContext | None = None,
        deflate: bool = False,
        backoff_s: float = 1.0,
        call_timeout_s: float = 10.0,
        vendor: str = "evcore",
        model: str = "SimStation",
    ) -> None:
        self.url, self.id, self.version = write_url(url, id), id, version
        self.vendor, self.model, self.serial, self.firmware = vendor, model, f"SN-{id}", "1.0"
        self.speed, self.interval_s, self.heartbeat_s = speed, interval_s, 300.0
        self.evses = {n: SimEvse(n, power_w, voltage, 1 if dc else phases, dc) for n in range(1, evses + 1)}
        self.online = asyncio.Event()  # connected and accepted
        self.boot_reason, self.boots, self.run_id = "PowerUp", 0, secrets.token_hex(4)
        self.answers: list[Answered] = []
        self.closings: list[tuple[int, str]] = []
        self.last_error = ""
        self._password, self._ssl, self._deflate = password, ssl, deflate
        self._backoff_s, self._call_timeout = backoff_s, int(call_timeout_s * 1e9)
        self._on_energy, self._auto_plug = on_energy, auto_plug
        self._codec = Codec(version)
        self.words: Words16 | Words2 = Words16(self) if version == "1.6" else Words2(self)
        self.queue = TransactionQueue(self.call, retry_s=backoff_s)
        self._link: Link | None = None
        self._group: asyncio.TaskGroup | None = None
        self._profiles: dict[int, tuple[int, str]] = {}  # id -> (EVSE, purpose)
        self._numbers = 0
        self._booted = False
        self._shown: dict[int, tuple[str, str]] = {}

    @property
    def energy_wh(self) -> float:
        return sum(evse.energy_wh for evse in self.evses.values())

    @property
    def power_w(self) -> float:
        return sum(evse.power_w for evse in self.evses.values())

    # Its life

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._group.create_task(self.queue.run(self.online))
                self._group.create_task(self._pass_time())
                self._group.create_task(self._heartbeat())
                await self._stay_connected()
        finally:
            self._group = None
            self.online.clear()
            if self._link is not None:
                self._link.close(1001, "shutdown")
                self._link = None

    async def _stay_connected(self) -> None:
        wait = self._backoff_s
        while True:
            try:
                await self._connection()
                wait = self._backoff_s
            except EvcoreError as error:
                self.last_error = str(error)
                if isinstance(error, HandshakeRefused):
                    wait = max(wait, 2 * self._backoff_s)
            await asyncio.sleep(wait * random.uniform(0.75, 1.25))
            wait = min(2 * wait, 60 * self._backoff_s)

    async def _connection(self) -> None:
        """One connection, from the handshake to its end."""
        session = Session(self._codec, "station", accepted=self._booted, call_timeout=self._call_timeout)
        link = _SimLink(session, self.words.handle, self.closings)
        connection = await connect(
            self.url,
            link,
            subprotocols=[f"ocpp{self.version}"],
            user=self.id,
            password=self._password,
            ssl=self._ssl,
            deflate=self._deflate,
        )
        self._link = link
        try:
            await self._boot()
            self._booted = True
            self.online.set()
            for evse in self.evses.values():
                self.later(self._tell_status(evse))
            await connection.wait_closed()
        finally:
            self.online.clear()
            self._link = None
            link.close(1001, "bye")

    async def _boot(self) -> None:
        """BootNotification until it is accepted (OCPP 1.6, 4.2)."""
        while True:
            answer = await self.call(*self.words.boot())
            self.boots += 1
            if answer["status"] == "Accepted":
                self.heartbeat_s = float(answer["interval"]) or self.heartbeat_s
                return
            await asyncio.sleep((answer["interval"] or 10) / self.speed)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_s / self.speed)
            if self.online.is_set():
                await self._tell("Heartbeat", {})

    async def _pass_time(self) -> None:
        """The physics, and meter values while it charges."""
        loop = asyncio.get_running_loop()
        last, metered = loop.time(), {id: 0.0 for id in self.evses}
        while True:
            await asyncio.sleep(max(TICK_S / self.speed, 0.02))
            now = loop.time()
            passed, last = (now - last) * self.speed, now
            for evse in self.evses.values():
                energy = evse.step(passed)
                if energy and self._on_energy is not None:
                    self._on_energy(self.id, energy)
                metered[evse.id] = metered[evse.id] + passed if evse.transaction else 0.0
                if evse.transaction and metered[evse.id] >= self.interval_s:
                    metered[evse.id] = 0.0
                    self._update(evse, "MeterValuePeriodic")
                if self._shown.get(evse.id) != (evse.status, evse.fault):
                    self.later(self._tell_status(evse))

    # What happens at it

    async def plug_in(self, evse: int, token: str, *, soc: float = 20.0) -> bool:
        """A car is plugged in and its driver shows a token; True once it charges. Offline the token is trusted."""
        place = self._place(evse)
        if place.plugged or place.fault or not place.operative:
            return False
        self._plug(place, soc)
        await self._tell_status(place)
        if self.online.is_set():
            try:
                verdict = self.words.verdict(await self.call(*self.words.authorize(token)))
            except LinkError:
                verdict = "Accepted"
            except CallError:
                verdict = "Invalid"
            if verdict != "Accepted":
                return False
        if place.transaction is None and place.plugged:
            self._start(place, token)
        if self.online.is_set():
            await self.queue.drained()
        return place.transaction is not None

    async def unplug(self, evse: int) -> None:
        """The car leaves; a running transaction ends."""
        place = self._place(evse)
        if place.transaction is not None:
            self.stop(place, "EVDisconnected")
        place.plugged, place.finishing, place.soc = False, False, None
        await self._tell_status(place)

    async def fault(self, evse: int, code: str = "GroundFailure") -> None:
        """A fault (an error code of OCPP 1.6, 7.6): charging ends. "" takes it away."""
        place = self._place(evse)
        place.fault = code
        if code and place.transaction is not None:
            self.stop(place, "Other")
        await self._tell_status(place)

    async def reset(self, reason: str) -> None:
        """Stop what charges, then connect and boot anew."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.stop(evse, reason)
        self._booted, self.boot_reason = False, "RemoteReset"
        if self._link is not None:
            self._link.close(1000, "reset")

    def drop(self) -> None:
        """Lose the connection, as when a cable is cut."""
        if self._link is not None and self._link.connection is not None:
            self._link.connection.abort("dropped")

    def stop(self, evse: SimEvse, reason: str) -> None:
        transaction, evse.transaction = evse.transaction, None
        if transaction is not None:
            evse.power_w, evse.finishing = 0.0, evse.plugged
            evse.limits_w.pop("TxProfile", None)
            self.queue.put(self.words.ended(evse, transaction, reason))

    def authorized(self, evse: SimEvse, transaction: SimTransaction, verdict: str | None) -> None:
        """The CSMS answered the start of a transaction."""
        if verdict not in (None, "Accepted", "ConcurrentTx") and evse.transaction is transaction:
            self.stop(evse, "DeAuthorized")

    # What the CSMS asks; called by the words

    def remote_start(self, evse: int | None, token: str, remote_start_id: int | None = None) -> bool:
        places = [self.evses.get(evse)] if evse else [place for place in self.evses.values() if not place.transaction]
        place = places[0] if places else None
        if place is None or place.transaction or place.fault or not place.operative:
            return False
        if not place.plugged:
            if not self._auto_plug:
                return False
            self._plug(place, 20.0)
        self.later(self._start_soon(place, token, remote_start_id))
        return True

    def remote_stop(self, transaction_id: str) -> bool:
        for evse in self.evses.values():
            if evse.transaction is not None and evse.transaction.id == transaction_id:
                self.later(self._stop_soon(evse))
                return True
        return False

    def unlock(self, evse: SimEvse) -> str:
        if evse.transaction is not None:
            self.stop(evse, "UnlockCommand")
        return "Unlocked"

    def change_availability(self, evse: int, operative: bool) -> str:
        places = [self.evses[evse]] if evse in self.evses else list(self.evses.values()) if evse == 0 else []
        if not places:
            return "Rejected"
        for place in places:
            place.operative = operative
        return "Scheduled" if not operative and any(place.transaction for place in places) else "Accepted"

    def trigger(self, message: str, evse: int) -> str:
        places = [self.evses[evse]] if evse in self.evses else list(self.evses.values())
        match message:
            case "BootNotification":
                self.later(self._tell(*self.words.boot()))
            case "Heartbeat":
                self.later(self._tell(message, {}))
            case "StatusNotification":
                for place in places:
                    self.later(self._tell_status(place))
            case "MeterValues":
                for place in places:
                    self.later(self._tell(*self.words.metered(place, "Trigger")))
            case _:
                return "NotImplemented"
        return "Accepted"

    def set_profile(self, evse: int, id: int, purpose: str, limit: float, unit: str) -> bool:
        places = [self.evses[evse]] if evse in self.evses else list(self.evses.values()) if evse == 0 else []
        if not places or (purpose == "TxProfile" and not all(place.transaction for place in places)):
            return False
        self._profiles[id] = (evse, purpose)
        for place in places:
            place.limits_w[purpose] = place.watts(float(limit), unit)
        return True

    def clear_profiles(self, id: int | None, evse: int | None) -> bool:
        found = [known for known, (place, _) in self._profiles.items() if id in (None, known) and evse in (None, place)]
        for known in found:
            place, purpose = self._profiles.pop(known)
            for one in [self.evses[place]] if place else self.evses.values():
                one.limits_w.pop(purpose, None)
        return bool(found)

    def not_supported(self, action: str) -> Payload:
        raise CallError("NotImplemented", f"{action} is not simulated")

    # Talking

    async def call(self, action: str, payload: Payload) -> Payload:
        """A CALL; its answer is kept in `answers`. Raises LinkError, CallError."""
        link = self._link
        if link is None:
            raise LinkError("not connected")
        try:
            id, answer = await link.exchange(action, payload)
        except CallError as error:
            self.answers.append(Answered("", action, payload, None, str(error)))
            raise
        self.answers.append(Answered(id, action, payload, answer))
        return dict(answer)

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do it after the answer that is being given has gone out."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    async def _tell(self, action: str, payload: Payload) -> None:
        """A message that may be lost."""
        try:
            await self.call(action, payload)
        except EvcoreError as error:
            self.last_error = str(error)

    async def _tell_status(self, evse: SimEvse) -> None:
        self._shown[evse.id] = (evse.status, evse.fault)
        if self.online.is_set():
            await self._tell(*self.words.status(evse))

    # Inside

    def _place(self, evse: int) -> SimEvse:
        try:
            return self.evses[evse]
        except KeyError:
            raise ValueError(f"evse: expected 1..{len(self.evses)}, got {evse}") from None

    def _plug(self, evse: SimEvse, soc: float) -> None:
        evse.plugged = True
        evse.soc = soc if evse.dc else None

    def _start(self, evse: SimEvse, token: str, remote_start_id: int | None = None) -> None:
        self._numbers += 1
        transaction = SimTransaction(self._numbers, token, remote_start_id=remote_start_id)
        transaction.meter_start_wh = evse.energy_wh
        evse.transaction, evse.finishing = transaction, False
        self.queue.put(self.words.started(evse, transaction))

    async def _start_soon(self, evse: SimEvse, token: str, remote_start_id: int | None) -> None:
        if evse.transaction is None:
            self._start(evse, token, remote_start_id)

    async def _stop_soon(self, evse: SimEvse) -> None:
        if evse.transaction is not None:
            self.stop(evse, "Remote")

    def _update(self, evse: SimEvse, why: str) -> None:
        transaction = evse.transaction
        if transaction is not None:
            entry: Entry | None = self.words.updated(evse, transaction, why)
            if entry is not None:
                self.queue.put(entry)


class _SimLink(Link):
    """Notes how it ended."""

    __slots__ = ("_closings",)

    def __init__(self, session: Session, handle: Handler, closings: list[tuple[int, str]]) -> None:
        super().__init__(session, handle)
        self._closings = closings

    def on_closed(self, code: int, reason: str) -> None:
        self._closings.append((code, reason))
