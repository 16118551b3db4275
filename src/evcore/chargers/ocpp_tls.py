"""Keeps an `OcppServer`'s certificates fresh: replaced ones are taken over without a restart, broken ones are not, and
those that end soon are told of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

from evcore.errors import ConfigError
from evcore.model import Event
from evcore.ocpp.websocket import Listening, ServerCertificates
from evcore.ports import Hub
from evcore.x509 import ExpiryWatch

LOOK_S = 5.0  # between two looks at the files; a change is taken over at the second look that finds it the same


class CertificateKeeper:
    """problem: why what the files hold is not in force, "" where it is. changed: called whenever that changes."""

    def __init__(
        self, name: str, certificates: ServerCertificates, hub: Hub, door: Listening, changed: Callable[[], None]
    ) -> None:
        self._name, self._certificates, self._hub, self._door = name, certificates, hub, door
        self._changed = changed
        self._ends = ExpiryWatch()
        self._lock = asyncio.Lock()
        self.problem = ""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._warn()
            await asyncio.sleep(LOOK_S)
            if self._certificates.changed():
                await self.reload()

    async def reload(self) -> bool:
        """Take over what the files hold now: connections that come from now on get it. False: it cannot be used, and
        what was in force stays so."""
        async with self._lock:
            try:
                await self._door.replace_tls(await asyncio.to_thread(self._certificates.load))
            except (ConfigError, OSError) as error:
                self._tell("certificate.refused", str(error), "error")
                self._set_problem(f"certificates not renewed: {error}")
                return False
        self._tell("certificate.renewed", ", ".join(file for file, _ in self._certificates.expiries))
        self._set_problem("")
        self._warn()
        return True

    def _set_problem(self, problem: str) -> None:
        self.problem = problem[:300]
        self._changed()

    def _warn(self) -> None:
        for file, days in self._ends.due(self._certificates.expiries, time.time()):
            over = days < 0
            text = f"{file} {'has ended' if over else f'ends in {days} days'}"
            self._tell("certificate.expiring", text, "error" if over else "warning", file=file, days=days)

    def _tell(
        self, kind: str, text: str, severity: Literal["info", "warning", "error"] = "info", **data: str | int
    ) -> None:
        self._hub.publish(Event(self._name, kind, time.time_ns(), severity=severity, text=text[:500], data=data))
