"""The HTTP request that opens an OCPP connection: who asks, for which versions, with which password. Pure functions.

Source: RFC 6455 section 4, RFC 7617 (Basic), RFC 7692 section 7, OCPP-J 1.6 section 3 and OCPP 2.1 Part 4 section 3.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from evcore.errors import MessageError

VERSIONS = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1"}
SUBPROTOCOLS = tuple(VERSIONS)


class UpgradeError(MessageError):
    """A request that opens nothing. status: the HTTP answer for it. reason: short and stable."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a station asks for. identity: percent-decoded. password: bytes as sent, None without Authorization.

    user: the name given with the password, None without. subprotocols: as offered, the station's first choice first.
    extensions: the raw offers of Sec-WebSocket-Extensions. peer: its IP address, "" where unknown.
    """

    path: str
    identity: str
    subprotocols: tuple[str, ...]
    user: str | None = None
    password: bytes | None = None
    extensions: str = ""
    peer: str = ""


def read_upgrade(path: bytes, headers: Mapping[str, str], peer: str = "") -> Upgrade:
    """Check the request and take it apart. headers: case-insensitive. Raises UpgradeError."""
    if headers.get("Upgrade", "").lower() != "websocket":
        raise UpgradeError(426, "not_websocket", "this port speaks WebSocket only")
    if headers.get("Sec-WebSocket-Version") not in ("13", "8", "7"):
        raise UpgradeError(400, "version", "Sec-WebSocket-Version: expected 13")
    if not _is_key(headers.get("Sec-WebSocket-Key", "")):
        raise UpgradeError(400, "key", "Sec-WebSocket-Key: expected 16 bytes in base64")
    user, password = read_basic(headers.get("Authorization"))
    offered = tuple(name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip())
    text = path.decode("ascii", "replace")
    extensions = headers.get("Sec-WebSocket-Extensions", "")
    return Upgrade(text, read_identity(path), offered, user, password, extensions, peer)


def read_identity(path: bytes) -> str:
    """The last segment of the path, percent-decoded: 1 to 48 visible characters (2.0.1 Part 4, 3.1). Raises
    UpgradeError (404: no station has such a name)."""
    segment = path.split(b"?", 1)[0].rsplit(b"/", 1)[-1]
    try:
        identity = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise UpgradeError(404, "identity", "the identity is not UTF-8") from None
    if not 1 <= len(identity) <= 48 or not identity.isprintable() or "/" in identity or identity in (".", ".."):
        raise UpgradeError(404, "identity", "expected an identity of 1 to 48 characters at the end of the path")
    return identity


def read_basic(authorization: str | None) -> tuple[str | None, bytes | None]:
    """User and password of a Basic header; (None, None) without one.

    The password is bytes: a 1.6 AuthorizationKey is 20 bytes that need not be UTF-8. Only the first colon divides: an
    identity has none, a password may. Raises UpgradeError (another scheme, or broken).
    """
    if authorization is None:
        return None, None
    scheme, _, value = authorization.partition(" ")
    try:
        user, colon, password = base64.b64decode(value.strip().encode("ascii"), validate=True).partition(b":")
        name = user.decode("utf-8")
    except (UnicodeError, binascii.Error):
        raise UpgradeError(401, "credentials", "Authorization: expected base64") from None
    if scheme.lower() != "basic" or not colon:
        raise UpgradeError(401, "credentials", "Authorization: expected Basic")
    return name, password


def write_basic(user: str, password: str | bytes) -> str:
    """The Authorization header of a station."""
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(user.encode() + b":" + secret).decode("ascii")


def write_url(base: str, identity: str) -> str:
    """The address of a station at a CSMS: the identity percent-encoded as the last segment."""
    return f"{base.rstrip('/')}/{quote(identity, safe='')}"


def choose_subprotocol(offered: Sequence[str], supported: Iterable[str]) -> str | None:
    """The station's first choice that we speak too; None without one."""
    known = set(supported)
    return next((name for name in offered if name in known), None)


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode("ascii"), validate=True)) == 16
    except (UnicodeEncodeError, binascii.Error):
        return False
