"""mobilityhouse's `ChargePoint`, on our codec and session: `evcore.ocpp.v16`, `v201` and `v21` are its versions.

The contract is that of `ocpp.charge_point.ChargePoint` 2.1.0, with the attributes that its users rely on; what differs
is listed in docs/moving-from-mobilityhouse.md.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Callable
from typing import Any

from ocpp.messages import Call, MessageType

from evcore.errors import CallError, FrameError, LinkError, PayloadError
from evcore.ocpp.boot_gate import Role
from evcore.ocpp.codec import Codec
from evcore.ocpp.point.errors import refused_by_peer, violation
from evcore.ocpp.point.exchange import Answer, Exchange
from evcore.ocpp.point.handlers import CallContext
from evcore.ocpp.point.handling import Handling, RoutedCall
from evcore.ocpp.point.payloads import check_payload
from evcore.ocpp.point.streams import receiver_of, sender_of
from evcore.ocpp.point.typed import build_dataclass
from evcore.ocpp.routing import create_route_map
from evcore.ocpp.schemas import schemas_of

__all__ = ["CallContext", "ChargePoint"]

LOGGER = logging.getLogger("ocpp")
CALLS_LIMIT = 64  # own CALLs that may wait for their turn


@functools.cache
def _strict(version: str) -> Codec:
    return Codec(version)


class ChargePoint(Handling):
    """The other end of a connection: for a CSMS the station, for a station the CSMS.

    id: yours, for logs and handlers. connection: anything that receives and sends texts: `recv` and `send` (websockets,
    `evcore.ocpp.websocket.Stream`), `receive_text` and `send_text` (FastAPI), `receive_str` and `send_str` (aiohttp).
    response_timeout: seconds that the peer has for an answer. role: with "csms" or "station" the rules about messages
    before BootNotification was accepted are kept, as seen from that side; None lets all pass, as mobilityhouse does.
    codec: how messages are judged, for example leniently; strictly unless given. handler_timeout: seconds after which a
    handler is cancelled and its CALL refused; None: never. Subclass `evcore.ocpp.v16.ChargePoint`, `v201` or `v21`.
    """

    _call_result: Any

    def __init__(
        self,
        id: Any,
        connection: Any,
        response_timeout: float = 30,
        logger: logging.Logger = LOGGER,
        *,
        role: Role | None = None,
        codec: Codec | None = None,
        handler_timeout: float | None = None,
    ) -> None:
        super().__init__(handler_timeout)
        self.id = id
        self._connection = connection
        self._response_timeout = response_timeout
        self.route_map = create_route_map(self)
        self.logger = logger
        self._role, self._codec = role, codec
        self._call_lock = asyncio.Lock()
        self._calls_waiting = 0
        self._unique_id_generator: Callable[[], object] = uuid.uuid4
        self._current: Exchange | None = None

    async def start(self) -> None:
        """Receive until the connection ends, then raise what its `recv` raised. Own CALLs that wait are told so;
        handlers in work go on to their end.
        """
        if self._current is not None and self._current.closed:
            self._current = None
        exchange = self._exchange()
        receive = receiver_of(self._connection)
        try:
            while True:
                message = await receive()
                if self._exchange() is not exchange:  # a subclass has gone on with another connection
                    return
                self.logger.info("%s: receive message %s", self.id, message)
                await self.route_message(message)
        finally:
            exchange.close()

    async def route_message(self, raw_msg: str | bytes) -> None:
        """Take a message of the peer. Returns when all that can be answered at once has been sent, without waiting for
        handlers that wait for something themselves (`settle` does). What the peer sends raises nothing.
        """
        data = raw_msg.encode("utf-8", "surrogatepass") if isinstance(raw_msg, str) else bytes(raw_msg)
        own = getattr(self._handle_call, "__func__", None) is ChargePoint._handle_call
        await self._take(self._exchange(), data, overridden=not own)

    async def call(
        self,
        payload: Any,
        suppress: bool = True,
        unique_id: str | None = None,
        skip_schema_validation: bool = False,
        *,
        typed: bool = False,
    ) -> Any:
        """Send a CALL and return the answer as the dataclass of `ocpp`'s `call_result`; its name is that of the
        payload's class. An action that the version knows only as SEND (2.1) is sent so, and None returned at once.

        suppress: a CALLERROR is logged and None returned (mobilityhouse's default); False: it is raised. unique_id: at
        most 36 characters (FrameError), not in use (ValueError). typed: nested values as dataclasses. Otherwise raises
        the `OCPPError` of the violation for a payload or an answer that breaks its schema, TimeoutError, and
        `evcore.errors.LinkError` (the connection ended, or 64 calls are open). TypeError: no dataclass, a class,
        or one of another version; nothing is sent.
        """
        check_payload(payload, self._ocpp_version)
        action = type(payload).__name__
        if self._is_send(action):
            await self._notify(action, payload)
            return None
        id = str(self._unique_id_generator() if unique_id is None else unique_id)
        response = await self._exchanged(id, action, payload, skip_schema_validation)
        if response.message_type_id == MessageType.CallError:
            self.logger.warning("%s: %s was refused: %s", self.id, action, response)
            if suppress:
                return None
            error = CallError(response.error_code, response.error_description or "", response.error_details or {})
            raise refused_by_peer(error) from error
        if not isinstance(response, Answer):  # of an overridden _get_specific_response
            response = self._reread(response, action, skip_schema_validation)
        cls = getattr(self._call_result, action, None)
        return response.snake if cls is None else build_dataclass(cls, response.snake, nested=typed)

    # What subclasses override

    async def _send(self, message: str) -> None:
        self.logger.info("%s: send %s", self.id, message)
        await sender_of(self._connection)(message)

    async def _handle_call(self, msg: Call) -> None:
        """Handle one CALL to its end. Raises `ocpp`'s `NotSupportedError` where there is no handler: its caller
        answers.
        """
        if isinstance(msg, RoutedCall):
            await self._handle_fully(msg)
        else:  # made by an overridden route_message
            await self._take(self._exchange(), msg.to_json().encode(), overridden=False)

    async def _get_specific_response(self, unique_id: str, timeout: float) -> Any:
        """The peer's `CallResult` or `CallError` to a CALL."""
        exchange = self._exchange()
        if exchange.waits_for(unique_id):
            return await exchange.expect(unique_id)
        try:  # it was sent by other means
            async with asyncio.timeout(timeout):
                return await exchange.expect(unique_id)
        finally:
            exchange.forget(unique_id)

    # Inside

    def _exchange(self) -> Exchange:
        """That of the connection, which subclasses may have changed meanwhile; so may they the version, until it is
        used.
        """
        current = self._current
        if current is None or current.connection is not self._connection:
            if current is not None:
                current.close()
            codec = _strict(self._ocpp_version) if self._codec is None else self._codec
            timeout = self._response_timeout
            current = Exchange(self._connection, codec, self._role, timeout, self._skips, self._overdue)
            self._current = current
        return current

    def _skips(self, action: str) -> bool:
        return bool(self.route_map.get(action, {}).get("_skip_schema_validation", False))

    async def _exchanged(self, id: str, action: str, payload: Any, unjudged: bool) -> Any:
        if self._calls_waiting >= CALLS_LIMIT:
            raise LinkError(f"{CALLS_LIMIT} calls are waiting already")
        self._calls_waiting += 1
        try:
            async with self._call_lock:
                exchange = self._exchange()
                try:
                    exchange.call(id, action, payload, unjudged=unjudged)
                    await self._transmit(exchange)
                    if not self._is_current(exchange):
                        raise LinkError("the connection ended before the answer")
                    return await self._get_specific_response(id, self._response_timeout)
                finally:
                    exchange.forget(id)
        except PayloadError as error:
            raise violation(error) from error
        finally:
            self._calls_waiting -= 1

    def _is_send(self, action: str) -> bool:
        messages = schemas_of(self._ocpp_version).messages
        return ("send", action) in messages and ("request", action) not in messages

    async def _notify(self, action: str, payload: Any) -> None:
        exchange = self._exchange()
        try:
            exchange.session.send(action, payload)
        except PayloadError as error:
            raise violation(error) from error
        await self._transmit(exchange)

    def _reread(self, response: Any, action: str, unjudged: bool) -> Answer:
        raw, codec = response.to_json().encode(), self._exchange().codec
        if unjudged:
            codec.calls.add(str(response.unique_id))
        try:
            frame = codec.decode(raw, names="snake", action=action)
        except (PayloadError, FrameError) as error:
            raise violation(error) from error
        finally:
            codec.calls.discard(str(response.unique_id))
        return Answer(response.unique_id, raw, frame.payload, action)
