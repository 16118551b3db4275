"""`evcore demo`: it plays, it judges, and its judgement can be a no."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evcore.errors import ConfigError
from evcore.gateway.demo import settings
from evcore.gateway.demo.clients import FeedWatcher, Seen
from evcore.gateway.demo.judge import lost_records, promises_of
from evcore.gateway.demo.play import Demo
from evcore.gateway.demo.settings import Options, split_login
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.store import Store
from evcore.model import SessionRecord
from evcore.ocpp.station import Answered
from evcore.sim.site import SimSite
from evcore.sim.station import SimStation

Evcore = Callable[..., "subprocess.CompletedProcess[str]"]
PROTOCOLS = ["ocpp", "modbus", "can", "mqtt", "http", "websocket"]


def test_the_demo_judges_itself_and_prints_one_json_object(evcore: Evcore) -> None:
    with socket.socket() as taken:  # a port that is in use gives way to the next
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", settings.free_port(8080)))
        taken.listen()
        busy = taken.getsockname()[1]
        done = evcore("demo", "--for", "8", "--json", "--port", str(busy))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert report["problems"] == []
    assert list(report["protocols"]) == PROTOCOLS
    for name, flow in report["protocols"].items():
        assert flow["in"] > 0, name
        assert flow["errors"] == 0, name
    sessions = report["sessions"]
    assert sessions["started"] == sessions["ended"] == 3
    assert sessions["paid"] == 1
    assert sessions["energy_wh"] > 20
    assert f":{busy}/" not in report["urls"]["dashboard"]
    assert done.stderr == ""


async def test_a_meter_that_disagrees_with_the_sessions_is_found_out(
    monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    count = SimSite._count

    def double(self: SimSite, station: str, energy_wh: float) -> None:
        count(self, station, 2 * energy_wh)

    monkeypatch.setattr(SimSite, "_count", double)
    said: list[str] = []
    ports = [free_port() for _ in range(4)]
    report = await Demo(Options(1.0, None, *ports), said.append).run()
    assert not report["ok"]
    assert {problem.split(":")[0] for problem in report["problems"]} == {"mqtt", "feed"}
    assert all("the meter counted" in problem for problem in report["problems"])
    assert any("GB/T 27930" in line for line in said)


def test_ctrl_c_on_a_terminal_ends_the_demo_with_exit_code_0_and_its_screen_shows_the_site(
    free_port: Callable[[], int],
) -> None:
    main, side = pty.openpty()
    ports = ["--port", str(free_port()), "--ocpp-port", str(free_port())]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "60"}
    command = [sys.executable, "-m", "evcore", "demo", *ports]
    with subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environ) as process:
        os.close(side)
        shown = _read(main, lambda text: "AC-1" in text and "shows the card" in text)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        shown += _read(main, lambda text: "agrees" in text)
        assert process.wait(20) == 0, shown[-2000:]
        assert time.monotonic() - began < 10
        os.close(main)
    for word in ("Dashboard", "SDM630", "websocket", "all that was said agrees"):
        assert word in shown
    assert "\x1b[" in shown


def _read(main: int, enough: Callable[[str], bool]) -> str:
    text, deadline = b"", time.monotonic() + 30
    while not enough(text.decode(errors="replace")) and time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                text += os.read(main, 65_536)
            except OSError:  # Linux: the other side is closed
                break
    return text.decode(errors="replace")


def test_a_broker_that_is_no_url_is_a_usage_error(evcore: Evcore) -> None:
    done = evcore("demo", "--mqtt", "http://127.0.0.1:1", "--json")
    assert done.returncode == 2
    assert "mqtt" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_next_free_port_is_taken_and_none_is_an_error() -> None:
    first = settings.free_port(40_000)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first))
        taken.listen()
        second = settings.free_port(first)
        assert second > first
        assert settings.free_port(first, taken={second}) > second
    with pytest.raises(ConfigError, match="free port"):
        settings.free_port(65_536)


async def test_two_demonstrations_that_start_in_one_moment_get_ports_of_their_own(
    free_port: Callable[[], int],
) -> None:
    """Both see every port free, since neither listens yet."""
    ports = [free_port() for _ in range(4)]
    said: list[str] = []
    shows = [Demo(Options(1.0, None, *ports), said.append) for _ in range(2)]
    reports = await asyncio.gather(*(show.run() for show in shows))
    assert [report["problems"] for report in reports] == [[], []]
    assert not set(reports[0]["urls"].values()) & set(reports[1]["urls"].values())
    assert sum("is taken" in line for line in said) == 4


def test_a_port_is_held_until_it_is_let_go(free_port: Callable[[], int]) -> None:
    port = free_port()
    held = settings.reserve(port)
    assert held is not None
    assert settings.reserve(port) is None
    held.close()
    again = settings.reserve(port)
    assert again is not None
    again.close()


def test_a_broker_that_is_not_there_is_a_problem_of_the_report(evcore: Evcore, free_port: Callable[[], int]) -> None:
    done = evcore("demo", "--mqtt", f"mqtt://127.0.0.1:{free_port()}", "--for", "8", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert any("does not answer" in problem for problem in report["problems"])
    assert any("mqtt is down: " in problem for problem in report["problems"])
    assert "mqtt carried nothing" in report["problems"]


def test_user_and_password_of_a_broker_leave_its_url() -> None:
    assert split_login("mqtts://a%40b:p%2Fw@h:8884") == ("mqtts://h:8884", {"username": "a@b", "password": "p/w"})
    assert split_login("mqtt://h") == ("mqtt://h", {})


STATION = "AC-1"
START = {"connectorId": 1, "idTag": "T", "meterStart": 100, "timestamp": "2026-11-23T18:00:00Z"}


def _station(*answers: tuple[str, Mapping[str, Any], Mapping[str, Any] | None]) -> SimStation:
    station = SimStation("ws://127.0.0.1:1", STATION)
    station.answers = [
        Answered(str(n), action, dict(payload), None if answer is None else dict(answer))
        for n, (action, payload, answer) in enumerate(answers)
    ]
    return station


async def test_a_promised_record_that_is_not_on_disk_is_lost(tmp_path: Path) -> None:
    store = Store(tmp_path / "site.db")
    await store.open()
    ledger = StoreLedger(store)
    old = await ledger.record(SessionRecord(STATION, "start", 1, b"a", 1, token="T", meter="100"))
    transaction = old.session.transaction_id
    await ledger.record(SessionRecord(STATION, "start", 2, b"b", 1, transaction_id="tx-2", seq_no=0, meter="5"))
    await ledger.record(SessionRecord(STATION, "update", 3, b"c", 1, transaction_id="tx-2", seq_no=1, meter="6"))
    await ledger.record(SessionRecord(STATION, "end", 4, b"d", 1, transaction_id=transaction, meter="150"))
    await store.close()

    def event(kind: str, seq: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        return "TransactionEvent", {"eventType": kind, "seqNo": seq, "transactionInfo": {"transactionId": "tx-2"}}, {}

    stop = {"transactionId": int(transaction), "meterStop": 150}
    kept = _station(
        ("StartTransaction", START, {"transactionId": int(transaction)}),
        ("StopTransaction", stop, {}),
        ("Heartbeat", {}, {}),
        event("Started", 0),
        event("Updated", 1),
        ("StopTransaction", stop | {"transactionId": 7}, None),  # refused: nothing was promised
    )
    promises = promises_of(kept)
    assert len(promises) == 4
    assert lost_records(store.path, promises) == []
    missing = _station(
        ("StopTransaction", stop | {"meterStop": 151}, {}),
        ("StopTransaction", stop | {"transactionId": 99}, {}),
        event("Ended", 2),
        event("Updated", 0),
    )
    lost = lost_records(store.path, promises_of(missing))
    assert len(lost) == 4
    with sqlite3.connect(store.path) as conn:
        conn.execute("DELETE FROM records WHERE kind = 'start' AND seq = 0")
    conn.close()
    assert lost_records(store.path, promises) == [
        f"{STATION} was promised start of transaction tx-2 (seqNo 0, meter None)"
    ]


def test_the_feed_watcher_follows_snapshot_and_patches() -> None:
    feed = FeedWatcher("http://127.0.0.1:1", "grid")
    session = {"id": "s1", "state": "active", "energy_wh": 1.0}
    key = "sample/grid/0/Energy.Active.Import.Register"
    feed._take({"t": "hello"})
    feed._take({"t": "snap", "d": {"session/s1": session, "evse/a/1": {"status": "Occupied", "fault": "x"}}})
    feed._take({"t": "d", "k": "session/s1", "v": {"state": "ended", "energy_wh": 7.5}})
    feed._take({"t": "d", "k": "evse/a/1", "v": {"fault": None}})
    feed._take({"t": "d", "k": key, "v": {"value": 12.0, "time": "2026-11-23T18:00:00.000Z"}})
    feed._take({"t": "d", "k": "session/s0", "v": None})
    assert feed.state["evse/a/1"] == {"status": "Occupied"}
    assert feed.seen == Seen({"s1"}, {"s1": 7.5}, 12.0, "2026-11-23T18:00:00.000Z")
    assert feed.messages == 6
