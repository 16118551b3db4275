"""The HTTP connector: REST, live feed, metrics and dashboard on one port."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl as tls
import time
from collections.abc import Sequence

from aiohttp import web

from evcore.backends.http import metrics
from evcore.backends.http.access import Access, is_loopback
from evcore.backends.http.app import application
from evcore.backends.http.call import Context
from evcore.backends.http.commands import Commands
from evcore.backends.http.feed_socket import FeedServer
from evcore.backends.http.listener import Listener
from evcore.backends.http.static import load
from evcore.errors import ConfigError
from evcore.model import Health
from evcore.ports import Hub, Site

BACK_OFF_S = (1.0, 30.0)

log = logging.getLogger(__name__)


class HttpBackend:
    """Shows a site and takes orders for it, on one port.

    host, port: where to listen; port 0 takes any free one. api_keys: whoever shows one may see and do everything; at
    least one is needed off the loopback. ssl: an SSLContext (`server_context`) makes it HTTPS. dashboard: serve the
    files of `evcore.dashboard` at /. origins: further web pages that may ask, as "https://host", for a proxy that
    changes Host.

    Attributes: port and url (right once `started` is set), started. Raises ConfigError.
    """

    def __init__(
        self,
        site: Site,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        api_keys: Sequence[str] = (),
        ssl: tls.SSLContext | None = None,
        name: str = "http",
        dashboard: bool = True,
        origins: Sequence[str] = (),
    ) -> None:
        if isinstance(api_keys, str) or not all(api_keys):
            raise ConfigError(name, "api_keys", "a list of keys, none of them empty", repr(type(api_keys).__name__))
        if not api_keys and not is_loopback(host):
            raise ConfigError(name, "api_keys", f"at least one, to listen on {host or 'all addresses'}", "none")
        self.site, self.host, self.port, self.name = site, host, port, name
        self.started = asyncio.Event()
        self._keys, self._ssl, self._origins = tuple(api_keys), ssl, tuple(origins)
        self._assets = load() if dashboard else {}

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._ssl else 'http'}://{host}:{self.port}"

    async def run(self, hub: Hub) -> None:
        """Listen until cancelled; where the port is taken, try again."""
        wait = BACK_OFF_S[0]
        hub.publish(Health(self.name, "starting", time_ns=time.time_ns()))
        try:
            while True:
                try:
                    await self._serve(hub)
                except OSError as error:
                    hub.publish(Health(self.name, "down", f"cannot listen: {error}"[:200], time.time_ns()))
                except Exception as error:
                    log.exception("the HTTP backend starts again")
                    hub.publish(Health(self.name, "down", type(error).__name__, time.time_ns()))
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(2 * wait, BACK_OFF_S[1])
        finally:
            self.started.clear()
            hub.publish(Health(self.name, "stopped", time_ns=time.time_ns()))

    async def _serve(self, hub: Hub) -> None:
        commands = Commands(hub)
        feed = FeedServer(hub, commands)
        lag = metrics.LoopLag()
        access = Access(self._keys, secure=self._ssl is not None, origins=self._origins)

        def page() -> str:
            return metrics.render(hub, feed_clients=feed.connected, loop_lag=lag.worst)

        context = Context(self.site, hub, commands, access, self._ssl is not None, page)
        runner = web.AppRunner(application(context, access, feed, self._assets), shutdown_timeout=5.0)
        listener = Listener(runner, hub)
        runner.app.on_shutdown.append(lambda _: feed.close())
        try:
            await runner.setup()
            self.port = await listener.open(self.host, self.port, self._ssl)
            hub.publish(Health(self.name, "up", self.url, time.time_ns()))
            self.started.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(feed.pump())
                group.create_task(lag.run())
        finally:
            self.started.clear()
            listener.close()
            await runner.cleanup()
            await commands.close()
