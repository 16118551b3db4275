"""The site as a Modbus server for a building's master: docs/modbus-server.md has the registers.

server = ModbusServer("127.0.0.1", 1502, evses=[EvseSlot("CP-01", writable=True)], meters=[MeterSlot("grid")])
await server.run(hub)
"""

from __future__ import annotations

import asyncio
import random
import ssl as tls
import time
from collections.abc import Sequence
from typing import Literal

from evcore import __version__
from evcore.backends.modbus_listener import Connection, Listener
from evcore.backends.modbus_server_map import (
    BLOCK,
    CHARGING,
    EVSE_BASE,
    METER_BASE,
    QUALITY,
    STATUS,
    VERSION,
    EvseSlot,
    MeterSlot,
    site_image,
)
from evcore.modbus.server import TCP_UNITS, Device, Server, Written
from evcore.model import Answer, Command, Evse, Health, Item, Meter, Sample, Session, Station
from evcore.ports import Hub
from evcore.verbs import Verb

BACK_OFF_S = (1.0, 30.0)
_RESULTS = {"NotSupported": 4, "NotImplemented": 4, "Offline": 5, "Timeout": 6, "Error": 7, "Invalid": 7}
_EVSE_VALUES: dict[tuple[str, str | None], str] = {
    ("Power.Active.Import", None): "power",
    ("Current.Import", None): "current",
    ("Voltage", None): "voltage",
    ("SoC", None): "soc",
    ("Energy.Active.Import.Register", None): "energy",
}
_METER_VALUES: dict[tuple[str, str | None], str] = {
    ("Power.Active.Import", None): "power",
    ("Frequency", None): "frequency",
    ("Energy.Active.Import.Register", None): "energy_import",
    ("Energy.Active.Export.Register", None): "energy_export",
}
for _n in ("1", "2", "3"):
    for _phase in (f"L{_n}", f"L{_n}-N"):
        for _values in (_EVSE_VALUES, _METER_VALUES):
            _values["Voltage", _phase], _values["Current.Import", _phase] = f"voltage_l{_n}", f"current_l{_n}"
        _METER_VALUES["Power.Active.Import", _phase] = f"power_l{_n}"


