"""The program, as a user starts it: help, exit codes, what goes where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
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
    for word in ("run", "check", "doctor", "demo", "Exit codes: 0 done, 1 failed, 2 "):
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


def test_a_full_disk_is_a_line_on_stderr_and_exit_code_1() -> None:
    command = [sys.executable, "-m", "evcore", "check", str(SAMPLE)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "error: OSError: [Errno 28] No space left on device\n"


def test_the_doctor_reports_as_lines_and_as_json(evcore: Evcore) -> None:
    done = evcore("doctor", "--json")
    findings = json.loads(done.stdout)
    assert done.returncode == int(any(finding["level"] == "fail" for finding in findings))
    seen = {finding["what"] for finding in findings}
    assert {"evcore", "packages", "native code", "SQLite", "serial ports", "CAN interfaces", "clock"} <= seen
    lines = evcore("doctor").stdout.splitlines()
    assert len(lines) == len(findings)
    assert all(line.split()[0] in ("ok", "warn", "fail") for line in lines)


@pytest.fixture
def site(tmp_path: Path, free_port: Callable[[], int]) -> tuple[Path, int]:
    """A small site and its HTTP port."""
    port = free_port()
    text = f"""
[[ocpp]]
port = {free_port()}
[[ocpp.stations]]
id = "CP-1"
password = "password-of-cp-1"
[http]
port = {port}
api_keys = ["key-of-the-api"]
[[mqtt]]
url = "mqtt://127.0.0.1:1"
username = "user"
password = {{ env = "MQTT_PASSWORD" }}
"""
    (tmp_path / "site.toml").write_text(text)
    return tmp_path / "site.toml", port


def _start(path: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "evcore", "run", str(path), *options]
    environ = {**os.environ, "MQTT_PASSWORD": "password-of-mqtt"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def _until_ready(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/healthz")
            with urllib.request.urlopen(request, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("it does not answer")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_with_exit_code_0_and_logs_without_secrets(
    site: tuple[Path, int], number: signal.Signals
) -> None:
    path, port = site
    with _start(path, "--log-level", "debug") as process:
        _until_ready(port, process)
        process.send_signal(number)
        out, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert out == ""
    lines = log.splitlines()
    assert all(" level=" in line and " logger=" in line for line in lines), log
    assert any("started: " in line for line in lines)
    for secret in ("password-of-cp-1", "key-of-the-api", "password-of-mqtt"):
        assert secret not in log


def test_a_second_signal_ends_a_run_that_hangs_at_once(tmp_path: Path) -> None:
    program = """
import asyncio, os, signal
from evcore.gateway.runner import run_until_signal

async def run():
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)

run_until_signal(run, lambda: None, patience_s=60)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=30, capture_output=True)
    assert done.returncode == 1


def test_a_run_that_cannot_start_says_why_in_one_line(evcore: Evcore, tmp_path: Path) -> None:
    (tmp_path / "evcore.db").write_bytes(b"no database" * 1000)
    (tmp_path / "site.toml").touch()
    done = evcore("run", "site.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: StoreError: ")
    assert "Traceback" not in done.stderr


def test_the_garbage_collector_is_calm_while_a_gateway_runs() -> None:
    code = (
        "import gc, asyncio; from evcore.gateway.runner import run_until_signal\n"
        "async def run(): print(gc.get_threshold(), gc.get_freeze_count() > 1000)\n"
        "run_until_signal(run, lambda: None, patience_s=1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "(2000, 20, 20) True"
