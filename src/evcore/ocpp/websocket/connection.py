"""One open WebSocket, either role: whole text messages in and out, one closing, one end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from evcore.ocpp.deflate import Deflate
from evcore.ocpp.joiner import Joiner, Violation, whole

log = logging.getLogger("evcore.ocpp.websocket")


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """picows writes a line for each connection and each broken frame; both are counted here, so a peer cannot fill the
    log. An adapter, since of a Logger picows makes a child for each connection, which is a kilobyte."""

    def isEnabledFor(self, level: int) -> bool:
        return False


quiet = _Quiet(log)

DEFLATE_FROM = 256  # bytes: below, deflate costs more than it saves
WRITE_LIMIT = 256 * 1024  # bytes that may wait for a peer that does not read, or two of its longest messages
CLOSE_WAIT_S = 3.0  # for the peer's good-bye
FAIL_WAIT_S = 0.2  # the same after it broke the rules: RFC 6455, 7.1.7 lets us drop it at once
_TEXT, _CLOSE, _PING, _PONG = WSMsgType.TEXT, WSMsgType.CLOSE, WSMsgType.PING, WSMsgType.PONG
_CONTROL = (_CLOSE, _PING, _PONG)


class Receiver(Protocol):
    """Who gets what comes in. All three are called by the event loop's thread and must not block."""

    def opened(self, connection: Connection) -> None: ...
    def received(self, data: bytes) -> None: ...
    def closed(self, code: int, reason: str) -> None:
        """Exactly once after `opened`. code: the peer's, 1005 where it named none, 1006 where no close frame came.
        reason: "peer", "lost", "silent", "slow", what `close` was told, or the broken rule."""
        ...


class Owner(Protocol):
    """Who keeps the list of open connections. ended: it is to call `settle`, now or soon."""

    def add(self, connection: Connection) -> None: ...
    def ended(self, connection: Connection) -> None: ...
    def discard(self, connection: Connection) -> None: ...


