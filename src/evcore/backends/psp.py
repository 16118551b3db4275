"""A payment provider over HTTP: hold an amount, capture it once, or let it go; and what its webhooks say.

The protocol of this `generic` provider is small and documented in docs/payment.md; `sim/psp.py` plays the other side.
No card data passes here: the driver pays on the provider's own page (`redirect_url`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import orjson

from evcore.backends.webhooks import secret_bytes, verify
from evcore.errors import LinkError, MessageError, RefusedError

MAX_ANSWER = 64 * 1024
MOST = 10**12  # minor units
_LATER = {408, 409, 425, 429}  # of 4xx those that another try may cure


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

    Every call raises RefusedError (the provider said no, trying again is useless) or LinkError (no answer, a 5xx or an
    answer that makes no sense: the same call may go again with the same key). Redirects are not followed. Raises
    ValueError for a bad secret.
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
        return _hold(await self._call("POST", f"/payments/{_part(ref)}/capture", {"amount": amount}, key))

    async def void(self, ref: str, key: str) -> Hold:
        """Let the whole amount go."""
        return _hold(await self._call("POST", f"/payments/{_part(ref)}/void", {}, key))

    async def get(self, ref: str) -> Hold:
        return _hold(await self._call("GET", f"/payments/{_part(ref)}", None, None))

    def parse_webhook(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Notice:
        """Raises PermissionError (not signed by the provider) before it looks at the body, MessageError (signed, not
        understood).
        """
        id = verify(self._keys, headers, body, now_s)
        try:
            data = orjson.loads(body)["data"]
            ref, captured = _ref(data.get("id")), _captured(data.get("captured"))
            return Notice(id, _text(data, "reference"), ref, _text(data, "status"), captured)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = str(error)[:200] or type(error).__name__
            raise MessageError(f"webhook {id}: expected type and data with id, reference, status: {what}") from None

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
                raw, status = await _whole(answer.content), answer.status
        except LinkError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LinkError(f"{self.name}: {method} {path}: {type(error).__name__}") from None
        if not 200 <= status < 300 and (not 400 <= status < 500 or status in _LATER):
            raise LinkError(f"{self.name}: {method} {path}: HTTP {status}")
        if status >= 400:
            raise RefusedError(f"{self.name}: {method} {path}: HTTP {status}: {raw[:200].decode(errors='replace')}")
        try:
            result = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise LinkError(f"{self.name}: {method} {path}: answer is no JSON") from None
        if not isinstance(result, dict):
            raise LinkError(f"{self.name}: {method} {path}: answer is no JSON object")
        return result


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """The body, to its end. Raises LinkError where it is longer than any answer is."""
    parts, size = [], 0
    async for part in content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            raise LinkError(f"payment provider: expected an answer of at most {MAX_ANSWER} bytes")
    return b"".join(parts)


def _hold(answer: dict[str, Any]) -> Hold:
    status = answer.get("status")
    try:
        if status not in ("pending", "authorised", "captured", "voided", "failed"):
            raise ValueError("status: expected pending, authorised, captured, voided or failed")
        return Hold(
            _ref(answer.get("id")), status, _page(answer.get("redirect_url")), _captured(answer.get("captured"))
        )
    except ValueError as error:
        raise LinkError(f"payment provider: {error}, got {str(answer)[:200]}") from None


def _text(data: dict[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text")
    return value


def _ref(value: Any) -> str:
    """The provider's name of a payment, which becomes a part of URLs."""
    if not isinstance(value, str) or not 1 <= len(value) <= 255 or value in (".", "..") or not value.isprintable():
        raise ValueError("id: expected text of 1 to 255 printable characters")
    return value


def _part(ref: str) -> str:
    return quote(ref, safe="")


def _page(value: Any) -> str | None:
    """Where the driver pays: it is shown as a link, so nothing but a web page."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 2000 or not value.isprintable():
        raise ValueError("redirect_url: expected a URL of at most 2000 characters")
    if not value.lower().startswith(("https://", "http://")):
        raise ValueError("redirect_url: expected https:// or http://")
    return value


def _captured(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= MOST):
        return value
    raise ValueError(f"captured: expected minor units from 0 to {MOST}")
