"""The station's side of the door: open a connection to a CSMS."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Callable, Sequence

from picows import WSError, WSHandshakeError, WSUpgradeRequest, WSUpgradeResponse, ws_connect

from evcore.errors import LinkError
from evcore.ocpp.deflate import OFFER, read_answer
from evcore.ocpp.upgrade import SUBPROTOCOLS, write_basic
from evcore.ocpp.websocket.connection import Connection, Receiver, expect_hang_ups, quiet
from evcore.ocpp.websocket.watch import Watch


class HandshakeRefused(LinkError):
    """The CSMS answered, and not with a WebSocket. status: HTTP, for example 401; 101 where it spoke none of our
    versions; 0 where it closed instead: with TLS 1.3 that is how it refuses a station's certificate."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


class CertificateRefused(LinkError):
    """We refused the CSMS's certificate."""


async def connect(
    url: str,
    receiver: Receiver | Callable[[str], Receiver],
    *,
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    user: str = "",
    password: str | bytes | None = None,
    ssl: tls.SSLContext | None = None,
    deflate: bool = False,
    timeout_s: float = 10.0,
    ping_s: float = 30.0,
    limit: int = 256 * 1024,
) -> Connection:
    """Open `url` (ws:// or wss://, the identity percent-encoded as its last segment).

    receiver: may be a function that makes one for the subprotocol that was chosen. subprotocols: offered, in order of
    preference. password: goes out as Basic with `user`. limit: bytes of a message.
    Raises HandshakeRefused, CertificateRefused, LinkError (no connection).
    """
    headers = [("Sec-WebSocket-Protocol", ", ".join(subprotocols))]
    if password is not None:
        headers.append(("Authorization", write_basic(user, password)))
    if deflate:
        headers.append(("Sec-WebSocket-Extensions", OFFER))
    connection: Connection | None = None

    def opening(request: WSUpgradeRequest, response: WSUpgradeResponse) -> Connection:
        nonlocal connection
        chosen = response.headers.get("Sec-WebSocket-Protocol", "")
        if chosen not in subprotocols:
            raise HandshakeRefused(101, f"{url}: it speaks none of {', '.join(subprotocols)}")
        extension = read_answer(response.headers.get("Sec-WebSocket-Extensions", ""))
        made = receiver(chosen) if callable(receiver) else receiver
        connection = Connection(made, Watch(ping_s), limit=limit, peer=url)
        connection.negotiated(chosen, extension)
        return connection

    if url.startswith("wss:"):
        expect_hang_ups(asyncio.get_running_loop())
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await ws_connect(
                opening,
                url,
                ssl_context=ssl,
                extra_headers=headers,
                max_redirects=0,
                max_frame_size=limit,
                read_buffer_init_size=2048,
                enable_auto_pong=False,
                websocket_handshake_timeout=timeout_s,
                logger_name=quiet,
            )
        if transport.response is None or connection is None:  # picows takes an end before the answer for an opening
            raise HandshakeRefused(0, f"{url}: closed during the handshake")
    except WSHandshakeError as error:
        status = 0 if error.response is None else int(error.response.status)
        raise HandshakeRefused(status, f"{url}: {error}") from error
    except tls.SSLCertVerificationError as error:
        raise CertificateRefused(f"{url}: {error.verify_message or error}") from error
    except tls.SSLError as error:  # an alert: it did not like ours
        raise HandshakeRefused(0, f"{url}: {error.reason or error}") from error
    except (OSError, WSError, ValueError, TimeoutError) as error:
        if isinstance(error, LinkError):
            raise
        raise LinkError(f"{url}: {str(error) or type(error).__name__}") from error
    finally:
        if connection is not None and not connection.is_open:
            connection.abort("not opened")
    return connection
