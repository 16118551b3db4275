"""A CSMS by hand on `websockets`: answers by rules, keeps what it heard. Shares no code with evcore."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from typing import Any

import websockets
from waiting import until
from websockets.http11 import Request, Response

NOW = "2026-11-23T18:30:37Z"


class Csms:
    """rules: action -> (payload -> answer), None for silence, {"code": ...} for a CALLERROR. heard: (id, action,
    payload) of each call, and (id, "answer", message) of each answer. passwords: identity -> bytes, None for no
    authentication. tries: how many upgrades were asked for; offers: the subprotocols of each.
    """

    def __init__(
        self,
        *subprotocols: str,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        passwords: dict[str, bytes] | None = None,
    ) -> None:
        self.heard: list[tuple[str, str, Any]] = []
        self.rules: dict[str, Callable[[Any], Any]] = {}
        self.sockets: list[websockets.ServerConnection] = []
        self.turns_away = False  # closes with 1008 after the upgrade
        self.tries = 0
        self.offers: list[str] = []
        self.port, self.passwords = port, passwords
        self._subprotocols, self._tls = subprotocols, tls

    @property
    def url(self) -> str:
        return f"{'ws' if self._tls is None else 'wss'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Csms:
        self._server = await websockets.serve(
            self._serve,
            "127.0.0.1",
            self.port,
            select_subprotocol=self._choose,
            process_request=self._asked,
            ssl=self._tls,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def of(self, *actions: str) -> list[tuple[str, str, Any]]:
        return [heard for heard in self.heard if heard[1] in actions]

    async def ask(self, action: str, payload: Any) -> Any:
        """Call the station; its answer without type and id."""
        await self.sockets[-1].send(json.dumps([2, "ask", action, payload]))
        return await until(lambda: next((m[2][2:] for m in self.heard if m[:2] == ("ask", "answer")), None))

    def answer(self, action: str, payload: Any) -> Any:
        if action in self.rules:
            return self.rules[action](payload)
        match action:
            case "BootNotification":
                return {"currentTime": NOW, "interval": 300, "status": "Accepted"}
            case "Heartbeat":
                return {"currentTime": NOW}
            case "Authorize":
                return {"idTagInfo" if "idTag" in payload else "idTokenInfo": {"status": "Accepted"}}
            case "StartTransaction":
                return {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}}
        return {}

    def _asked(self, connection: websockets.ServerConnection, request: Request) -> Response | None:
        self.tries += 1
        self.offers.append(request.headers.get("Sec-WebSocket-Protocol", ""))
        if self.passwords is None:
            return None
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(value).partition(b":")
        if scheme == "Basic" and self.passwords.get(user.decode()) == password:
            return None
        return connection.respond(401, "who are you?")

    def _choose(self, connection: websockets.ServerConnection, offered: Any) -> Any:
        """The station's first choice that is spoken, none without one (OCPP-J 1.6, 3.1.2)."""
        return next((name for name in offered if name in self._subprotocols), None)

    async def _serve(self, socket: websockets.ServerConnection) -> None:
        self.sockets.append(socket)
        if self.turns_away:
            await socket.close(1008, "no")
            return
        async for text in socket:
            message = json.loads(text)
            if message[0] == 6:
                self.heard.append((message[1], message[2], message[3]))
                continue
            if message[0] != 2:
                self.heard.append((message[1], "answer", message))
                continue
            _, id, action, payload = message
            self.heard.append((id, action, payload))
            answer = self.answer(action, payload)
            if answer is not None:
                refused = "code" in answer
                reply = [4, id, answer["code"], "no", {}] if refused else [3, id, answer]
                await socket.send(json.dumps(reply))
