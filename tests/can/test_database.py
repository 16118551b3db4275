"""Database against cantools: equal in value and type on every payload that cantools itself can decode."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import cantools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcore.can import Database
from evcore.errors import ConfigError, FrameError, PayloadError

EXTENDED = 0x8000_0000
SMALL = """VERSION ""
BO_ 291 Engine: 8 ECU
 SG_ Speed : 0|16@1+ (0.125,0) [0|8031.875] "rpm" X
 SG_ Gear : 16|4@1+ (1,0) [0|15] "" X
 SG_ Torque : 31|16@0- (0.5,-10) [0|0] "Nm" X
BO_ 2147483939 Long: 8 ECU
 SG_ Counter : 0|64@1+ (1,0) [0|0] "" X
BO_ 2147484004 Only29: 1 ECU
 SG_ A : 0|8@1+ (1,0) [0|0] "" X
VAL_ 291 Gear 0 "Park" 1 "Drive" ;
"""
MUX = """VERSION ""
BO_ 100 Muxed: 8 ECU
 SG_ Kind M : 0|4@1+ (1,0) [0|0] "" X
 SG_ Inner m1M : 4|4@1+ (1,0) [0|0] "" X
 SG_ Deep m2 : 8|16@1- (0.1,0) [0|0] "V" X
 SG_ Wide m3 : 8|48@1+ (1,0) [0|0] "" X
 SG_ Always : 56|8@1+ (1,0) [0|0] "" X
