"""The program, as a user starts it: help, exit codes, what goes where."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import evcore as package

Evcore = Callable[..., "subprocess.CompletedProcess[str]"]
SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "site.toml"


def test_the_version_goes_to_stdout_and_is_the_packages(evcore: Evcore) -> None:
    done = evcore("--version")
    assert (done.returncode, done.stdout) == (0, f"evcore {package.__version__}\n")


def test_help_names_every_command_and_the_exit_codes(evcore: Evcore) -> None:
    done = evcore("--help")
    assert done.returncode == 0
    for word in ("check", "doctor", "Exit codes: 0 done, 1 failed, 2 "):
        assert word in done.stdout
    assert "\x1b[" not in done.stdout


def test_without_a_command_the_help_is_shown_as_a_usage_error(evcore: Evcore) -> None:
    done = evcore()
    assert done.returncode == 2
    assert "Usage: " in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["chek"], ["check"], ["check", "a", "b"], ["doctor", "--jsno"]])
def test_a_wrong_command_line_is_exit_code_2_and_nothing_on_stdout(evcore: Evcore, arguments: list[str]) -> None:
    done = evcore(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_a_good_configuration_is_exit_code_0(evcore: Evcore) -> None:
    done = evcore("check", str(SAMPLE))
    assert done.returncode == 0, done.stderr
    assert "ok: 1 OCPP ports, 2 stations" in done.stdout


def test_a_bad_configuration_is_exit_code_2_and_one_line_on_stderr(evcore: Evcore, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[http]\nport = 70000\n")
    done = evcore("check", "site.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: site.toml: http.port: expected an integer <= 65535, got 70000\n"


def test_a_terminal_gets_colours_unless_no_color_is_set(tmp_path: Path) -> None:
    """On a real pseudo-terminal: the first finding's level is coloured, with NO_COLOR nothing is."""
    import os
    import pty

    def seen(**env: str) -> bytes:
        main, side = pty.openpty()
        environ = {**os.environ, "TERM": "xterm", **env}
        command = [sys.executable, "-m", "evcore", "check", "none.toml"]
        with subprocess.Popen(command, stdout=side, stderr=side, env=environ, cwd=tmp_path) as process:
            os.close(side)
            text = b""
            while True:
                try:
                    part = os.read(main, 4096)
                except OSError:  # Linux: the other side is closed
                    break
                if not part:
                    break
                text += part
            os.close(main)
            assert process.wait(30) == 2
        return text

    assert b"\x1b[" in seen()
    assert b"\x1b[" not in seen(NO_COLOR="1")


def test_the_doctor_reports_as_lines_and_as_json(evcore: Evcore) -> None:
    done = evcore("doctor", "--json")
    findings = json.loads(done.stdout)
    assert done.returncode == int(any(finding["level"] == "fail" for finding in findings))
    seen = {finding["what"] for finding in findings}
    assert {"evcore", "packages", "native code", "SQLite", "serial ports", "CAN interfaces", "clock"} <= seen
    lines = evcore("doctor").stdout.splitlines()
    assert len(lines) == len(findings)
    assert all(line.split()[0] in ("ok", "warn", "fail") for line in lines)
