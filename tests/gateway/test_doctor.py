"""The doctor's rules, each on a case that is good and one that is not."""

from __future__ import annotations

import asyncio
import getpass
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evcore.gateway.config import MqttTable, parse
from evcore.gateway.doctor import _can, _devices, broker_finding, clock_finding, examine, port_problem, sqlite_finding
from evcore.gateway.secret import Secret
from evcore.sim import EmbeddedBroker


@pytest.mark.parametrize(
    ("version", "level"),
    [
        # sqlite.org/wal.html: 3.7.0 to 3.51.2, mended also in 3.50.7 and 3.44.6
        ("3.6.23", "ok"),
        ("3.7.0", "warn"),
        ("3.40.1", "warn"),
        ("3.44.5", "warn"),
        ("3.44.6", "ok"),
        ("3.45.0", "warn"),
        ("3.50.6", "warn"),
        ("3.50.7", "ok"),
        ("3.51.2", "warn"),
        ("3.51.3", "ok"),
        ("3.54.1", "ok"),
    ],
)
def test_an_sqlite_with_the_wal_reset_bug_is_a_warning(version: str, level: str) -> None:
    assert sqlite_finding(version).level == level


def test_a_clock_that_shows_the_past_is_a_failure(tmp_path: Path) -> None:
    assert clock_finding(0.0).level == "fail"
    assert "set the clock" in clock_finding(1_000_000_000.0).detail
    assert "not known" in clock_finding(1_800_000_000.0, tmp_path / "none").detail
    assert "synchronised" in clock_finding(1_800_000_000.0, tmp_path).detail


def test_can_interfaces_are_known_by_their_type_not_by_their_name(tmp_path: Path) -> None:
    for name, kind, state in (("can0", "280", "up"), ("eth0", "1", "up"), ("bay", "280", "down"), ("bad", "x", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(kind + "\n")
        (tmp_path / name / "operstate").write_text(state + "\n")
    assert _can(tmp_path).detail == "bay (down), can0 (up)"
    assert _can(tmp_path / "none").detail == "none seen"


def test_a_serial_port_and_a_bus_that_the_site_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "can0").mkdir()
    (tmp_path / "tty").touch()
    text = "".join(
        f'[[modbus]]\nname = "{name}"\nurl = "{url}"\nprofile = "sdm630"\n'
        for name, url in (("a", f"rtu://{tmp_path}/tty"), ("b", f"rtu://{tmp_path}/none?parity=E"), ("c", "tcp://h"))
    ) + "".join(
        f'[[can]]\nname = "{name}"\ninterface = "{kind}"\nchannel = "{channel}"\nobserver = "gbt27930"\n'
        for name, kind, channel in (("d", "socketcan", "can0"), ("e", "socketcan", "can1"), ("f", "virtual", "x"))
    )
    found = list(_devices(parse(text, file="site.toml", base=tmp_path), tmp_path))
    assert [(finding.what, finding.level) for finding in found] == [
        ("meter a", "ok"),
        ("meter b", "fail"),
        ("bus d", "ok"),
        ("bus e", "fail"),
    ]


def test_a_port_in_use_is_named_and_fails_only_if_the_site_wants_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_problem("127.0.0.1", port) == "address already in use"
        config = parse(f"[http]\nport = {port}", file="f", base=tmp_path)
        levels = {finding.what: finding.level for finding in examine(config)}
        assert levels[f"port {port}"] == "fail"
        assert levels["disk"] in ("ok", "warn")
    assert port_problem("127.0.0.1", port) is None
    assert port_problem("host.invalid", 1) is not None


@pytest.fixture
def broker(program: Callable[[str], str], free_port: Callable[[], int], tmp_path: Path) -> Iterator[int]:
    """A mosquitto that lets "evcore" in with the password "right-password"."""
    port, users = free_port(), tmp_path / "users"
    subprocess.run([program("mosquitto_passwd"), "-b", "-c", users, "evcore", "right-password"], check=True)
    # Started by root it would become another user, who may not read the folder.
    settings = f"user {getpass.getuser()}\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n"
    (tmp_path / "conf").write_text(settings)
    with subprocess.Popen([program("mosquitto"), "-c", tmp_path / "conf"], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while port_problem("127.0.0.1", port) is None:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
        process.terminate()


def test_a_broker_is_ok_only_if_it_lets_us_in(broker: int) -> None:
    url = f"mqtt://127.0.0.1:{broker}"
    right = MqttTable(url=url, username="evcore", password=Secret("right-password"))
    assert broker_finding(right).level == "ok"
    wrong = broker_finding(MqttTable(url=url, username="evcore", password=Secret("wrong-password")))
    assert wrong.level == "fail"
    assert "uthori" in wrong.detail
    assert "wrong-password" not in wrong.detail


async def test_a_broker_that_knows_mqtt_3_only_is_ok_unless_5_is_demanded() -> None:
    async with EmbeddedBroker() as broker:
        finding = await asyncio.to_thread(broker_finding, MqttTable(url=broker.url))
        assert finding.level == "ok", finding.detail
        demanding = await asyncio.to_thread(broker_finding, MqttTable(url=broker.url, protocol="5"))
        assert demanding.level == "fail"
        assert "rotocol" in demanding.detail


def test_a_broker_that_is_not_there_is_a_failure(free_port: Callable[[], int]) -> None:
    finding = broker_finding(MqttTable(url=f"mqtt://127.0.0.1:{free_port()}"))
    assert finding.level == "fail"
    assert "refused" in finding.detail
