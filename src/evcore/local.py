"""The ports for a connector used alone: an in-process hub and a ledger in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from typing import TypeVar

from evcore.model import Answer, Authorization, Command, Event, Item, Payment, Recorded, Session, SessionRecord
from evcore.ports import CommandHandler, Traffic
from evcore.quick import changed

LEDGER_KEEPS = 100_000
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_OVER: dict[type, set[str]] = {Session: {"ended"}, Payment: {"captured", "voided", "failed"}}


class LocalSubscription:
    """See `ports.Subscription`. In the order of publishing; a state or sample that is waiting already keeps its place
    and takes the new value. So an event never overtakes the state of its subject, and no flood of samples holds an
    event back.
    """

    def __init__(self, hub: LocalHub, kinds: tuple[type, ...], limit: int) -> None:
        self.dropped = 0
        self._hub, self._kinds, self._limit = hub, kinds, limit
        self._latest: OrderedDict[str, tuple[int, Item]] = OrderedDict()
        self._events: deque[tuple[int, Event]] = deque()
        self._count = 0  # of what was offered: its place in the order
        self._ready = asyncio.Event()

    def offer(self, item: Item) -> None:
        if self._kinds and not isinstance(item, self._kinds):
            return
        self._count += 1
        if isinstance(item, Event):
            if len(self._events) >= self._limit:
                self._events.popleft()
                self.dropped += 1
            self._events.append((self._count, item))
        else:
            key = item.key
            waiting = self._latest.get(key)
            if waiting is None and len(self._latest) >= self._limit:
                self._latest.popitem(last=False)
                self.dropped += 1
            self._latest[key] = (self._count if waiting is None else waiting[0]), item
        self._ready.set()

    async def get(self) -> Item:
        """The next item."""
        while not self._latest and not self._events:
            self._ready.clear()
            await self._ready.wait()
        if not self._events:
            return self._latest.popitem(last=False)[1][1]
        if self._latest and next(iter(self._latest.values()))[0] < self._events[0][0]:
            return self._latest.popitem(last=False)[1][1]
        return self._events.popleft()[1]

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            yield await self.get()

    def close(self) -> None:
        self._hub.forget(self)


class _Registration:
    """Who answers the commands for a target."""

    __slots__ = ("_all", "_target", "handler")

    def __init__(self, everyone: dict[str, _Registration], target: str, handler: CommandHandler) -> None:
        self._all, self._target, self.handler = everyone, target, handler

    def release(self) -> None:
        """Take this registration back, and no later one."""
        if self._all.get(self._target) is self:
            del self._all[self._target]


class LocalHub:
    """See `ports.Hub`. on_item: called with every item, before any subscriber. over: ended sessions (and payments)
    whose last state is kept; older ones are forgotten, since every session has a key of its own. going: the same of
    those that are not over, since there are stations that never end theirs; the longest silent go first.
    """

    def __init__(self, on_item: Callable[[Item], None] | None = None, *, over: int = 200, going: int = 10_000) -> None:
        self._on_item, self._keep_over, self._keep_going = on_item, over, going
        self._last: dict[str, Item] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self._going: OrderedDict[str, None] = OrderedDict()
        self._subscriptions: list[LocalSubscription] = []
        self._handlers: dict[str, _Registration] = {}
        self._traffic: dict[str, Traffic] = {}
        self._counters: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def publish(self, item: Item) -> None:
        if not isinstance(item, Event):
            key = item.key
            self._last[key] = item
            if isinstance(item, (Session, Payment)):
                self._forget_old(key, item)
        if self._on_item is not None:
            self._on_item(item)
        for subscription in self._subscriptions:
            subscription.offer(item)

    def _forget_old(self, key: str, item: Session | Payment) -> None:
        self._over.pop(key, None)
        self._going.pop(key, None)
        is_over = item.state in _OVER[type(item)]
        kept, most = (self._over, self._keep_over) if is_over else (self._going, self._keep_going)
        kept[key] = None
        if len(kept) > most:
            del self._last[kept.popitem(last=False)[0]]

    def last(self, key: str) -> Item | None:
        return self._last.get(key)

    def snapshot(self, prefix: str = "") -> list[Item]:
        return [item for key, item in self._last.items() if key.startswith(prefix)]

    def subscribe(self, *kinds: type, limit: int = 1000) -> LocalSubscription:
        subscription = LocalSubscription(self, kinds, limit)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: LocalSubscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def serve(self, target: str, handler: CommandHandler) -> Callable[[], None]:
        registration = _Registration(self._handlers, target, handler)  # the same handler may be registered twice
        self._handlers[target] = registration
        return registration.release

    async def command(self, command: Command, timeout: float = 35.0) -> Answer:
        registration = self._handlers.get(command.target)
        if registration is None:
            return Answer("Offline", False, f"{command.target} is not connected")
        try:
            async with asyncio.timeout(timeout):
                return await registration.handler(command)
        except TimeoutError:
            return Answer("Timeout", False, f"no answer within {timeout:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a handler does wrong costs this command only
            self.count("evcore_command_errors_total", verb=command.verb)
            return Answer("Error", False, f"{type(error).__name__}: {error}")

    def traffic(self, protocol: str) -> Traffic:
        return self._traffic.setdefault(protocol, Traffic())

    def all_traffic(self) -> Mapping[str, Traffic]:
        return self._traffic

    def count(self, name: str, n: int = 1, **labels: str) -> None:
        key = (name, tuple(sorted(labels.items())))
        self._counters[key] = self._counters.get(key, 0) + n

    def counters(self) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]:
        return self._counters


class LocalLedger:
    """See `ports.Ledger`. In memory: nothing survives the process, for examples and tests only. A start or end counts
    once however often it is sent. Sessions, and starts and ends, are kept until 100 000 others were heard of since:
    no station sends a record again for so long.

    tokens: who may charge; None: everyone.
    """

    def __init__(self, tokens: set[str] | None = None) -> None:
        self._tokens = tokens
        self.sessions: OrderedDict[tuple[str, str], Session] = OrderedDict()
        self._seen: OrderedDict[tuple[str, str, bytes], str] = OrderedDict()
        self._count = 0

    async def authorize(self, station: str, token: str) -> Authorization:
        known = self._tokens is None or token in self._tokens
        return Authorization("Accepted" if known else "Invalid")

    async def record(self, record: SessionRecord) -> Recorded:
        identity = (record.station, record.kind, record.payload)
        duplicate = identity in self._seen
        transaction = record.transaction_id or self._seen.get(identity) or self._next()
        before = self.sessions.get((record.station, transaction))
        session = record.price(_apply(before, record, transaction))
        _keep(self.sessions, (record.station, transaction), session)
        if record.kind != "update":  # a second one of these changes nothing anyway
            _keep(self._seen, identity, transaction)
        verdict = await self.authorize(record.station, record.token or session.token or "")
        return Recorded(session, verdict, duplicate)

    def _next(self) -> str:
        self._count += 1
        return str(self._count)


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > LEDGER_KEEPS:
        kept.popitem(last=False)


def _apply(before: Session | None, record: SessionRecord, transaction: str) -> Session:
    if before is None:
        before = Session(
            id=f"{record.station}-{transaction}",
            station=record.station,
            evse=record.evse,
            connector=record.connector,
            transaction_id=transaction,
            state="active",
            started_ns=record.time_ns,
            token=record.token,
            meter_start=record.meter,
        )
    first = before.meter_start or record.meter
    energy = float(Decimal(record.meter) - Decimal(first)) if record.meter and first else before.energy_wh
    if record.kind != "end":
        return changed(before, meter_start=first, energy_wh=energy)
    return changed(
        before,
        state="ended",
        ended_ns=record.time_ns,
        meter_start=first,
        meter_stop=record.meter or before.meter_stop,
        energy_wh=energy,
        reason=record.reason,
    )
