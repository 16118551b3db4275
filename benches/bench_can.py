"""One CAN frame of eight scaled signals to a dict of floats, as a program does that reacts to each frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cantools
import pytest

from evcore.can import Database

DBC = """VERSION ""
BO_ 291 Battery: 8 BMS
 SG_ Voltage : 0|12@1+ (0.1,0) [0|0] "V" X
 SG_ Current : 12|12@1- (0.1,-100) [0|0] "A" X
 SG_ StateOfCharge : 24|8@1+ (0.5,0) [0|0] "%" X
 SG_ TemperatureMax : 32|8@1+ (0.5,-40) [0|0] "Cel" X
 SG_ TemperatureMin : 40|8@1+ (0.5,-40) [0|0] "Cel" X
 SG_ Power : 48|8@1- (0.25,0) [0|0] "kW" X
 SG_ CellSpread : 56|4@1+ (0.01,0) [0|0] "V" X
 SG_ FanSpeed : 60|4@1+ (12.5,0) [0|0] "%" X
"""
FRAME = bytes.fromhex("E80FF1A05A562084")
VALUES = {
    "Voltage": 4072 * 0.1,
    "Current": -240 * 0.1 + -100,
    "StateOfCharge": 80.0,
    "TemperatureMax": 5.0,
    "TemperatureMin": 3.0,
    "Power": 8.0,
    "CellSpread": 4 * 0.01,
    "FanSpeed": 100.0,
}

THEIRS: Any = cantools.database.load_string(DBC, "dbc")
OURS = Database.of(THEIRS.messages)
CONTESTANTS: dict[str, Callable[[int, bytes], dict[str, Any]]] = {
    "evcore": OURS.decode,
    "cantools": THEIRS.decode_message,
}


@pytest.mark.benchmark(group="can decode, 8 signals")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_decode(benchmark: Any, contestant: str) -> None:
    decode = CONTESTANTS[contestant]
    assert decode(291, FRAME) == VALUES
    assert all(type(value) is float for value in decode(291, FRAME).values())
    benchmark(decode, 291, FRAME)
