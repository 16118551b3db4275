"""`evcore sim`: what can be simulated from the command line."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from evcore.errors import ConfigError

FAILED, STOPPED = 1, 130

app = typer.Typer(
    name="sim",
    help="Simulated stations against a real CSMS.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Simulated stations against a real CSMS."""


class Version(StrEnum):
    """What stations speak."""

    V16 = "1.6"
    V201 = "2.0.1"
    V21 = "2.1"
    MIXED = "mixed"


@app.command()
def fleet(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the CSMS, ws:// or wss://, without an identity.")],
    stations: Annotated[int, typer.Option("--stations", metavar="N", help="How many.")] = 10,
    rate: Annotated[
        float, typer.Option("--rate", metavar="R", help="Calls a second of all together; 0: as fast as answers come.")
    ] = 0.0,
    version: Annotated[Version, typer.Option("--version", help="Of OCPP; mixed: each in turn.")] = Version.V16,
    seconds: Annotated[float, typer.Option("--for", metavar="SECONDS", min=0.1, help="How long.")] = 10.0,
    meters: Annotated[
        int, typer.Option("--meters", metavar="N", help="Meter values in a transaction; 0: it never ends.")
    ] = 20,
    faults: Annotated[
        float, typer.Option("--faults", metavar="SHARE", help="Of calls: a broken frame or a cut connection instead.")
    ] = 0.0,
    prefix: Annotated[str, typer.Option("--prefix", help="Of the stations' identities.")] = "FLEET-",
    token: Annotated[str, typer.Option("--token", help="That its drivers show.")] = "FLEET",  # noqa: S107
    password: Annotated[
        str | None, typer.Option("--password", help="Of every station; {id} stands for its identity.")
    ] = None,
    ca: Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="PEM of the CSMS's root, for wss://.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the faults.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Load a CSMS with a fleet of stations on real WebSockets.

    Each boots, authorizes, charges with meter values and stops, again and again, one call at a time. Messages are made
    and read without evcore's codec. At the end: what was sent, answered and refused, and the latency. A password goes
    out in clear over ws://. The exit code is 1 if a good call was refused or not answered, or a connection was lost.
    Ctrl-C ends it sooner: what was counted is shown, and the exit code is 130.
    """
    from evcore.sim.fleet import VERSIONS, Fleet, FleetPlan

    plan = FleetPlan(
        url,
        stations,
        versions=VERSIONS if version is Version.MIXED else (version.value,),
        rate=rate,
        meters=meters,
        faults=faults,
        prefix=prefix,
        token=token,
        password=password,
        ssl=_tls(ca) if url.startswith("wss:") else None,
        seed=seed,
    )

    load, stopped = Fleet(plan), False
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        try:
            runner.run(load.run(seconds))
        except KeyboardInterrupt:
            stopped = True
    report = load.report
    told = report.as_dict(url=url, stations=stations, version=version.value)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        _show(told)
    if stopped:
        raise typer.Exit(STOPPED)
    if not report.ok:
        raise typer.Exit(FAILED)


def _show(told: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    latency, opening = told["latency_ms"], told["opening_ms"]
    console.print(f"{told['stations']} stations, OCPP {told['version']}, {told['seconds']:.1f} s at {told['url']}")
    console.print(f"connections {told['connections']}, opening p50 {opening['p50']} ms, p99 {opening['p99']} ms")
    for action, counts in told["actions"].items():
        numbers = ", ".join(f"{what} {n}" for what, n in counts.items() if n)
        console.print(f"  {action:20} {numbers}")
    console.print(
        f"sent {told['sent']}, answered {told['answered']} ({told['per_second']}/s), refused {told['refused']}, "
        f"token denied {told['denied']}, not answered {told['unanswered']}, cut off {told['cut_off']}"
    )
    console.print(f"latency p50 {latency['p50']} ms, p99 {latency['p99']} ms, longest {latency['max']} ms")
    for what in ("not_connected", "lost", "closings", "asked", "nonsense", "behind", "faults"):
        value = {k: v for k, v in told[what].items() if v} if isinstance(told[what], dict) else told[what]
        if value:
            console.print(f"{what.replace('_', ' ')}: {value}")
    console.print("ok" if told["ok"] else "NOT ok: a good call was refused or not answered, or a connection was lost")


def _tls(ca: Path | None) -> Any:
    """Raises ConfigError: the file cannot be used."""
    import ssl

    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError(
            "sim fleet", "--ca", "a PEM file of certificates", f"{ca}: {error.strerror or error}"
        ) from error


def _fast_loop() -> Any:
    """uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
