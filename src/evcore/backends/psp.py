"""A payment provider over HTTP: hold an amount, capture it once, or let it go; and what its webhooks say.

The protocol of this `generic` provider is small and documented in docs/payment.md; `sim/psp.py` plays the other side.
No card data passes here: the driver pays on the provider's own page (`redirect_url`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import orjson

from evcore.backends.webhooks import secret_bytes, verify
from evcore.errors import LinkError, MessageError, RefusedError

MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Hold:
    """A payment as the provider has it. amount, captured: minor units."""

    ref: str
    status: Literal["pending", "authorised", "captured", "voided", "failed"]
    redirect_url: str | None = None
    captured: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified webhook. id: the provider's, the same on each repeat. status as in Hold; reference: our payment id."""

    id: str
    reference: str
    ref: str
    status: str
    captured: int | None = None


class GenericProvider:
    """name: as in /v1/psp/{name}/webhook. url: root of the provider's API. api_key: sent as a bearer token.
    webhook_secrets: `whsec_...`, more than one while a secret is rotated. timeout_s: for one call in whole.

    Every call raises RefusedError (the provider said no, trying again is useless) or LinkError (no answer or a 5xx: the
    same call may go again with the same key). Raises ValueError for a bad secret.
    """

    def __init__(
        self, name: str, url: str, *, api_key: str, webhook_secrets: Sequence[str], timeout_s: float = 10.0
    ) -> None:
        self.name, self._url = name, url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._keys = [secret_bytes(secret) for secret in webhook_secrets]
        if not self._keys:
            raise ValueError("webhook_secrets: at least one")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"GenericProvider({self.name!r}, {self._url!r})"

    async def authorize(self, reference: str, amount: int, currency: str, key: str) -> Hold:
        """Hold `amount`. reference: our payment id. key: idempotency key, the same for a repeat of the same call."""
        body = {"reference": reference, "amount": amount, "currency": currency}
        return _hold(await self._call("POST", "/payments", body, key))

    async def capture(self, ref: str, amount: int, key: str) -> Hold:
        """Take `amount`, at most what is held; the provider lets the rest go."""
        return _hold(await self._call("POST", f"/payments/{ref}/capture", {"amount": amount}, key))

    async def void(self, ref: str, key: str) -> Hold:
        """Let the whole amount go."""
        return _hold(await self._call("POST", f"/payments/{ref}/void", {}, key))

    async def get(self, ref: str) -> Hold:
        return _hold(await self._call("GET", f"/payments/{ref}", None, None))

    def parse_webhook(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Notice:
        """Raises PermissionError (not signed by the provider) before it looks at the body, MessageError (signed, not
        understood).
        """
        id = verify(self._keys, headers, body, now_s)
        try:
            data = orjson.loads(body)["data"]
            return Notice(id, str(data["reference"]), str(data["id"]), str(data["status"]), data.get("captured"))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise MessageError(f"webhook {id}: expected type and data with id, reference, status: {error!r}") from None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _call(self, method: str, path: str, body: dict[str, Any] | None, key: str | None) -> dict[str, Any]:
        if self._http is None:
            self._http = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._http.request(
                method, self._url + path, data=data, headers=headers, allow_redirects=False
            ) as answer:
                raw = await answer.content.read(MAX_ANSWER)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LinkError(f"{self.name}: {method} {path}: {type(error).__name__}") from None
        if status == 409 or status == 429 or status >= 500:
            raise LinkError(f"{self.name}: {method} {path}: HTTP {status}")
        if status >= 300:
            raise RefusedError(f"{self.name}: {method} {path}: HTTP {status}: {raw[:200].decode(errors='replace')}")
        try:
            result = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise LinkError(f"{self.name}: {method} {path}: answer is no JSON") from None
        if not isinstance(result, dict):
            raise LinkError(f"{self.name}: {method} {path}: answer is no JSON object")
        return result


def _hold(answer: dict[str, Any]) -> Hold:
    status = answer.get("status")
    if status not in ("pending", "authorised", "captured", "voided", "failed") or not isinstance(answer.get("id"), str):
        raise LinkError(f"payment provider: expected id and status, got {str(answer)[:200]}")
    return Hold(answer["id"], status, answer.get("redirect_url"), answer.get("captured"))
