"""The program `evcore`. Exit codes: 0 done, 1 failed, 2 the configuration or the command line is wrong.

Each command imports what it needs when it runs, so that `evcore --help` answers at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from evcore import __version__
from evcore.errors import ConfigError, EvcoreError
from evcore.gateway import cli_ocpp, cli_sim

if TYPE_CHECKING:
    from evcore.gateway.config import Config

OK, FAILED, USAGE = 0, 1, 2

app = typer.Typer(
    name="evcore",
    help="EV-charging gateway: chargers (OCPP), meters (Modbus), cars (CAN), backends (MQTT, REST, WebSocket).",
    epilog="Exit codes: 0 done, 1 failed, 2 the configuration or the command line is wrong.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # it would print local variables, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(cli_ocpp.app)
app.add_typer(cli_sim.app)

ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The site's TOML file; examples/site.toml explains it.")
]


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Level = Annotated[LogLevel, typer.Option("--log-level", help="How much goes to stderr.")]


def main() -> None:
    """The entry point: runs the command line, turns evcore's errors into a line on stderr and an exit code."""
    try:
        app()
    except ConfigError as error:
        _fail(str(error), USAGE)
    except EvcoreError as error:
        _fail(f"{type(error).__name__}: {error}", FAILED)
    except OSError as error:  # a disk that is full, a port that somebody took in this moment
        logging.getLogger("evcore").debug("ended by", exc_info=error)
        _fail(f"{type(error).__name__}: {error}", FAILED)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evcore {__version__}")
        raise typer.Exit(OK)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


@app.command()
def run(config: ConfigFile, log_level: Level = LogLevel.INFO) -> None:
    """Run the site that CONFIG describes.

    Until SIGTERM or SIGINT (Ctrl-C): then stations are told to come back, what is under way is finished, and the exit
    code is 0. A second signal ends it at once. Logs go to stderr.
    """
    from evcore.gateway.gateway import Gateway
    from evcore.gateway.logs import set_up
    from evcore.gateway.runner import run_until_signal

    settings = _load(config)
    set_up(log_level, settings.secrets())
    gateway = Gateway(settings)
    run_until_signal(gateway.run, gateway.stop, patience_s=settings.limits.drain_s)


@app.command()
def check(config: ConfigFile) -> None:
    """Say what is wrong with CONFIG.

    Reads it and everything that it names; nothing is started.
    """
    from evcore.gateway.gateway import Gateway

    settings = _load(config)
    asyncio.run(Gateway(settings).check())
    stations = sum(len(listener.stations) for listener in settings.ocpp)
    parts = {
        "OCPP ports": len(settings.ocpp),
        "stations": stations,
        "Modbus meters": len(settings.modbus),
        "CAN buses": len(settings.can),
        "MQTT brokers": len(settings.mqtt),
        "HTTP ports": int(settings.http is not None),
        "tokens": len(settings.tokens),
    }
    typer.echo(f"{config}: ok: " + ", ".join(f"{n} {what}" for what, n in parts.items()))


@app.command()
def doctor(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="Also its ports, disk and brokers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of lines.")] = False,
) -> None:
    """Say what will go wrong on this machine.

    What is installed, which ports and buses there are, clock, SQLite; with CONFIG its ports, disk and brokers too.
    Exit code 1 if something will fail.
    """
    from evcore.gateway.doctor import examine

    settings = None if config is None else _load(config)
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    console = Console(soft_wrap=True, highlight=False)
    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not as_json:
            console.print(
                Text(f"{finding.level:4} ", colours[finding.level]), Text(f"{finding.what}: {finding.detail}")
            )
    if as_json:
        typer.echo(json.dumps([{"level": f.level, "what": f.what, "detail": f.detail} for f in findings], indent=1))
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(FAILED)


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option("--for", metavar="SECONDS", min=8, help="End after so long.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Show nothing, print one JSON object at the end.")] = False,
    mqtt: Annotated[str | None, typer.Option("--mqtt", metavar="URL", help="Use this broker, start none.")] = None,
    http_port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Of dashboard and REST.")] = 8080,
    ocpp_port: Annotated[int, typer.Option("--ocpp-port", min=1, max=65535, help="Of the stations.")] = 9000,
    log_level: Level = LogLevel.ERROR,
) -> None:
    """Run a whole simulated site.

    The gateway as it is, with two stations, a meter, a car on a CAN bus, a broker and a payment provider, all simulated
    but the traffic. Without --for it goes on until Ctrl-C. A port that is taken gives way to the next free one. The
    exit code is 1 if a protocol carried nothing, a number did not agree or a record was lost.
    """
    from evcore.gateway.demo.play import Demo
    from evcore.gateway.demo.screen import Lines, LiveScreen, Screen, Silence, verdict
    from evcore.gateway.demo.settings import Options
    from evcore.gateway.logs import set_up
    from evcore.gateway.runner import run_until_signal

    set_up(log_level)
    if log_level is LogLevel.ERROR:
        logging.getLogger("evcore.site").setLevel(logging.CRITICAL)  # the fault belongs to the play
    console = Console(highlight=False)
    screen: Screen = Silence() if as_json else LiveScreen(console) if console.is_terminal else Lines(console)
    show = Demo(Options(seconds, mqtt, http_port, ocpp_port), screen.say)
    report: dict[str, Any] = {}

    async def play() -> None:
        showing = asyncio.create_task(screen.show(show))
        try:
            report.update(await show.run())
        finally:
            showing.cancel()
            await asyncio.wait([showing])

    run_until_signal(play, show.stop, patience_s=15)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for line in verdict(report):
            console.print(Text(line))
    if not report["ok"]:
        raise typer.Exit(FAILED)


def _load(path: Path) -> Config:
    from evcore.gateway.config import load

    return load(path)


def _fail(message: str, code: int) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text("error: ", "red"), Text(message), sep="")
    sys.exit(code)
