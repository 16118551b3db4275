"""A small MQTT broker inside the process, for demonstrations and tests. MQTT 3.1.1; extra `demo`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter  # type: ignore[import-untyped]
from amqtt.broker import Broker  # type: ignore[import-untyped]

_LISTENER = "default"
_CONNECT_S = 10.0


class EmbeddedBroker:
    """amqtt on the running loop; anyone may do anything, so it listens on the loopback unless told otherwise.

    port: 0 for any free one. After `start`, `port` is the real one and `url` says where to connect.
    """

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1") -> None:
        self.host, self.port = host, port
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError (the port is taken)."""
        # One line for each packet and for each client that leaves is too much for a demonstration's screen.
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # We listen, since amqtt would not tell the port that it got.
        self._broker = Broker(
            {
                "listeners": {_LISTENER: {"type": "external"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await self._broker.start()
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up on everyone. Harmless when not started."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        if self._broker is not None:
            await self._broker.shutdown()
        self._server = self._broker = None

    async def __aenter__(self) -> EmbeddedBroker:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.create_task(self._talk(reader, writer), name="mqtt broker's client")
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                head = await reader.readexactly(5)
                head += await reader.readexactly(_level_at(head) - len(head) + 1)
            if head[-1] == 5:
                # amqtt reads an MQTT 5 CONNECT as 3.1.1 and waits for bytes that never come. MQTT 3.1.1, 3.1.2.2: say
                # so with return code 1 and hang up.
                writer.write(b"\x20\x02\x00\x01")
                await writer.drain()
            elif self._broker is not None:
                await self._broker.external_connected(_Again(reader, head), StreamWriterAdapter(writer), _LISTENER)
        except (OSError, EOFError, TimeoutError, ValueError):
            pass  # a client that is no client, or left: its own affair
        finally:
            writer.close()


def _level_at(head: bytes) -> int:
    """Where the protocol level stands in a CONNECT that begins with `head`: behind length and name (3.1.1, 3.1.2)."""
    length_bytes = next((n for n, byte in enumerate(head[1:5], 1) if byte < 128), None)
    if head[0] != 0x10 or length_bytes is None:
        raise ValueError("no CONNECT")
    return 1 + length_bytes + len(b"\0\4MQTT")


class _Again(StreamReaderAdapter):  # type: ignore[misc]
    """A reader whose first bytes were read already."""

    def __init__(self, reader: asyncio.StreamReader, head: bytes) -> None:
        super().__init__(reader)
        self._head = head

    async def read(self, n: int = -1) -> bytes:
        first, self._head = self._head[:n], self._head[n:]
        return first + await super().read(n - len(first)) if len(first) < n else first
