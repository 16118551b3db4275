"""`evcore ocpp explain`, as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evcore.gateway.cli import app

Evcore = Callable[..., "subprocess.CompletedProcess[str]"]

LOG = """\
2024-02-06 19:09:37.153 INFO (MainThread) [ocpp] charger: receive message [2,"t99o","StatusNotification",\
{"connectorId":1,"errorCode":"NoError","status":"Charging","timestamp":"2024-02-06T08:09:05Z"}]
2024-02-06 19:09:37.154 INFO (MainThread) [ocpp] charger: send [3,"t99o",{}]
2024-02-06 19:09:43.301 INFO (MainThread) [ocpp] charger: receive message [2,"9lmh","MeterValues",{"connectorId":1,\
"transactionId":1707206943,"meterValue":[{"timestamp":"2024-02-06T08:09:37Z","sampledValue":[,{"value":"139955"}]}]}]
"""


@pytest.fixture
def explain() -> Callable[..., tuple[int, str]]:
    """explain(*arguments, text=""): exit code and output."""

    def run(*arguments: str, text: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(app, ["ocpp", "explain", *arguments], input=text)
        return done.exit_code, done.output

    return run


def test_a_log_is_explained_line_by_line(explain: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "home-assistant.log").write_text(LOG)
    code, output = explain(str(tmp_path / "home-assistant.log"))
    assert code == 1
    assert "CALLRESULT StatusNotification id t99o - the answer to StatusNotification in line 1 after 0.001 s" in output
    assert "1.6: json at byte" in output
    assert "lenient mode: stray_comma" in output
    assert "not answered: line 3 MeterValues id 9lmh" in output
    assert "3 frames, 1 not valid, 1 call not answered" in output


def test_valid_frames_are_exit_code_0_and_one_json_object_on_demand(explain: Callable[..., tuple[int, str]]) -> None:
    code, output = explain("-", "--json", text="".join(LOG.splitlines(keepends=True)[:2]))
    report = json.loads(output)
    assert (code, report["valid"], report["unanswered"]) == (0, True, [])
    assert [frame["type"] for frame in report["frames"]] == ["CALL", "CALLRESULT"]
    assert report["frames"][1]["after_s"] == 0.001
    assert report["frames"][0]["verdicts"] == {
        "1.6": {"judged": True, "violations": [], "repairs": [], "lenient": True},
    }


def test_a_version_and_the_action_of_a_lone_answer_can_be_told(explain: Callable[..., tuple[int, str]]) -> None:
    answer = '[3,"1",{"currentTime":"2026-01-01T00:00:00Z"}]'
    assert "not judged" in explain("-", text=answer)[1]
    code, output = explain("-", "--action", "Heartbeat", "--version", "1.6", "--version", "2.1", text=answer)
    assert code == 0
    assert "1.6, 2.1: valid" in output


def test_nothing_that_a_station_sends_steers_the_terminal(explain: Callable[..., tuple[int, str]]) -> None:
    _, output = explain("-", text='[2,"\\u001b[31m","\\u001b]0;x\\u0007",{"a":"\\u001b[2J"}]')
    assert "\x1b" not in output
    assert "\x07" not in output


def test_what_cannot_be_read_or_has_no_frame_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("nothing of the kind")
    for name, words in (
        ("words.txt", "a frame of OCPP-J"),
        ("nowhere.log", "a readable file"),
        (".", "a readable file"),
    ):
        done = subprocess.run(  # the exit code of the program itself
            [sys.executable, "-m", "evcore", "ocpp", "explain", name], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
