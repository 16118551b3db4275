"""Is what the protocols say of the site one and the same? And is every record that a station was promised on disk?"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from evcore.gateway.demo.clients import FeedWatcher, MqttWatcher, RestClient, Seen
from evcore.sim.station import SimStation

SETTLE_S = 10.0
# OCPP 1.6 meters whole Wh, so a session may be 1 Wh off; the meter's register is a float32 of kWh: 0.12 Wh at 1234 kWh,
# read twice.
SESSION_WH, METER_WH = 1.0, 0.25
PROTOCOLS = ("ocpp", "modbus", "can", "mqtt", "http", "websocket")
MOST_PROMISES = 100_000

Promise = tuple[str, str, str, int | None, str | None]  # station, transaction, kind, seqNo, meter


class Judge:
    """Compares, after each round, what a client of each protocol has seen. problems: what did not agree, in words."""

    def __init__(self, rest: RestClient, mqtt: MqttWatcher, feed: FeedWatcher, stations: Iterable[SimStation]) -> None:
        self._rest, self._mqtt, self._feed, self._stations = rest, mqtt, feed, list(stations)
        self.problems: list[str] = []
        self.started = self.ended = self.paid = 0
        self.energy_wh = 0.0
        self.promises: list[Promise] = []
        self._before: dict[str, float] = {}

    async def ready(self) -> None:
        """Wait until both watchers have a first reading of the meter."""
        await self._wait(lambda: None not in (self._mqtt.seen.meter_wh, self._feed.seen.meter_wh))

    def begin(self) -> None:
        """A round begins: nothing charges now."""
        for name, seen in self._watchers().items():
            seen.forget()
            self._before[name] = seen.meter_wh or 0.0

    async def end(self, payments: Iterable[str]) -> None:
        """A round has ended: nothing charges any more."""
        for station in self._stations:
            await station.queue.drained()
        self.promise(self._stations)
        rest = await self._rest_sessions()
        await self._wait(lambda: all(seen.ended == rest for seen in self._watchers().values()))
        latest = max((session["ended"] for session in self._details), default="")
        await self._wait(lambda: all(seen.meter_at > latest for seen in self._watchers().values()))
        total = sum(rest.values())
        for name, seen in self._watchers().items():
            if seen.ended != rest:
                self.problems.append(f"{name} saw the sessions {seen.ended}, REST {rest}")
            metered = (seen.meter_wh or 0.0) - self._before[name]
            if abs(metered - total) > SESSION_WH * len(rest) + METER_WH:
                self.problems.append(f"{name}: the meter counted {metered:.1f} Wh, the sessions {total:.1f} Wh")
        self.started += len(self._mqtt.seen.started)
        self.ended += len(rest)
        self.energy_wh += total
        for id in payments:
            payment = await self._rest.get(f"/v1/payments/{id}")
            if payment["state"] == "captured" and payment["captured"] == payment["cost"]:
                self.paid += 1
            else:
                self.problems.append(f"payment {id} is {payment['state']}, captured {payment.get('captured')}")

    def promise(self, stations: Iterable[SimStation]) -> None:
        """Note what the gateway has promised the stations since the last time."""
        for station in stations:
            self.promises += promises_of(station)
            station.answers.clear()
        del self.promises[:-MOST_PROMISES]

    async def _rest_sessions(self) -> dict[str, float]:
        """The sessions of this round, by REST: those that began in it, as the outsiders saw."""
        ids = set().union(*(seen.started for seen in self._watchers().values()))
        self._details: list[Mapping[str, Any]] = [await self._rest.get(f"/v1/sessions/{id}") for id in sorted(ids)]
        for session in self._details:
            if session["state"] != "ended":
                self.problems.append(f"session {session['id']} is still {session['state']}")
        return {session["id"]: session["energy_wh"] for session in self._details if session["state"] == "ended"}

    def _watchers(self) -> dict[str, Seen]:
        return {"mqtt": self._mqtt.seen, "feed": self._feed.seen}

    async def _wait(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SETTLE_S
        while not true() and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)


def promises_of(station: SimStation) -> list[Promise]:
    """The session records that the gateway told this station it has."""
    promises: list[Promise] = []
    for answered in station.answers:
        payload, answer = answered.payload, answered.answer
        if answer is None:
            continue
        match answered.action:
            case "StartTransaction":
                transaction, meter = str(answer["transactionId"]), str(payload["meterStart"])
                promises.append((station.id, transaction, "start", None, meter))
            case "StopTransaction":
                transaction, meter = str(payload["transactionId"]), str(payload["meterStop"])
                promises.append((station.id, transaction, "end", None, meter))
            case "TransactionEvent":
                kind = {"Started": "start", "Updated": "update", "Ended": "end"}[payload["eventType"]]
                promises.append((station.id, payload["transactionInfo"]["transactionId"], kind, payload["seqNo"], None))
            case _:
                continue
    return promises


def lost_records(database: Path, promises: Iterable[Promise]) -> list[str]:
    """Promises that the database does not hold, in words. Nobody else may have the file open."""
    lost = []
    with sqlite3.connect(database) as conn:
        for station, transaction, kind, seq, meter in promises:
            found = conn.execute(
                "SELECT records.meter FROM records JOIN sessions ON n = session "
                "WHERE station = ? AND transaction_id = ? AND kind = ? AND seq = ifnull(?, seq)",
                (station, transaction, kind, seq),
            ).fetchall()
            if not found or (meter is not None and (meter,) not in found):
                lost.append(f"{station} was promised {kind} of transaction {transaction} (seqNo {seq}, meter {meter})")
    conn.close()
    return lost