SG_MUL_VAL_ 100 Inner Kind 1-1, 4-6;
SG_MUL_VAL_ 100 Deep Inner 2-2, 8-15;
SG_MUL_VAL_ 100 Wide Kind 3-3;
"""


@pytest.fixture
def database(tmp_path):
    def make(text: str) -> Database:
        path = tmp_path / "test.dbc"
        path.write_text(text, encoding="cp1252")
        return Database.load(path)

    return make


def identical(ours, theirs) -> bool:
    """Same names in the same order, same types, same bits: NaN equals NaN and 0.0 is not -0.0."""
    if list(ours) != list(theirs):
        return False
    for mine, other in zip(ours.values(), theirs.values(), strict=True):
        if type(mine) is not type(other):
            return False
        if isinstance(mine, float) and struct.pack("<d", mine) != struct.pack("<d", other):
            return False
        if not isinstance(mine, float) and mine != other:
            return False
    return True


OPTIONS = [
    {},
    {"decode_choices": False},
    {"scaling": False},
    {"scaling": False, "decode_choices": False},
    {"allow_truncated": True},
]


def compare(database: Database, message, payload: bytes) -> int:
    """How many of the answers cantools gave; ours must be the same."""
    answers = 0
    for options in OPTIONS:
        try:
            expected = message.source.decode(payload, **options)
        except Exception:  # what cantools refuses (short, overlapping, unknown multiplexer value) is compared elsewhere
            continue
        renamed = {"choices" if name == "decode_choices" else name: value for name, value in options.items()}
        got = database.decode(message.id, payload, **renamed)
        assert identical(got, expected), (message.name, payload.hex(), options, got, expected)
        answers += 1
    return answers


def databases() -> list[str]:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "can" / "dbc"
    return sorted(path.name for path in folder.glob("*.dbc")) or ["absent"]


@pytest.mark.parametrize("name", databases())
def test_every_message_of_every_real_database_decodes_as_cantools_does(name, shared_data):
    path = shared_data / "can" / "dbc" / name
    try:
        cantools.database.load_file(path, strict=False)
    except cantools.Error:
        with pytest.raises(ConfigError) as refusal:
            Database.load(path)
        assert refusal.value.file == str(path)
        return
    database = Database.load(path)
    source = random.Random(name)
    answers = 0
    for message in database.messages:
        assert message.native
        for length in [message.length] * 6 + [8, 64, source.randrange(message.length + 1)]:
            answers += compare(database, message, source.randbytes(length))
        for fill in (b"\x00", b"\xff"):
            answers += compare(database, message, fill * message.length)
    assert answers > len(database.messages)


@st.composite
def messages(draw):
    """A CAN (FD) message of signals that do not overlap, in both byte orders, with multiplexing and value names."""
    length = draw(st.sampled_from([1, 4, 8, 8, 12, 64]))
    factors = st.sampled_from([1, 1.0, 2, -3, 0.1, 0.5, 1e-3, 1e9, 2**40, 0.30000000000000004])
    offsets = st.sampled_from([0, 0.0, 1, -40, -400.0, 0.25, 2**53 + 1])
    signals, at, total = [], 0, 8 * length
    big = draw(st.booleans())
    while at < total and len(signals) < 12:
        at += draw(st.integers(0, 7))
        is_float = draw(st.integers(0, 9)) == 0
        bits = draw(st.sampled_from([32, 64])) if is_float else draw(st.integers(1, 64))
        if at + bits > total:
            break
        start = 8 * (at // 8) + 7 - at % 8 if big else at
        named = (
            {}
            if is_float or draw(st.booleans())
            else draw(st.dictionaries(st.integers(0, 9), st.text("abc"), max_size=4))
        )
        conversion = cantools.database.conversion.BaseConversion.factory(
            draw(factors), draw(offsets), _choices(named), is_float
        )
        signals.append(
            cantools.database.can.Signal(
                f"S{len(signals)}",
                start,
                bits,
                "big_endian" if big else "little_endian",
                is_signed=not is_float and draw(st.booleans()),
                conversion=conversion,
            )
        )
        at += bits
    if len(signals) > 2 and draw(st.booleans()):
        signals[0].is_multiplexer = True
        for signal in signals[1 : 1 + draw(st.integers(1, 4))]:
            signal.multiplexer_signal = "S0"
            signal.multiplexer_ids = draw(st.lists(st.integers(0, 8), min_size=1, max_size=4))
    return cantools.database.can.Message(7, "M", length, signals, strict=True)


def _choices(named):
    from cantools.database.namedsignalvalue import NamedSignalValue

    return {value: NamedSignalValue(value, name) for value, name in named.items()} or None


@settings(max_examples=250, deadline=None)
@given(message=messages(), source=st.randoms(use_true_random=False))
def test_generated_messages_decode_as_cantools_does(message, source):
    database = Database.of([message])
    ours = database.message(7)
    for _ in range(4):
        compare(database, ours, source.randbytes(message.length))
        compare(database, ours, source.randbytes(source.randrange(message.length + 2)))
    compare(database, ours, bytes(message.length))


def test_multiplexers_in_multiplexers_decode_as_cantools_does(database):
    loaded = database(MUX)
    message = loaded.messages[0]
    answers = sum(compare(loaded, message, bytes([first]) + b"\x81\xff\x03\x04\x05\x06\x07") for first in range(256))
    assert answers > 200
    assert loaded.decode(100, bytes.fromhex("21 0AFF 0000000007")) == {
        "Kind": 1,
        "Always": 7,
        "Inner": 2,
        "Deep": -246 * 0.1,
    }


def test_a_multiplexer_value_that_selects_nothing_is_refused_as_cantools_does(database):
    loaded = database(MUX)
    with pytest.raises(PayloadError, match=r"/Muxed/Kind: expected 1, 3\.\.6, got 2"):
        loaded.decode(100, bytes.fromhex("02 00000000000007"))


def test_what_the_plan_cannot_express_goes_through_cantools():
    half = cantools.database.conversion.BaseConversion.factory(is_float=True)
    message = cantools.database.can.Message(
        1,
        "Odd",
        20,
        [cantools.database.can.Signal("F16", 0, 16, conversion=half), cantools.database.can.Signal("Big", 16, 128)],
    )
    database = Database.of([message])
    assert not database.messages[0].native
    payload = bytes.fromhex("003C") + b"\xff" * 18
    assert database.decode(1, payload) == {"F16": 1.0, "Big": 2**128 - 1}
    with pytest.raises(PayloadError, match="/Odd"):
        database.decode(1, b"\x00")


def test_overlapping_signals_are_read_where_cantools_gives_up(database):
    loaded = database('VERSION ""\nBO_ 5 M: 2 E\n SG_ A : 0|12@1+ (1,0) [0|0] "" X\n SG_ B : 8|8@1+ (1,0) [0|0] "" X\n')
    assert loaded.decode(5, b"\x34\x12") == {"A": 0x234, "B": 0x12}


def test_bit_31_chooses_between_two_messages_of_one_number_and_a_number_alone_finds_the_only_one(database):
    loaded = database(SMALL)
    assert loaded.decode(291, bytes(8))["Speed"] == 0.0
    assert loaded.decode(291 | EXTENDED, b"\x01" + bytes(7)) == {"Counter": 1}
    assert loaded.decode(356, b"\x09") == loaded.decode(356 | EXTENDED, b"\x09") == {"A": 9}
    assert loaded.message(356) is None
    assert loaded.message(356 | EXTENDED).name == "Only29"
    with pytest.raises(FrameError, match="no message 0x7FF"):
        loaded.decode(0x7FF, b"")


def test_names_of_values_equal_cantools_and_plain_text(database):
    value = database(SMALL).decode(291, bytes.fromhex("0000010000000000"))["Gear"]
    assert value == "Drive"
    assert value.value == 1


def test_encode_and_decode_are_inverse_and_say_what_is_wrong(database):
    loaded = database(SMALL)
    values = {"Speed": 100.125, "Gear": "Drive", "Torque": -5.5}
    assert loaded.decode(291, loaded.encode("Engine", values)) == values
    with pytest.raises(PayloadError, match=r"/Engine.*Torque"):
        loaded.encode("Engine", {"Speed": 1, "Gear": 0})
    with pytest.raises(PayloadError, match="/Engine"):
        loaded.encode("Engine", values | {"Gear": "Reverse"})
    with pytest.raises(FrameError, match="no message 'Motor'"):
        loaded.encode("Motor", {})


# The least that AUTOSAR needs for one message of one signal.
ARXML = """<?xml version="1.0" encoding="utf-8"?>
<AUTOSAR xmlns="http://autosar.org/schema/r4.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://autosar.org/schema/r4.0 AUTOSAR_4-0-3.xsd">
<AR-PACKAGES><AR-PACKAGE><SHORT-NAME>P</SHORT-NAME><ELEMENTS>
<CAN-CLUSTER><SHORT-NAME>C</SHORT-NAME><CAN-CLUSTER-VARIANTS><CAN-CLUSTER-CONDITIONAL><PHYSICAL-CHANNELS>
<CAN-PHYSICAL-CHANNEL><SHORT-NAME>Ch</SHORT-NAME><FRAME-TRIGGERINGS><CAN-FRAME-TRIGGERING><SHORT-NAME>T</SHORT-NAME>
<FRAME-REF DEST="CAN-FRAME">/P/Engine</FRAME-REF><CAN-ADDRESSING-MODE>STANDARD</CAN-ADDRESSING-MODE>
<IDENTIFIER>291</IDENTIFIER></CAN-FRAME-TRIGGERING></FRAME-TRIGGERINGS></CAN-PHYSICAL-CHANNEL></PHYSICAL-CHANNELS>
</CAN-CLUSTER-CONDITIONAL></CAN-CLUSTER-VARIANTS></CAN-CLUSTER>
<CAN-FRAME><SHORT-NAME>Engine</SHORT-NAME><FRAME-LENGTH>8</FRAME-LENGTH><PDU-TO-FRAME-MAPPINGS><PDU-TO-FRAME-MAPPING>
<SHORT-NAME>M</SHORT-NAME><PDU-REF DEST="I-SIGNAL-I-PDU">/P/Pdu</PDU-REF><START-POSITION>0</START-POSITION>
</PDU-TO-FRAME-MAPPING></PDU-TO-FRAME-MAPPINGS></CAN-FRAME>
<I-SIGNAL-I-PDU><SHORT-NAME>Pdu</SHORT-NAME><LENGTH>8</LENGTH><I-SIGNAL-TO-PDU-MAPPINGS><I-SIGNAL-TO-I-PDU-MAPPING>
<SHORT-NAME>S</SHORT-NAME><I-SIGNAL-REF DEST="I-SIGNAL">/P/Speed</I-SIGNAL-REF>
<PACKING-BYTE-ORDER>MOST-SIGNIFICANT-BYTE-LAST</PACKING-BYTE-ORDER><START-POSITION>0</START-POSITION>
</I-SIGNAL-TO-I-PDU-MAPPING></I-SIGNAL-TO-PDU-MAPPINGS></I-SIGNAL-I-PDU>
<I-SIGNAL><SHORT-NAME>Speed</SHORT-NAME><LENGTH>16</LENGTH>
<SYSTEM-SIGNAL-REF DEST="SYSTEM-SIGNAL">/P/SpeedS</SYSTEM-SIGNAL-REF></I-SIGNAL>
<SYSTEM-SIGNAL><SHORT-NAME>SpeedS</SHORT-NAME></SYSTEM-SIGNAL>
</ELEMENTS></AR-PACKAGE></AR-PACKAGES></AUTOSAR>
"""


@pytest.mark.parametrize("suffix", ["kcd", "sym", "arxml"])
def test_the_other_formats_are_read_and_decode_as_cantools_does(tmp_path, suffix):
    written = cantools.database.load_string(SMALL, "dbc")
    texts = {"kcd": written.as_kcd_string, "sym": written.as_sym_string, "arxml": lambda: ARXML}
    path = tmp_path / f"test.{suffix}"
    path.write_text(texts[suffix](), encoding="utf-8")
    database = Database.load(path)
    assert database.decode(291, bytes.fromhex("2301000000000000"), scaling=False)["Speed"] == 291
    for message in database.messages:
        assert message.native
        assert compare(database, message, bytes(range(1, message.length + 1))) == len(OPTIONS)


def test_units_are_those_of_the_file(database):
    assert database(SMALL).message(291).units == {"Speed": "rpm", "Gear": "", "Torque": "Nm"}


def test_a_broken_file_is_refused_with_its_line(tmp_path):
    path = tmp_path / "broken.dbc"
    path.write_text('VERSION ""\n\nBO_ 1 M: eight E\n')
    with pytest.raises(ConfigError) as refusal:
        Database.load(path)
    assert refusal.value.file == str(path)
    assert refusal.value.key == "line 3, column 10"


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.dbc: .file.: expected a readable file"):
        Database.load(tmp_path / "absent.dbc")
