"""What the demonstration shows: a live screen on a terminal, plain lines anywhere else."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evcore.gateway.demo.judge import PROTOCOLS
from evcore.gateway.demo.play import Demo
from evcore.gateway.demo.settings import AC, CAR, DC, METER
from evcore.model import Evse, Sample, Session
from evcore.ports import Hub

REFRESH_S = 0.25
LINES = 12  # of what happened, on the screen
NAMES = {
    "dashboard": "Dashboard",
    "api": "REST API",
    "metrics": "Metrics",
    "feed": "Live feed",
    "ocpp": "Stations connect to",
    "mqtt": "MQTT broker",
    "modbus": "Simulated meter",
}


class Screen(Protocol):
    """say: something happened. show: until cancelled."""

    def say(self, text: str) -> None: ...
    async def show(self, demo: Demo) -> None: ...


class Lines:
    """For a file, a pipe or a screen reader: URLs once, then one line for each thing that happens."""

    def __init__(self, console: Console) -> None:
        self._console, self._began = console, time.monotonic()

    def say(self, text: str) -> None:
        self._console.print(Text(f"{time.monotonic() - self._began:6.1f} s  {text}"))

    async def show(self, demo: Demo) -> None:
        await demo.started.wait()
        for name, url in demo.urls.items():
            self._console.print(Text(f"{NAMES[name] + ':':21} {url}"))
        await asyncio.Event().wait()


class Silence:
    """For --json: what happens is told by the report alone."""

    def say(self, text: str) -> None:
        return

    async def show(self, demo: Demo) -> None:
        await asyncio.Event().wait()


class LiveScreen:
    """For a terminal: URLs, stations, meter and traffic, renewed four times a second; below, what happened last."""

    def __init__(self, console: Console) -> None:
        self._console, self._began = console, time.monotonic()
        self._told: deque[str] = deque(maxlen=LINES)

    def say(self, text: str) -> None:
        self._told.append(f"{time.monotonic() - self._began:6.1f} s  {text}")

    async def show(self, demo: Demo) -> None:
        with Live(console=self._console, refresh_per_second=4, transient=False, auto_refresh=False) as live:
            try:
                while True:
                    live.update(self._render(demo), refresh=True)
                    await asyncio.sleep(REFRESH_S)
            finally:
                live.update(self._render(demo), refresh=True)

    def _render(self, demo: Demo) -> RenderableType:
        parts: list[RenderableType] = []
        if demo.urls:
            parts.append(_urls(demo.urls))
        if demo.gateway is not None and demo.started.is_set():
            parts += [_site(demo.gateway.hub), _traffic(demo.gateway.hub)]
        parts.append(Panel(Text("\n".join(self._told) or "starting"), title="What happens", title_align="left"))
        return Group(*parts)


def _urls(urls: dict[str, str]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for name, url in urls.items():
        grid.add_row(Text(NAMES[name], "bold" if name == "dashboard" else ""), Text(url, "cyan"))
    return Panel(grid, title="evcore demo: open the dashboard, Ctrl-C to end", title_align="left")


def _site(hub: Hub) -> RenderableType:
    table = Table(expand=True, title="The site", title_justify="left")
    for name in ("", "state", "power", "energy", "more"):
        table.add_column(name, justify="right" if name in ("power", "energy") else "left")
    for id in (AC, DC):
        evse = hub.last(f"evse/{id}/1")
        state = f"{evse.status} {evse.charging or ''} {evse.fault}".strip() if isinstance(evse, Evse) else "?"
        session = hub.last(f"session/{evse.session}") if isinstance(evse, Evse) and evse.session else None
        cost = f"{session.cost / 100:.2f} {session.currency}" if isinstance(session, Session) and session.cost else ""
        energy = f"{session.energy_wh:.0f} Wh" if isinstance(session, Session) else ""
        table.add_row(id, state, _value(hub, id, 1, "Power.Active.Import"), energy, cost)
    register = _value(hub, METER, 0, "Energy.Active.Import.Register")
    table.add_row(METER, "SDM630, Modbus TCP", _value(hub, METER, 0, "Power.Active.Import"), register, "")
    soc, voltage = _value(hub, CAR, 1, "SoC", "/-/EV"), _value(hub, CAR, 1, "Voltage", "/-/EV")
    vehicle = hub.last(f"vehicle/{CAR}")
    table.add_row(CAR, f"CAN, {getattr(vehicle, 'stage', 'not there')}", "", "", f"SoC {soc}, {voltage}")
    return table


def _value(hub: Hub, source: str, evse: int, measurand: str, more: str = "") -> str:
    sample = hub.last(f"sample/{source}/{evse}/{measurand}{more}")
    return f"{sample.value:,.1f} {sample.unit}" if isinstance(sample, Sample) else ""


def _traffic(hub: Hub) -> RenderableType:
    table = Table(expand=True, title="Messages", title_justify="left")
    for name in ("", *PROTOCOLS):
        table.add_column(name, justify="right")
    for what in ("received", "sent", "errors"):
        table.add_row(what, *(str(getattr(hub.traffic(name), what)) for name in PROTOCOLS))
    return table


def verdict(report: dict[str, Any]) -> Iterable[str]:
    """The end of a demonstration, in lines."""
    sessions = report["sessions"]
    yield (
        f"{sessions['ended']} of {sessions['started']} sessions ended, {sessions['energy_wh']:.0f} Wh, "
        f"{sessions['paid']} paid, in {report['seconds']:.0f} s"
    )
    for problem in report["problems"]:
        yield f"problem: {problem}"
    yield "all that was said agrees" if report["ok"] else "the demonstration failed"
