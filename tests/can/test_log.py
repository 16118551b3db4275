"""Logs: candump text, SavvyCAN CSV, and what python-can reads; a broken line costs that line."""

from __future__ import annotations

import can
import pytest

from evcore.can import Frame, read_log
from evcore.can.frames import EXTENDED, FD, REMOTE
from evcore.errors import ConfigError, FrameError


def test_candump_lines_of_all_kinds_are_frames_and_broken_ones_cost_themselves(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(
        "(1703510921.123456) can0 1826F456#010100\n"
        "(1703510921.2) can0 123#\n"
        "\n"
        "(1703510921.3) can0 7FF#R\n"
        "(1703510921.4) vcan1 00000123##5" + "AA" * 12 + " T\n"
        "(1703510921.5) can0 123#0102030405060708_9\n"
        "half a line (1703\n"
        "(1703510921.6) can0 FFF#00\n"
        "(1703510921.6) can0 123#0\n"
        "(1703510921.6) can0 123#010203040506070809\n"
        "(1703510921.7) can0 20000004#0000000000000000\n"
        "(1703510921.123456789) can0 123#11.22 R\n"
    )
    log = read_log(path)
    base = 1_703_510_921_000_000_000
    assert list(log) == [
        Frame(0x1826F456 | EXTENDED, b"\x01\x01\x00", 0, base + 123_456_000),
        Frame(0x123, b"", 0, base + 200_000_000),
        Frame(0x7FF | REMOTE, b"", 0, base + 300_000_000),
        Frame(0x123 | EXTENDED, b"\xaa" * 12, FD | 5, base + 400_000_000),
        Frame(0x123, bytes(range(1, 9)), 0, base + 500_000_000),
        Frame(0x20000004, bytes(8), 0, base + 700_000_000),
        Frame(0x123, b"\x11\x22", 0, base + 123_456_789),
    ]
    assert [error.number for error in log.errors] == [7, 8, 9, 10]
    assert str(log.errors[0]) == "line 7: not a candump line: 'half a line (1703'"
    assert log.broken == 4
    assert len(list(log)) == 7
    assert log.broken == 4


def test_candump_is_read_as_python_can_reads_it(shared_data):
    path = shared_data / "can" / "gbt27930-charger-stops.log"
    with can.LogReader(path) as reader:
        theirs = [(message.arbitration_id, bytes(message.data), message.timestamp) for message in reader]
    log = read_log(path)
    ours = [(frame.id & ~EXTENDED, frame.data, frame.time_ns / 1e9) for frame in log]
    assert ours == theirs
    assert len(ours) == 1149
    assert log.broken == 0


def test_a_recorded_chademo_session_is_read_from_savvycan_csv(shared_data):
    log = read_log(shared_data / "can" / "chademo-leaf-start-stop.csv")
    frames = list(log)
    assert len(frames) == 4072
    assert log.broken == 0
    assert frames[0] == Frame(0x100, bytes.fromhex("00000000B301F000"), 0, 3_016_672_000)


def test_a_broken_csv_row_costs_that_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"
        "1,00000100,false,Rx,0,2,0A,0B,\n"
        "2,00000900,false,Rx,0,1,0A,\n"
        "3,00000900,true,Rx,0,9,0A,\n"
        "x,00000100,false,Rx,0,1,0A,\n"
        "5,100\n"
        "6,00000900,true,Rx,0,1,0C,\n"
    )
    log = read_log(path)
    assert list(log) == [Frame(0x100, b"\x0a\x0b", 0, 1000), Frame(0x900 | EXTENDED, b"\x0c", 0, 6000)]
    assert [error.number for error in log.errors] == [3, 4, 5, 6]


@pytest.mark.parametrize("suffix", [".asc", ".blf", ".trc", ".csv"])
def test_what_python_can_writes_is_read_through_it(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    messages = [
        can.Message(arbitration_id=0x1826F456, data=b"\x01\x01\x00", timestamp=1_700_000_000.25),
        can.Message(arbitration_id=0x123, is_extended_id=False, data=bytes(8), timestamp=1_700_000_000.5),
    ]
    with can.Logger(path) as logger:
        for message in messages:
            logger(message)
    assert [(frame.id, frame.data) for frame in read_log(path)] == [
        (0x1826F456 | EXTENDED, b"\x01\x01\x00"),
        (0x123, bytes(8)),
    ]


def test_a_missing_file_an_unknown_format_and_a_broken_binary_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.log.*readable file"):
        list(read_log(tmp_path / "absent.log"))
    odd = tmp_path / "a.odd"
    odd.write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"a\.odd.*log format"):
        list(read_log(odd))
    broken = tmp_path / "a.blf"
    broken.write_bytes(b"LOGG" + bytes(10))
    with pytest.raises(FrameError, match=r"a\.blf"):
        list(read_log(broken))