class Connection(WSListener):
    """An open WebSocket. subprotocol: as negotiated, "" for none. last_seen: monotonic ns of the last frame."""

    __slots__ = (
        "_abandoned",
        "_code",
        "_deflate",
        "_ended",
        "_joiner",
        "_limit",
        "_open",
        "_owner",
        "_reason",
        "_receiver",
        "_timer",
        "_transport",
        "_untold",
        "last_seen",
        "peer",
        "pinged",
        "subprotocol",
    )

    def __init__(self, receiver: Receiver, owner: Owner, *, limit: int, peer: str) -> None:
        self._receiver, self._owner, self.peer = receiver, owner, peer
        self._limit = limit
        self._joiner: Joiner | None = None  # while a message is in parts: most never are
        self._deflate: Deflate | None = None
        self._transport: WSTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Event | None = None
        self._code, self._reason = 1006, ""
        self._open = self._abandoned = self._untold = False
        self.subprotocol = ""
        self.last_seen = self.pinged = 0

    def negotiated(self, subprotocol: str, deflate: Deflate | None) -> None:
        """What the handshake agreed on."""
        self.subprotocol, self._deflate = subprotocol, deflate

    def hand_over(self, receiver: Receiver, held: Sequence[bytes]) -> None:
        """Another receiver takes over; held: messages that it has still to get."""
        self._receiver = receiver
        self._guard(lambda: receiver.opened(self))
        for message in held:
            if self._open:
                self._receive(message)

    # For the user

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def peer_certificate(self) -> Mapping[str, Any] | None:
        """As `ssl.SSLSocket.getpeercert` gives it: None in clear, empty where none was shown and checked."""
        if self._transport is None:
            return None
        secure = self._transport.underlying_transport.get_extra_info("ssl_object")
        return None if secure is None else secure.getpeercert() or {}

    def send(self, data: bytes) -> None:
        """One text message. Dropped when the connection is closing."""
        if not self._open or self._transport is None:
            return
        if self._deflate is not None and len(data) >= DEFLATE_FROM:
            self._transport.send(_TEXT, self._deflate.deflate(data), True, True)
        else:
            self._transport.send(_TEXT, data)

    def ping(self) -> None:
        if self._open and self._transport is not None:
            self._transport.send_ping()

    def close(self, code: int = 1000, reason: str = "", *, wait_s: float = CLOSE_WAIT_S) -> None:
        """Say good-bye and wait a few seconds for the peer's; what is sent from now on is dropped. code: as RFC 6455,
        7.4 allows it to be sent."""
        if not self._open or self._transport is None:
            return
        self._open = False
        self._reason = self._reason or reason
        self._say_goodbye(self._transport, code, reason)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self.abort)

    def abort(self, reason: str = "") -> None:
        """Drop the connection at once."""
        self._open, self._abandoned = False, True
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.disconnect(False)

    def pause_reading(self) -> None:
        """Take nothing more from the network; what was read already is still delivered."""
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    async def wait_closed(self) -> None:
        """Returns once the receiver's `closed` was called. Only for a connection that was opened."""
        if self._ended is None:
            self._ended = asyncio.Event()
        await self._ended.wait()

    def settle(self) -> None:
        """Tell the receiver of the end now, if there was one and it was not told yet."""
        if not self._untold:
            return
        self._untold = False
        self._owner.discard(self)
        receiver, self._receiver = self._receiver, _NOBODY  # it may know us: a circle would wait for the collector
        self._guard(lambda: receiver.closed(self._code, self._reason))
        if self._ended is None:
            self._ended = asyncio.Event()
        self._ended.set()

    # For picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._abandoned:  # given up while it was being opened
            transport.disconnect(False)
            return
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=max(WRITE_LIMIT, 2 * self._limit))
        if not transport.is_client_side:  # picows would keep them as long as the connection, with the password
            transport.request.headers.clear()
            transport.response.headers.clear()
        self.last_seen = time.monotonic_ns()
        self._open = True
        self._owner.add(self)
        self._guard(lambda: self._receiver.opened(self))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.last_seen = time.monotonic_ns()
        kind = frame.msg_type
        if kind in _CONTROL:
            self._control(transport, frame)
        elif not self._open or transport.is_close_frame_sent:
            return  # picows reads ahead: after a broken frame it still delivers the one before, which nobody may answer
        else:
            try:
                if (
                    kind == _TEXT
                    and frame.fin
                    and self._joiner is None
                    and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
                ):
                    message: bytes | None = whole(frame.get_payload_as_bytes(), self._limit)
                else:
                    message = self._join(kind.value, frame)
            except Violation as violation:
                self.close(violation.code, violation.reason, wait_s=FAIL_WAIT_S)
                return
            if message is not None:
                self._receive(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if transport.is_client_side:
            _forget(transport)
        if self._transport is None:
            return
        self._open, self._transport = False, None
        if self._timer is not None:
            self._timer.cancel()
        if not self._reason:  # picows closes by itself on a broken frame, and only this tells of it
            handshake = transport.close_handshake
            sent = None if handshake is None else handshake.sent
            self._reason = "lost" if sent is None else f"frame_{sent.code.value}"
        self._untold = True
        self._owner.ended(self)

    def pause_writing(self) -> None:
        """The peer does not read: what waits for it is bounded."""
        self.abort("slow")

    def resume_writing(self) -> None:
        pass

    # Inside

    def _control(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(1002, "reserved_bit", wait_s=FAIL_WAIT_S)
        elif frame.msg_type == _CLOSE:
            self._closed_by_peer(transport, frame.get_payload_as_bytes())
        elif frame.msg_type == _PING and self._open and not transport.is_close_frame_sent:
            transport.send_pong(frame.get_payload_as_bytes())

    def _join(self, opcode: int, frame: WSFrame) -> bytes | None:
        """A fragment or what is compressed; the message when it is whole. Raises Violation."""
        joiner = self._joiner
        if joiner is None:
            joiner = self._joiner = Joiner(self._limit, self._deflate)
        payload, reserved = frame.get_payload_as_bytes(), frame.rsv2 or frame.rsv3
        message = joiner.feed(opcode, payload, frame.fin, frame.rsv1, reserved)
        if message is not None:
            self._joiner = None
        return message

    def _closed_by_peer(self, transport: WSTransport, payload: bytes) -> None:
        self._code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
        self._reason = self._reason or "peer"
        if self._open:
            self._open = False
            echo = 1000 if self._code == 1005 else self._code if _may_be_sent(self._code) else 1002
            self._say_goodbye(transport, echo, "")
        transport.disconnect()

    def _say_goodbye(self, transport: WSTransport, code: int, reason: str) -> None:
        # picows would send code 0 without one; its parameter takes any int, whatever its stub says
        transport.send_close(code, reason.encode()[:123].decode(errors="ignore"))  # type: ignore[arg-type]

    def _receive(self, message: bytes) -> None:
        try:
            self._receiver.received(message)
        except Exception:  # a receiver's fault must cost neither the connection nor its neighbours
            log.exception("the receiver of %s failed", self.peer)

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:
            log.exception("the receiver of %s failed", self.peer)


class _Nobody:
    """A `Receiver`."""

    def opened(self, connection: Connection) -> None: ...
    def received(self, data: bytes) -> None: ...
    def closed(self, code: int, reason: str) -> None: ...


_NOBODY = _Nobody()


class _HangUpsExpected:
    """An event loop's exception handler. To it aiofastnet 1.2 takes each peer that hangs up during a TLS handshake, as
    load balancers do to probe a port, with the class ConnectionResetError, which asyncio cannot even print. Both roles
    tell of it in their own way."""

    def __init__(self, before: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None) -> None:
        self._before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("exception") is ConnectionResetError:
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


def expect_hang_ups(loop: asyncio.AbstractEventLoop) -> None:
    before = loop.get_exception_handler()
    if not isinstance(before, _HangUpsExpected):
        loop.set_exception_handler(_HangUpsExpected(before))


def _may_be_sent(code: int) -> bool:
    """RFC 6455, 7.4: 1004 to 1006 and 1015 are never put on the wire."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


_forgotten: set[asyncio.Task[None]] = set()


def _forget(transport: WSTransport) -> None:
    """Take the exception that picows keeps for `wait_disconnected`, or asyncio complains that nobody did."""

    async def take() -> None:
        try:
            await transport.wait_disconnected()
        except Exception as error:  # noqa: BLE001 - whatever ended the connection, it has been reported
            log.debug("connection ended: %s", error)

    task = asyncio.get_running_loop().create_task(take())
    _forgotten.add(task)
    task.add_done_callback(_forgotten.discard)
