"""permessage-deflate (RFC 7692) without context takeover: no memory stays with an idle connection.

OCPP 2.x Part 4, 3.4: a CSMS supports it, a station may. Each message stands alone, so a compressor's memory is freed
again after it; a message that would inflate beyond the limit is refused before it is made.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

_TAIL = b"\x00\x00\xff\xff"  # RFC 7692, 7.2.1: cut off when sending, put back when receiving
OFFER = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
_ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


class TooBig(ValueError):
    """The message inflates beyond the limit."""


@dataclass(frozen=True, slots=True)
class Deflate:
    """A negotiated permessage-deflate. window: of what we send, 9 to 15 bits. answer: the extension as answered."""

    window: int = 15
    answer: str = _ANSWER

    def deflate(self, data: bytes) -> bytes:
        compressor = zlib.compressobj(6, zlib.DEFLATED, -self.window)
        return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def inflate(self, data: bytes, limit: int) -> bytes:
        """Raises TooBig, zlib.error (not deflate)."""
        inflater = zlib.decompressobj(-15)
        result = inflater.decompress(bytes(data) + _TAIL, limit + 1)
        if len(result) > limit:
            raise TooBig(f"more than {limit} bytes")
        return result


def accept_offer(offers: str) -> Deflate | None:
    """What a server answers to Sec-WebSocket-Extensions: the first offer that it can keep, None to decline all."""
    for offer in offers.split(","):
        name, *parts = [part.strip() for part in offer.split(";")]
        if name.lower() == "permessage-deflate" and (deflate := _accept(parts)) is not None:
            return deflate
    return None


def read_answer(answer: str) -> Deflate | None:
    """What a client makes of the server's answer to OFFER; None: not negotiated. Raises ValueError: we did not offer
    this, the connection must be failed (RFC 7692, 7.1)."""
    if not answer:
        return None
    name, *parts = [part.strip() for part in answer.split(";")]
    names = {part.split("=")[0].strip() for part in parts}
    if name.lower() != "permessage-deflate" or "server_no_context_takeover" not in names:
        raise ValueError(f"Sec-WebSocket-Extensions: expected permessage-deflate as offered, got {answer[:80]}")
    if names - {"server_no_context_takeover", "client_no_context_takeover"}:
        raise ValueError(f"Sec-WebSocket-Extensions: expected no other parameter than offered, got {answer[:80]}")
    return Deflate()


def _accept(parts: list[str]) -> Deflate | None:
    window, seen, tail = 15, set(), ""
    for part in parts:
        key, _, value = (text.strip() for text in part.partition("="))
        bits = value.strip('"')
        if key in seen:
            return None
        seen.add(key)
        if key == "server_max_window_bits" and bits.isdecimal() and 9 <= int(bits) <= 15:
            window, tail = int(bits), f"; server_max_window_bits={int(bits)}"
        elif key == "client_max_window_bits" and (not bits or (bits.isdecimal() and 8 <= int(bits) <= 15)):
            pass  # we inflate any window
        elif key not in ("server_no_context_takeover", "client_no_context_takeover") or value:
            return None
    return Deflate(window, _ANSWER + tail)