class ModbusServer:
    """host, port: where to listen; port 0 takes any free one. evses, meters: what is shown, each in its slot. site_id:
    shown in the site's registers. limit_target: whom the site's limit is for, as target of set_limit; "" where none may
    be written. most_a: the highest site limit. allow, clients, idle_s, ssl: `modbus_listener.Listener`. units:
    addresses answered. stale_s: a measured value that was not renewed for so long is missing.

    Attributes: port and url (right once `started` is set), started, device. Raises ConfigError.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 502,
        *,
        evses: Sequence[EvseSlot] = (),
        meters: Sequence[MeterSlot] = (),
        site_id: str = "site",
        limit_target: str = "",
        most_a: float = 10_000.0,
        allow: Sequence[str] = (),
        clients: int = 32,
        idle_s: float = 120.0,
        ssl: tls.SSLContext | None = None,
        units: tuple[int, ...] = TCP_UNITS,
        stale_s: float = 300.0,
        name: str = "modbus-server",
    ) -> None:
        self.name, self.port, self.started = name, port, asyncio.Event()
        self.listener = Listener(host, port, name=name, allow=allow, clients=clients, idle_s=idle_s, ssl=ssl)
        self.image = site_image(evses, meters, stale_s=stale_s, writable=bool(limit_target), most_a=most_a, name=name)
        identity = {0: "evcore", 1: "site", 2: __version__, 4: "evcore gateway", 5: f"layout {VERSION}"}
        self.device = Device(self.image, identity=identity, server_id=f"evcore {site_id}")
        self.units = units
        self._tls = ssl is not None
        self._evses = {(one.station, one.evse): one for one in evses}
        self._stations: dict[str, list[EvseSlot]] = {}
        for one in evses:
            self._stations.setdefault(one.station, []).append(one)
        self._meters = {one.meter: one for one in meters}
        self._targets = {f"evse{one.slot}": (one.station, {"evse": one.evse}) for one in evses}
        self._targets["site"] = (limit_target, {})
        self._qualities: dict[str, dict[str, int]] = {one.meter: {} for one in meters}
        self._fresh: dict[str, int] = {}  # block -> monotonic ns of its newest value
        self._wanted: dict[str, tuple[int, Command]] = {}  # block -> the write that waits, and its number
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._began = 0
        for key, value in (
            ("magic", "EVCR"),
            ("layout", VERSION),
            ("evse_slots", max((one.slot for one in evses), default=0)),
            ("meter_slots", max((one.slot for one in meters), default=0)),
            ("evse_base", EVSE_BASE),
            ("meter_base", METER_BASE),
            ("block", BLOCK),
            ("site", site_id),
            ("heartbeat", 0),
        ):
            self.image.set(f"site.{key}", value)
        for block in self._targets:
            for key in ("result", "writes", "result_of", "clear"):
                self.image.set(f"{block}.{key}", 0)
        for one in evses:
            block = f"evse{one.slot}"
            for key, value in (("station", one.station), ("evse", one.evse), ("online", 0), ("status", 0)):
                self.image.set(f"{block}.{key}", value)
            for key in ("charging", "fault", "session"):
                self.image.set(f"{block}.{key}", 0)
        for meter in meters:
            self.image.set(f"meter{meter.slot}.meter", meter.meter)
            self.image.set(f"meter{meter.slot}.online", 0)
            self.image.set(f"meter{meter.slot}.quality", 0)

    @property
    def url(self) -> str:
        host = f"[{self.listener.host}]" if ":" in self.listener.host else self.listener.host
        return f"{'tls' if self._tls else 'tcp'}://{host}:{self.port}"

    async def run(self, hub: Hub) -> None:
        """Listen until cancelled; where the port is taken, try again."""
        wait = BACK_OFF_S[0]
        self._began = time.monotonic_ns()
        self.listener.count = lambda reason: hub.count("evcore_modbus_server_closed_total", reason=reason)
        self._tell(hub, "starting")
        try:
            while True:
                try:
                    await self._serve(hub)
                except OSError as error:
                    self._tell(hub, "down", f"cannot listen: {error}"[:200])
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(2 * wait, BACK_OFF_S[1])
        finally:
            for task in self._asking.values():
                task.cancel()
            self._tell(hub, "stopped")

    async def _serve(self, hub: Hub) -> None:
        feed = hub.subscribe(Sample, Station, Evse, Session, Meter, limit=10_000)
        server: asyncio.Server | None = None
        try:
            for item in hub.snapshot():
                self.take(item)
            self.tick()
            server = await self.listener.listen(lambda: _Master(self, hub))
            self.port = self.listener.port
            self.started.set()
            self._tell(hub, "up", self.url)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.listener.sweep())
                group.create_task(self._keep_ticking())
                taken = 0
                while True:
                    self.take(await feed.get())
                    taken += 1
                    if taken % 200 == 0:  # `get` does not wait while there is something
                        await asyncio.sleep(0)
        finally:
            self.started.clear()
            feed.close()
            if server is not None:
                server.close()
            self.listener.close()

    async def _keep_ticking(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.tick()

    # --- from the hub to the registers ---

    def take(self, item: Item) -> None:
        """Show what the hub told."""
        if isinstance(item, Sample):
            self._take_sample(item)
        elif isinstance(item, Evse) and (slot := self._evses.get((item.station, item.id))):
            self._show(f"evse{slot.slot}", status=_index(STATUS, item.status), fault=int(bool(item.fault)))
            self._show(f"evse{slot.slot}", charging=_index(CHARGING, item.charging), limit=item.limit_a)
        elif isinstance(item, Session) and (slot := self._evses.get((item.station, item.evse))):
            self._take_session(slot, item)
        elif isinstance(item, Station):
            for slot in self._stations.get(item.id, ()):
                self._show(f"evse{slot.slot}", online=int(item.online))
        elif isinstance(item, Meter) and (meter := self._meters.get(item.id)):
            self._show(f"meter{meter.slot}", online=int(item.online))

    def _take_sample(self, sample: Sample) -> None:
        evse, meter = self._evses.get((sample.source, sample.evse)), self._meters.get(sample.source)
        key = (sample.measurand, sample.phase)
        if evse is not None and sample.location == "Outlet" and (field := _EVSE_VALUES.get(key)):
            self._value(f"evse{evse.slot}", field, sample)
        if meter is not None and (field := _METER_VALUES.get(key)):
            self._qualities[sample.source][field] = QUALITY.index(sample.quality)
            self._value(f"meter{meter.slot}", field, sample)
            self._show(f"meter{meter.slot}", quality=max(self._qualities[sample.source].values()))

    def _value(self, block: str, field: str, sample: Sample) -> None:
        now = time.monotonic_ns()
        if sample.quality == "stale":
            self.image.set(f"{block}.{field}", None, now)
            return
        self.image.set(f"{block}.{field}", sample.value, now)
        self._fresh[block] = now

    def _take_session(self, slot: EvseSlot, session: Session) -> None:
        until = session.ended_ns if session.state == "ended" and session.ended_ns else time.time_ns()
        self._show(
            f"evse{slot.slot}",
            session=int(session.state == "active"),
            session_energy=session.energy_wh,
            session_seconds=max(0, (until - session.started_ns) // 1_000_000_000),
        )

    def _show(self, block: str, **values: float | None) -> None:
        now = time.monotonic_ns()
        for name, value in values.items():
            self.image.set(f"{block}.{name}", value, now)

    def tick(self) -> None:
        """Once a second: heartbeat, ages, what has grown old, and the site's sums."""
        now, image = time.monotonic_ns(), self.image
        image.expire(now)
        beat = self._number("site.heartbeat")
        image.set("site.heartbeat", (beat + 1) % 65_535)  # 65535 is "no value"
        image.set("site.time", int(time.time()))
        image.set("site.uptime", (now - self._began) // 1_000_000_000)
        for block, fresh in self._fresh.items():
            image.set(f"{block}.age", min(65_534, (now - fresh) // 1_000_000_000))
        blocks = [f"evse{one.slot}" for one in self._evses.values()]
        known = [image.get(f"{block}.power") for block in blocks]
        powers = [float(power) for power in known if isinstance(power, int | float)]
        self._show(
            "site",
            online=sum(image.get(f"{block}.online") == 1 for block in blocks),
            occupied=sum(image.get(f"{block}.status") == 2 for block in blocks),
            charging=sum(image.get(f"{block}.charging") == 2 for block in blocks),
            faulted=sum(image.get(f"{block}.fault") == 1 for block in blocks),
            power=sum(powers) if powers else None,
            power_known=len(powers),
        )

    def _number(self, name: str) -> int:
        value = self.image.get(name)
        return value if isinstance(value, int) else 0

    # --- from masters to the hub ---

    def written(self, hub: Hub, event: Written) -> None:
        """Ask for what a master has written. Of several writes to one limit the last one counts; one command is under
        way at a time."""
        for name, value in event.values.items():
            block, _, field = name.rpartition(".")
            target, args = self._targets[block]
            if field == "clear":
                command = Command(target, Verb.CLEAR_LIMIT, dict(args))
                self._show(block, limit_asked=None, limit_asked_tenths=None, clear=0)
            elif isinstance(value, int | float):
                limit = round(float(value), 3)
                command = Command(target, Verb.SET_LIMIT, {**args, "limit": limit, "unit": "A"})
                self._show(block, limit_asked=limit, limit_asked_tenths=limit)
            else:
                continue
            number = (self._number(f"{block}.writes") + 1) % 65_535
            self._show(block, writes=number, result=1, result_of=number)
            self._wanted[block] = number, command
            if block not in self._asking:
                self._asking[block] = asyncio.create_task(self._ask(hub, block), name=f"{self.name} {block}")

    async def _ask(self, hub: Hub, block: str) -> None:
        try:
            while (wanted := self._wanted.pop(block, None)) is not None:
                number, command = wanted
                answer = await hub.command(command)
                hub.count("evcore_modbus_server_commands_total", status=answer.status)
                if block not in self._wanted:
                    self._show(block, result=_result(answer), result_of=number)
        finally:
            self._asking.pop(block, None)

    def _tell(self, hub: Hub, state: Literal["starting", "up", "down", "stopped"], detail: str = "") -> None:
        hub.publish(Health(self.name, state, detail, time.time_ns()))


class _Master(Connection):
    """One master's connection."""

    def __init__(self, owner: ModbusServer, hub: Hub) -> None:
        super().__init__(owner.listener)
        self._owner, self._hub = owner, hub
        self._server = Server(owner.device, units=owner.units)

    def received(self, data: bytes) -> None:
        self._server.receive(data, time.monotonic_ns())
        self._pump()

    def _pump(self) -> None:
        """Some requests, then the other connections have their turn."""
        if self.transport is None or self.transport.is_closing():
            return
        for event in self._server.poll(time.monotonic_ns()):
            self._owner.written(self._hub, event)
        replies = self._server.to_send()
        if replies:
            self.touch()
            traffic = self._hub.traffic("modbus-server")
            traffic.received += len(replies)
            traffic.sent += len(replies)
            self.transport.write(b"".join(replies))
        if self._server.broken is not None:
            self._hub.traffic("modbus-server").errors += 1
            self.close(self._server.broken.reason)
        elif self._server.more:
            self.hold("turn", True)
            asyncio.get_running_loop().call_soon(self._pump)
        else:
            self.hold("turn", False)


def _index(words: Sequence[str], word: str | None) -> int:
    return words.index(word) if word in words else 0


def _result(answer: Answer) -> int:
    return 2 if answer.ok else _RESULTS.get(answer.status, 3)
