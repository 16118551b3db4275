"""`evcore ocpp`: what OCPP messages say."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from evcore.errors import ConfigError

if TYPE_CHECKING:
    from evcore.ocpp.explain import Explained, Verdict

VALID, VIOLATIONS, UNREADABLE = 0, 1, 2
_MOST = 64 * 1024 * 1024  # bytes of a file

app = typer.Typer(
    name="ocpp",
    help="OCPP messages: what they say and what is wrong with them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


class Version(StrEnum):
    """Of OCPP."""

    V16 = "1.6"
    V201 = "2.0.1"
    V21 = "2.1"


@app.command()
def explain(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Frames or a log with frames in it; - for stdin.")],
    version: Annotated[
        list[Version] | None, typer.Option("--version", help="Judge by this one; without, by what fits best.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="NAME", help="Action of answers whose call is not in FILE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Say what OCPP messages mean and what is wrong with them.

    FILE holds one frame a line, a JSON array of frames, or log lines of any program with the frames somewhere in them,
    in UTF-8 or UTF-16.
    Of each frame: its meaning, which call it answers, every violation with its place and error code, and what the
    lenient mode would mend; at the end the calls that nobody answers. Exit code: 0 all frames are valid, 1 some are
    not, 2 FILE cannot be read or has no frame in it.
    """
    from evcore.ocpp.explain import explain as explain_frames
    from evcore.ocpp.frame_log import find_frames
    from evcore.ocpp.log_text import kind_of, text_of

    data = _read(file)
    frames = explain_frames(find_frames(text_of(data)), versions=[str(one) for one in version or ()], action=action)
    if not frames:
        raise ConfigError(file, "", 'a frame of OCPP-J, such as [2,"1","Heartbeat",{}]', kind_of(data))
    if as_json:
        typer.echo(json.dumps(_as_json(frames), indent=1, ensure_ascii=False))
    else:
        _show(frames, Console(soft_wrap=True, highlight=False))
    raise typer.Exit(VALID if all(frame.valid for frame in frames) else VIOLATIONS)


def _read(file: str) -> bytes:
    """Raises ConfigError."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MOST + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(_MOST + 1)
    except OSError as error:
        raise ConfigError(file, "", "a readable file", error.strerror or type(error).__name__) from None
    if len(data) > _MOST:
        raise ConfigError(file, "", f"at most {_MOST >> 20} MiB", "more")
    return data


# ---- for people ----


def _show(frames: list[Explained], console: Console) -> None:
    from evcore.ocpp.explain import TYPES, unanswered

    for frame in frames:
        found = frame.found
        words = [f"line {found.line}:", found.time, found.station, found.direction or ""]
        words += [TYPES.get(frame.type or 0, "?"), frame.action or "", f"id {frame.id}" if frame.id else ""]
        line = _text(" ".join(filter(None, words)), "bold" if frame.valid else "bold red")
        console.print(line, _text(f" - {frame.meaning}{_pairing(frame)}"), sep="")
        if frame.facts:
            console.print(_text(f"    {'; '.join(frame.facts)}"))
        for versions, verdict in _by_verdict(frame):
            _show_verdict(versions, verdict, console)
    calls = unanswered(frames)
    broken = sum(not frame.valid for frame in frames)
    console.print(
        Text(f"{_count(len(frames), 'frame')}, {broken} not valid, {_count(len(calls), 'call')} not answered")
    )
    for call in calls:
        console.print(_text(f"    not answered: line {call.found.line} {call.action or '?'} id {call.id}"))


def _show_verdict(versions: str, verdict: Verdict, console: Console) -> None:
    if not verdict.judged and not verdict.violations:
        console.print(
            Text(f"    {versions}: not judged, its call is not here (--action NAME says which it was)", "yellow")
        )
    elif not verdict.violations:
        console.print(_text(f"    {versions}: valid", "green"))
    for violation in verdict.violations:
        console.print(_text(f"    {versions}: {violation}", "red"))
    for repair in verdict.repairs:
        console.print(_text(f"        lenient mode: {repair}", "yellow"))
    if verdict.violations and not verdict.lenient:
        console.print(_text("        lenient mode: refused too"))


def _text(line: str, style: str = "") -> Text:
    """What came over the wire must not steer the terminal."""
    return Text("".join(letter if letter.isprintable() else "?" for letter in line), style)


def _pairing(frame: Explained) -> str:
    if frame.answers is not None:
        after = "" if frame.after is None else f" after {frame.after:.3f} s"
        return f" in line {frame.answers}{after}"
    return "" if frame.answered is None else f", answered in line {frame.answered}"


def _by_verdict(frame: Explained) -> list[tuple[str, Verdict]]:
    """The verdicts, versions of one mind together."""
    together: list[tuple[list[str], Verdict]] = []
    for version, verdict in frame.verdicts.items():
        same = next((versions for versions, other in together if other == verdict), None)
        if same is None:
            together.append(([version], verdict))
        else:
            same.append(version)
    return [(", ".join(versions), verdict) for versions, verdict in together]


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


# ---- for programs ----


def _as_json(frames: list[Explained]) -> dict[str, Any]:
    from evcore.ocpp.explain import TYPES, unanswered

    return {
        "frames": [
            {
                "line": frame.found.line,
                "time": frame.found.time or None,
                "station": frame.found.station or None,
                "direction": frame.found.direction,
                "type": TYPES.get(frame.type or 0),
                "id": frame.id,
                "action": frame.action,
                "meaning": frame.meaning,
                "facts": frame.facts,
                "answers": frame.answers,
                "answered": frame.answered,
                "after_s": frame.after,
                "valid": frame.valid,
                "verdicts": {version: _verdict_json(verdict) for version, verdict in frame.verdicts.items()},
            }
            for frame in frames
        ],
        "unanswered": [call.found.line for call in unanswered(frames)],
        "valid": all(frame.valid for frame in frames),
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "judged": verdict.judged,
        "violations": [
            {"code": one.code, "path": one.path, "expected": one.expected, "got": one.got} for one in verdict.violations
        ],
        "repairs": [repair._asdict() for repair in verdict.repairs],
        "lenient": verdict.lenient,
    }
