"""`evcore ocpp explain`, as a user starts it."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from evcore.errors import ConfigError
from evcore.gateway.cli import app
from evcore.ocpp.frame_log import find_frames
from evcore.ocpp.log_text import kind_of, text_of

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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_log_may_be_in_any_encoding_of_unicode(
    explain: Callable[..., tuple[int, str]], tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "plain.log").write_text(LOG)
    (tmp_path / "export.log").write_bytes(LOG.replace("\n", "\r\n").encode(encoding))
    _, plain = explain(str(tmp_path / "plain.log"))
    assert explain(str(tmp_path / "export.log")) == (1, plain)


def test_a_utf_16_log_that_is_cut_or_holds_half_a_pair_is_read_to_there(
    explain: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    text = '[2,"1","Heartbeat",{}]\r\n[2,"2","Authorize",{"idTag":"\ud800"}]\r\n[2,"3","Hea'
    (tmp_path / "cut.log").write_bytes(text.encode("utf-16", "surrogatepass") + b"\x00")
    code, output = explain(str(tmp_path / "cut.log"))
    assert code == 1
    assert "line 1: CALL Heartbeat" in output
    assert "1.6, 2.0.1, 2.1: utf8 at byte" in output


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "an empty file"),
        (b"nothing of OCPP\n", "none"),
        (gzip.compress(LOG.encode()), "a gzip archive (unpack it first)"),
        (random.Random(7).randbytes(100_000), "binary data, no text"),
        (b"\xff\xfe" + random.Random(8).randbytes(9_999), "binary data, no text"),
        (bytes(10_000), "binary data, no text"),
    ],
    ids=["empty", "other", "gzip", "junk", "marked junk", "zeros"],
)
def test_a_file_without_frames_is_named_for_what_it_is(tmp_path: Path, data: bytes, got: str) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ConfigError) as error:
        CliRunner().invoke(app, ["ocpp", "explain", str(tmp_path / "file")], catch_exceptions=False)
    assert str(error.value).endswith(f'expected a frame of OCPP-J, such as [2,"1","Heartbeat",{{}}], got {got}')


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0"]))
def test_no_bytes_are_too_strange_to_be_read(data: bytes, mark: bytes) -> None:
    for found in find_frames(text_of(mark + data)):
        assert isinstance(found.data, bytes)
    assert kind_of(mark + data)
