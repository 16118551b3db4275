"""What happens at the demonstration's site, round after round: a card, a payment, a fault, an order over REST."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from evcore.gateway.demo.clients import RestClient
from evcore.sim.site import SimSite

CARD, REST_TOKEN = "DEMO-CARD-1", "DEMO-REST-1"
HOLD_MINOR = 2500  # what the driver lets hold
PATIENCE_S = 20.0


class StepFailed(Exception):
    """A step of the round did not lead to what it should."""


class Scenario:
    """say: told of each step, in words. charge_s: how long the AC station charges, twice; the DC one as both."""

    def __init__(self, site: SimSite, rest: RestClient, say: Callable[[str], None], charge_s: float) -> None:
        self._site, self._rest, self._say, self.charge_s = site, rest, say, charge_s
        self.payments: list[str] = []

    async def round(self) -> None:
        """Both stations at once; returns when nothing charges any more and the payment is settled.

        Raises StepFailed, in a group.
        """
        self.payments.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._at_ac())
            group.create_task(self._at_dc())

    async def _at_ac(self) -> None:
        station = self._site.ac
        self._say(f"{station.id}: a car is plugged in, its driver shows the card {CARD}")
        if not await station.plug_in(1, CARD):
            raise StepFailed(f"{station.id}: the card was refused: {station.last_error}")
        await asyncio.sleep(self.charge_s)
        self._say(f"{station.id}: a ground fault ends the session")
        await station.fault(1, "GroundFailure")
        await asyncio.sleep(self.charge_s / 3)
        await station.fault(1, "")
        await station.unplug(1)
        self._say(f"{station.id}: started over REST")
        await self._order(station.id, "start", {"evse": 1, "token": REST_TOKEN})
        await self._until(lambda: station.evses[1].transaction, f"{station.id}: no session after the remote start")
        await asyncio.sleep(self.charge_s)
        self._say(f"{station.id}: stopped over REST")
        active = await self._rest.get("/v1/sessions", station=station.id, state="active")
        for session in active["items"]:
            await self._order(station.id, "stop", {"session": session["id"]})
        await self._until(
            lambda: not station.evses[1].transaction, f"{station.id}: still charging after the remote stop"
        )
        await station.unplug(1)

    async def _at_dc(self) -> None:
        site, station = self._site, self._site.dc
        order = {"station": station.id, "evse": 1, "amount": HOLD_MINOR, "currency": "EUR", "provider": "mock"}
        payment = await self._rest.post("/v1/payments", order)
        self.payments.append(payment["id"])
        self._say(f"{station.id}: a driver without a contract pays; {HOLD_MINOR / 100:.2f} EUR are held")
        await self._until(lambda: station.evses[1].transaction, f"{station.id}: no session although it is paid for")
        await self._until(lambda: site.car and site.car.charging.is_set(), "the car does not charge")
        self._say(f"{station.id}: charger and car agreed (GB/T 27930), current flows")
        await asyncio.sleep(2 * self.charge_s)
        self._say(f"{station.id}: the car has enough and stops")
        if site.car is not None:
            site.car.stop_car("soc_reached")
        await self._until(
            lambda: not station.evses[1].transaction, f"{station.id}: still charging after the car stopped"
        )
        settled = await self._settled(payment["id"])
        self._say(
            f"{station.id}: {settled.get('captured', 0) / 100:.2f} EUR taken, the rest let go ({settled['state']})"
        )

    async def _settled(self, payment: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            body: Mapping[str, Any] = await self._rest.get(f"/v1/payments/{payment}")
            if body["state"] in ("captured", "voided", "failed", "review"):
                return body
            if time.monotonic() > deadline:
                raise StepFailed(f"payment {payment} is still {body['state']}")
            await asyncio.sleep(0.1)

    async def _order(self, station: str, verb: str, arguments: Mapping[str, Any]) -> None:
        answer = await self._rest.post(f"/v1/chargers/{station}/commands", {"verb": verb, "args": dict(arguments)})
        if not answer["ok"]:
            raise StepFailed(f"{station}: {verb} was answered {answer['status']}")

    async def _until(self, true: Callable[[], object], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                raise StepFailed(otherwise)
            await asyncio.sleep(0.02)
