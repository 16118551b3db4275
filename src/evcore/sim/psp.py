"""A payment provider to test and demonstrate against: a real HTTP server that holds, captures, voids, sends webhooks.

It can misbehave as providers do: answer late, answer 500 although it acted, send a webhook twice, late or out of order.
Its own `payments` are the judge: how much was captured, how often.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web


@dataclass(slots=True)
class SimPayment:
    """A payment as the provider knows it. captures: every capture that really took money (more than one is a fault of
    the caller).
    """

    id: str
    reference: str
    amount: int
    currency: str
    status: str = "pending"
    captures: list[int] = field(default_factory=list)

    def as_json(self, base: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self.id,
            "reference": self.reference,
            "amount": self.amount,
            "status": self.status,
        }
        body |= {"currency": self.currency, "redirect_url": f"{base}/pay/{self.id}"}
        if self.captures:
            body["captured"] = sum(self.captures)
        return body


@dataclass(slots=True)
class Faults:
    """Shares from 0 to 1. error_before: 500, nothing done. error_after: done, then 500. duplicate: a webhook goes
    twice. delay_s: the most that an answer or a webhook is late, so that webhooks overtake one another.
    """

    error_before: float = 0.0
    error_after: float = 0.0
    duplicate: float = 0.0
    delay_s: float = 0.0


class SimPsp:
    """webhook_url: where webhooks go (None: nowhere). secret: `whsec_...` that signs them. auto_pay: the driver pays at
    once; else call `pay` or GET the payment's redirect_url. seed: of the faults.
    """

    def __init__(
        self,
        *,
        api_key: str,
        secret: str,
        webhook_url: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        auto_pay: bool = False,
        faults: Faults | None = None,
        seed: int = 1,
    ) -> None:
        self.webhook_url, self.port, self.faults = webhook_url, port, faults or Faults()
        self.payments: dict[str, SimPayment] = {}
        self.webhooks_sent = 0
        self._host, self._api_key, self._auto_pay = host, api_key, auto_pay
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._random = random.Random(seed)
        self._answers: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/payments", self._guarded(self._authorize))
        app.router.add_post("/payments/{id}/capture", self._guarded(self._capture))
        app.router.add_post("/payments/{id}/void", self._guarded(self._void))
        app.router.add_get("/payments/{id}", self._show)
        app.router.add_get("/pay/{id}", self._pay_page)
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def pay(self, id: str, ok: bool = True) -> None:
        """The driver pays, or is declined."""
        payment = self.payments[id]
        if payment.status == "pending":
            payment.status = "authorised" if ok else "failed"
            self._notify(payment)

    def _guarded(
        self, handler: Callable[[web.Request, dict[str, Any]], tuple[int, dict[str, Any]]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Bearer check, idempotency key, faults: the same for every call that acts."""

        async def handle(request: web.Request) -> web.Response:
            if request.headers.get("Authorization") != f"Bearer {self._api_key}":
                return web.json_response({"error": "unauthorised"}, status=401)
            await asyncio.sleep(self._random.random() * self.faults.delay_s)
            if self._random.random() < self.faults.error_before:
                return web.json_response({"error": "out of order"}, status=500)
            known = (request.path, request.headers.get("Idempotency-Key", ""))
            if known not in self._answers:
                answer = handler(request, await request.json())
                if not known[1]:
                    return web.json_response(answer[1], status=answer[0])
                self._answers[known] = answer
            if self._random.random() < self.faults.error_after:
                return web.json_response({"error": "out of order, but done"}, status=500)
            status, body = self._answers[known]
            return web.json_response(body, status=status)

        return handle

    def _authorize(self, request: web.Request, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if not isinstance(body.get("amount"), int) or body["amount"] <= 0:
            return 422, {"error": "amount: expected minor units above 0"}
        id = f"pay_{len(self.payments) + 1}"
        payment = self.payments[id] = SimPayment(id, body["reference"], body["amount"], body["currency"])
        if self._auto_pay:
            self.pay(id)
        return 201, payment.as_json(self.url)

    def _capture(self, request: web.Request, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        payment = self.payments.get(request.match_info["id"])
        if payment is None:
            return 404, {"error": "no such payment"}
        if payment.status != "authorised" or body["amount"] > payment.amount:
            return 422, {"error": f"cannot capture {body['amount']} of {payment.amount}, {payment.status}"}
        payment.status = "captured"
        payment.captures.append(body["amount"])
        self._notify(payment)
        return 200, payment.as_json(self.url)

    def _void(self, request: web.Request, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        payment = self.payments.get(request.match_info["id"])
        if payment is None:
            return 404, {"error": "no such payment"}
        if payment.status == "captured":
            return 422, {"error": "captured already"}
        payment.status = "voided"
        self._notify(payment)
        return 200, payment.as_json(self.url)

    async def _show(self, request: web.Request) -> web.Response:
        payment = self.payments.get(request.match_info["id"])
        if payment is None:
            return web.json_response({"error": "no such payment"}, status=404)
        return web.json_response(payment.as_json(self.url))

    async def _pay_page(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.payments:
            raise web.HTTPNotFound
        self.pay(request.match_info["id"])
        return web.Response(text="Paid. You can close this page.")

    def _notify(self, payment: SimPayment) -> None:
        if self.webhook_url is None:
            return
        self.webhooks_sent += 1
        body = json.dumps({"type": f"payment.{payment.status}", "data": payment.as_json(self.url)})
        copies = 2 if self._random.random() < self.faults.duplicate else 1
        for _ in range(copies):
            task = asyncio.ensure_future(self._send(f"msg_{self.webhooks_sent}", body.encode()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, id: str, body: bytes) -> None:
        """Until it is taken, at most ten times: the receiver may be restarting."""
        for attempt in range(10):
            await asyncio.sleep(self._random.random() * self.faults.delay_s + 0.2 * attempt)
            stamp = str(int(time.time()))
            mac = hmac.new(self._key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
            headers = {"webhook-id": id, "webhook-timestamp": stamp, "Content-Type": "application/json"}
            headers["webhook-signature"] = "v1," + base64.b64encode(mac).decode()
            try:
                async with self._http.post(self.webhook_url, data=body, headers=headers) as answer:  # type: ignore[union-attr,arg-type]
                    if answer.status < 300:
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
