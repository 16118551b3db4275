"""Standard Webhooks: who sent this body, and when. Source: standard-webhooks specification, "Signature scheme".

Headers `webhook-id`, `webhook-timestamp` (seconds), `webhook-signature` (space-separated `v1,<base64>` entries, so that
secrets can be rotated). The signature is HMAC-SHA256 over `id.timestamp.body`; a secret is `whsec_` + base64 of 24 to
64 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

TOLERANCE_S = 300


def secret_bytes(secret: str) -> bytes:
    """The key inside `whsec_...`. Raises ValueError (without the secret in its text)."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("webhook secret: expected whsec_ and base64") from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"webhook secret: expected 24 to 64 bytes, got {len(key)}")
    return key


def sign(key: bytes, id: str, timestamp_s: int, body: bytes) -> str:
    """The `v1,...` entry of the signature header."""
    digest = hmac.new(key, f"{id}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: float) -> str:
    """The webhook's id, once one of `keys` signed it within TOLERANCE_S of `now_s`.

    headers: names in lower case. Raises PermissionError, whose text says which check failed and nothing of the expected
    value.
    """
    id, stamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if (
        not id
        or len(id) > 255
        or not id.isascii()
        or not stamp.isascii()
        or not stamp.isdigit()
        or len(stamp) > 12
        or not given
    ):
        raise PermissionError("webhook-id, webhook-timestamp and webhook-signature are needed")
    entries = given.split(" ", 8)[:8]
    expected = [sign(key, id, int(stamp), body).encode() for key in keys]
    # Every pair is compared, so that the time taken tells nothing.
    matches = [hmac.compare_digest(entry.encode(errors="replace"), wanted) for entry in entries for wanted in expected]
    if not any(matches):
        raise PermissionError("the signature does not match")
    if abs(now_s - int(stamp)) > TOLERANCE_S:
        raise PermissionError(f"the timestamp is more than {TOLERANCE_S} s away")
    return id
