"""Who looks at the site from outside: one client of each backend, as a user would write it.

They are also the demonstration's judges, so they use no code of the gateway: paho for MQTT, aiohttp for REST and feed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

METER_ENERGY = "Energy.Active.Import.Register"
_log = logging.getLogger("evcore.demo")


@dataclass(slots=True)
class Seen:
    """What one outsider has seen: ended sessions (id -> Wh) and the meter's energy register (Wh), with its time."""

    started: set[str] = field(default_factory=set)
    ended: dict[str, float] = field(default_factory=dict)
    meter_wh: float | None = None
    meter_at: str = ""

    def session(self, body: Mapping[str, Any]) -> None:
        self.started.add(body["id"])
        if body["state"] == "ended":
            self.ended[body["id"]] = body["energy_wh"]

    def forget(self) -> None:
        """A new round."""
        self.started.clear()
        self.ended.clear()


class MqttWatcher:
    """A subscriber of everything below the site. on_event: kind and payload of each event."""

    def __init__(self, url: str, site: str, meter: str, on_event: Callable[[str, Any], None]) -> None:
        self.seen, self.messages = Seen(), 0
        self.connected = asyncio.Event()
        self._url, self._root, self._on_event = urlsplit(url), f"evcore/v1/{site}", on_event
        self._meter = f"{self._root}/{meter}/0/meter/{METER_ENERGY}"
        self._facts: deque[int] = deque(maxlen=200)  # a fact may be told twice, and says which one it is
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> MqttWatcher:
        self._client = Client(CallbackAPIVersion.VERSION2, f"evcore-demo-{uuid.uuid4().hex[:8]}")
        self._client.on_connect = lambda client, *_: client.subscribe(f"{self._root}/#", 1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        if self._url.username:
            self._client.username_pw_set(unquote(self._url.username), unquote(self._url.password or ""))
        port = 1883
        if self._url.scheme == "mqtts":
            self._client.tls_set()
            port = 8883
        self._client.connect_async(self._url.hostname or "127.0.0.1", self._url.port or port)
        self._client.loop_start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _on_subscribe(self, *_: Any) -> None:  # in paho's thread, as the next one
        self._loop.call_soon_threadsafe(self.connected.set)

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        self._loop.call_soon_threadsafe(self._take, message)

    def _take(self, message: MQTTMessage) -> None:
        self.messages += 1
        levels = message.topic.split("/")
        if message.topic == self._meter:
            body = json.loads(message.payload)
            self.seen.meter_wh, self.seen.meter_at = body["value"], body["time"]
        elif len(levels) == 6 and levels[4] == "event":
            body = json.loads(message.payload)
            self._on_event(levels[5], body)
            if "fact" in body and body["fact"] not in self._facts:
                self._facts.append(body["fact"])
                if levels[5] in ("session.started", "session.ended"):
                    self.seen.session(body["data"])


class FeedWatcher:
    """A browser without a screen: the live feed, its state put together from snapshot and patches (RFC 7396)."""

    def __init__(self, url: str, meter: str) -> None:
        self.seen, self.messages, self.state = Seen(), 0, dict[str, dict[str, Any]]()
        self._url, self._meter = url.replace("http", "ws", 1) + "/feed", f"sample/{meter}/0/{METER_ENERGY}"

    async def run(self) -> None:
        """Until cancelled; a feed that ends is opened again."""
        async with aiohttp.ClientSession() as client:
            while True:
                try:
                    async with client.ws_connect(self._url, protocols=["evcore.feed.v1"]) as socket:
                        await socket.send_json({"op": "sub", "id": 1, "keys": ["*"], "max_hz": 10})
                        async for message in socket:
                            self._take(json.loads(message.data))
                except aiohttp.ClientError as error:
                    _log.debug("feed: %s", error)
                await asyncio.sleep(0.2)

    def _take(self, message: dict[str, Any]) -> None:
        self.messages += 1
        if message["t"] == "snap":
            self.state = {}
            for key, body in message["d"].items():
                self._merge(key, body)
        elif message["t"] == "d":
            self._merge(message["k"], message["v"])

    def _merge(self, key: str, patch: dict[str, Any] | None) -> None:
        if patch is None:
            self.state.pop(key, None)
            return
        body = self.state[key] = _merged(self.state.get(key), patch)
        if key.startswith("session/"):
            self.seen.session(body)
        elif key == self._meter:
            self.seen.meter_wh, self.seen.meter_at = body["value"], body["time"]


class RestClient:
    """Asks and orders over REST. Raises RuntimeError with the problem that the gateway answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40))

    async def __aenter__(self) -> RestClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def get(self, path: str, **query: str) -> Any:
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._ask("POST", path, json=dict(body), headers={"Idempotency-Key": uuid.uuid4().hex})

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        async with self._client.request(method, self._url + path, **more) as answer:
            body = await answer.json()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {body.get('detail', body)}")
            return body


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7396, 2."""
    if not isinstance(patch, dict):
        return patch
    body = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            body.pop(name, None)
        else:
            body[name] = _merged(body.get(name), value)
    return body
