"""`SimStation`: a charging station to test and demonstrate against, on a real WebSocket."""

from __future__ import annotations

import asyncio
import secrets
import ssl as tls
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Literal

from evcore.errors import CallError, EvcoreError, LinkError
from evcore.ocpp import ConnectionProfile, StationAbout, StationClient
from evcore.ocpp.backoff import RetryBackOff
from evcore.ocpp.events import Called
from evcore.ocpp.records import Record
from evcore.ocpp.station import Answered, Disconnected, NotConnected, Online, Registered, StationEvent
from evcore.ocpp.times import parse_time
from evcore.ocpp.transactions import Delivered, GivenUp
from evcore.ocpp.upgrade import write_url
from evcore.sim.answers import answer
from evcore.sim.answers.profiles import apply, forget_transaction
from evcore.sim.answers.settings import settings_of
from evcore.sim.station_evse import SimEvse, SimTransaction
from evcore.sim.station_memory import SimMemory
from evcore.sim.station_queue import SimQueue
from evcore.sim.station_v2 import Words2
from evcore.sim.station_v16 import Words16

Payload = dict[str, Any]
TICK_S = 1.0  # simulated: the step of the physics


class SimStation:
    """A `StationClient` that charges what is plugged in and answers remote commands.

    url: of the CSMS, without the identity. evses: how many, numbered from 1. power_w: the most that one delivers. dc:
    with SoC. speed: simulated seconds in a real one. interval_s: between meter values, simulated. on_energy: told (id,
    Wh) of each step's energy, so that a simulated site meter agrees. auto_plug: a remote start also plugs the car in.
    password: goes out in clear over ws://, and with TLS over wss://. backoff_s: about the first wait before it connects
    again. answers: every answer the CSMS gave, oldest first. closings: (code, reason) of each connection's end.
    energy_wh: delivered so far by all EVSEs.
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
        self.id, self.version = id, version
        self.vendor, self.model = vendor, model
        self.speed, self.interval_s = speed, interval_s
        self.evses = {n: SimEvse(n, power_w, voltage, 1 if dc else phases, dc) for n in range(1, evses + 1)}
        self.run_id = secrets.token_hex(4)
        self.answers: list[Answered] = []
        self.closings: list[tuple[int, str]] = []
        self.last_error = ""
        self._on_energy, self._auto_plug = on_energy, auto_plug
        self.memory = SimMemory(settings_of(self))
        self.reset_when_idle = False
        self._works: dict[str, asyncio.Task[None]] = {}
        self.words: Words16 | Words2 = Words16(self) if version == "1.6" else Words2(self)
        security = 1 if password is not None and url.startswith("ws:") else None
        self.client = StationClient(
            ConnectionProfile(url, security, password, ssl=ssl),
            id,
            StationAbout(vendor, model, f"SN-{id}", "1.0"),
            self._answer,
            versions=[version],
            back_off=RetryBackOff(0.75 * backoff_s, 0.5 * backoff_s, 6, stable_s=0),
            on_event=self._happened,
            retry_s=backoff_s,
            burst_per_s=5 * speed,
            boot_retry_s=10 / speed,
            call_timeout_s=call_timeout_s,
            deflate=deflate,
        )
        self.client.registration.pace = speed
        self.queue = SimQueue(self.client)
        self._group: asyncio.TaskGroup | None = None
        self._numbers = 0
        self._starting: dict[str, tuple[SimEvse, SimTransaction]] = {}  # until the CSMS has answered
        self._shown: dict[int, tuple[str, str]] = {}

    @property
    def url(self) -> str:
        """Where it connects to, with its identity; may be changed, for its next connection."""
        return write_url(self.client.switch.current.url, self.id)

    @url.setter
    def url(self, url: str) -> None:
        self.client.switch.current = replace(self.client.switch.current, url=url.rpartition("/")[0])

    @property
    def online(self) -> asyncio.Event:
        """Set while it is connected and accepted."""
        return self.client.online

    @property
    def boots(self) -> int:
        """How often BootNotification was answered."""
        return self.client.boots

    @property
    def heartbeat_s(self) -> float:
        """Simulated seconds between heartbeats."""
        return self.client.registration.heartbeat_s

    @heartbeat_s.setter
    def heartbeat_s(self, seconds: float) -> None:
        self.client.registration.heartbeat_s = seconds

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
                self._group.create_task(self._pass_time())
                await self.client.run()
        finally:
            self._group = None

    def _answer(self, called: Called) -> Payload:
        return answer(self, called)

    def _happened(self, event: StationEvent) -> None:
        match event:
            case Answered():
                self.answers.append(event)
            case Online():
                for evse in self.evses.values():
                    self.later(self.tell_status(evse))
            case NotConnected() | Registered():
                self.last_error = event.detail or self.last_error
            case Disconnected():
                self.closings.append((event.code, event.reason))
            case GivenUp():
                self.queue.given_up.append(event.record)
                self._started(event.record, {})
            case Delivered():
                self._started(event.record, event.answer)
            case _:
                pass

    def _started(self, record: Record, answer: Mapping[str, Any]) -> None:
        """The CSMS answered the start of a transaction."""
        if record.kind != "start" or record.transaction not in self._starting:
            return
        evse, transaction = self._starting.pop(record.transaction)
        transaction.id = self.words.transaction_id(transaction, answer)
        if self.words.verdict(answer) not in (None, "Accepted", "ConcurrentTx") and evse.transaction is transaction:
            self.stop(evse, "DeAuthorized")

    async def _pass_time(self) -> None:
        """The physics, and meter values while it charges."""
        loop = asyncio.get_running_loop()
        last, metered = loop.time(), {id: 0.0 for id in self.evses}
        while True:
            await asyncio.sleep(max(TICK_S / self.speed, 0.02))
            now = loop.time()
            passed, last = (now - last) * self.speed, now
            apply(self)
            self._expire()
            for evse in self.evses.values():
                energy = evse.step(passed)
                if energy and self._on_energy is not None:
                    self._on_energy(self.id, energy)
                metered[evse.id] = metered[evse.id] + passed if evse.transaction else 0.0
                if evse.transaction and metered[evse.id] >= self.interval_s:
                    metered[evse.id] = 0.0
                    self.update(evse, "MeterValuePeriodic")
                if self._shown.get(evse.id) != (evse.status, evse.fault):
                    self.later(self.tell_status(evse))

    def _expire(self) -> None:
        """Reservations end (2.0.1 Part 2, H04)."""
        now = self.seconds() if self.memory.reservations else 0.0
        for id in [one.id for one in self.memory.reservations.values() if one.expires <= now]:
            self.release(id)
            if self.version != "1.6":
                self.tell("ReservationStatusUpdate", {"reservationId": id, "reservationUpdateStatus": "Expired"})

    # What happens at it

    async def plug_in(self, evse: int, token: str, *, soc: float = 20.0, token_type: str = "") -> bool:
        """A car is plugged in and its driver shows a token; True once it charges. Offline the token is trusted.
        token_type: of 2.x, for example DirectPayment at a terminal of the station; "" for what it looks like."""
        place = self._place(evse)
        if place.plugged or not self._lets(place, token):
            return False
        self._plug(place, soc)
        await self.tell_status(place)
        if self.online.is_set():
            try:
                verdict = self.words.verdict(await self.call(*self.words.authorize(token, token_type)))
            except LinkError:
                verdict = "Accepted"
            except CallError:
                verdict = "Invalid"
            if verdict != "Accepted":
                return False
        if place.transaction is None and place.plugged:
            self._start(place, token, token_type=token_type)
        if self.online.is_set():
            await self.queue.drained()
        return place.transaction is not None

    async def unplug(self, evse: int) -> None:
        """The car leaves; a running transaction ends."""
        place = self._place(evse)
        if place.transaction is not None:
            self.stop(place, "EVDisconnected")
        place.plugged, place.finishing, place.soc = False, False, None
        await self.tell_status(place)

    async def fault(self, evse: int, code: str = "GroundFailure") -> None:
        """A fault (an error code of OCPP 1.6, 7.6): charging ends. "" takes it away."""
        place = self._place(evse)
        place.fault = code
        if code and place.transaction is not None:
            self.stop(place, "Other")
        await self.tell_status(place)

    async def reset(self, reason: str) -> None:
        """Stop what charges, then connect and boot anew."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.stop(evse, reason)
        self.client.restart("RemoteReset")

    def drop(self) -> None:
        """Lose the connection, as when a cable is cut."""
        self.client.drop()

    def stop(self, evse: SimEvse, reason: str) -> None:
        transaction, evse.transaction = evse.transaction, None
        if transaction is not None:
            evse.power_w, evse.finishing = 0.0, evse.plugged
            forget_transaction(self, evse)
            self._record(transaction, self.words.ended(evse, transaction, reason))
            if self.reset_when_idle and not any(one.transaction for one in self.evses.values()):
                self.reset_when_idle = False
                self.later(self.reset("HardReset"))

    # What the CSMS asks; called by the answers

    def remote_start(
        self, evse: int | None, token: str, remote_start_id: int | None = None, token_type: str = ""
    ) -> SimEvse | None:
        """Where it is going to charge; None: nowhere."""
        places = [self.evses.get(evse)] if evse else [place for place in self.evses.values() if not place.transaction]
        place = next((one for one in places if one is not None and self._lets(one, token)), None)
        if place is None or place.transaction or not (place.plugged or self._auto_plug):
            return None
        if not place.plugged:
            self._plug(place, 20.0)
        self.later(self._start_soon(place, token, remote_start_id, token_type))
        return place

    def _lets(self, evse: SimEvse, token: str) -> bool:
        """May it be used, by this token if it is reserved?"""
        kept = next((one for one in self.memory.reservations.values() if one.evse == evse.id), None)
        return evse.operative and not evse.fault and (kept is None or kept.token == token)

    def remote_stop(self, transaction_id: str) -> bool:
        evse = self.transaction(transaction_id)
        if evse is not None:
            self.later(self.stop_soon(evse, "Remote"))
        return evse is not None

    def transaction(self, id: str) -> SimEvse | None:
        """The EVSE on which it runs."""
        running = (evse for evse in self.evses.values() if evse.transaction is not None and evse.transaction.id == id)
        return next(running, None)

    def release(self, reservation: int) -> bool:
        """Give a reserved EVSE free. False: there is no such reservation."""
        gone = self.memory.reservations.pop(reservation, None)
        if gone is not None:
            self.evses[gone.evse].reserved = False
        return gone is not None

    def begin(self, subject: str, work: Coroutine[Any, Any, None]) -> None:
        """Do it in the background, instead of what goes on about the same subject."""
        before = self._works.pop(subject, None)
        if before is not None:
            before.cancel()
        if self._group is None:
            work.close()
        else:
            self._works[subject] = self._group.create_task(work)

    async def pause(self, seconds: float) -> None:
        """Simulated seconds."""
        await asyncio.sleep(seconds / self.speed)

    def seconds(self) -> float:
        """Now, since 1970, as its clock shows it."""
        return parse_time(self.client.now()) / 1e9

    # Talking

    async def call(self, action: str, payload: Payload) -> Payload:
        """A CALL. Raises LinkError, CallError."""
        return dict(await self.client.call(action, payload))

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do it after the answer that is being given has gone out."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    def tell(self, action: str, payload: Payload) -> None:
        """A message that may be lost, after the answer that is being given has gone out."""
        self.later(self._tell(action, payload))

    async def _tell(self, action: str, payload: Payload) -> None:
        """A message that may be lost."""
        try:
            await self.call(action, payload)
        except EvcoreError as error:
            self.last_error = str(error)

    async def tell_status(self, evse: SimEvse) -> None:
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

    def _start(self, evse: SimEvse, token: str, remote_start_id: int | None = None, token_type: str = "") -> None:
        self._numbers += 1
        for id in [one.id for one in self.memory.reservations.values() if one.evse == evse.id]:
            self.release(id)
        transaction = SimTransaction(self._numbers, token, token_type=token_type, remote_start_id=remote_start_id)
        transaction.began_s = self.seconds()
        transaction.meter_start_wh = evse.energy_wh
        evse.transaction, evse.finishing = transaction, False
        self._starting[transaction.name] = (evse, transaction)
        self._record(transaction, self.words.started(evse, transaction))

    async def _start_soon(self, evse: SimEvse, token: str, remote_start_id: int | None, token_type: str) -> None:
        if evse.transaction is None:
            self._start(evse, token, remote_start_id, token_type)

    async def stop_soon(self, evse: SimEvse, reason: str) -> None:
        if evse.transaction is not None:
            self.stop(evse, reason)

    def update(self, evse: SimEvse, why: str) -> None:
        if evse.transaction is not None:
            self._record(evse.transaction, self.words.updated(evse, evse.transaction, why))

    def _record(self, transaction: SimTransaction, message: tuple[str, Payload] | None) -> None:
        if message is not None:
            self.client.record(*message, transaction=transaction.name)
