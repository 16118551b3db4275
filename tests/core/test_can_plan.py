"""The seam of can.h by itself; equality with cantools is tests/can/test_database.py."""

from __future__ import annotations

import pytest
from can_signals import signal

from evcore.core.can import MessagePlan
from evcore.errors import PayloadError


def test_integers_stay_integers_and_one_fraction_makes_a_float():
    plan = MessagePlan(
        "M",
        8,
        [
            signal("Raw", 0, 8),
            signal("Twice", 8, 8, factor=2.0, offset=1),
            signal("Tenth", 16, 16, factor=0.1, offset=-400),
            signal("Below", 32, 8, kind="signed", offset=-3),
        ],
    )
    assert plan.decode(bytes.fromhex("07 05 A00F FF 000000")) == {"Raw": 7, "Twice": 11, "Tenth": 0.0, "Below": -4}
    assert [type(value) for value in plan.decode(bytes(8)).values()] == [int, int, float, int]
    assert plan.decode(bytes.fromhex("07 05 A00F FF 000000"), scaling=False)["Tenth"] == 4000


def test_64_bit_integers_are_exact_beyond_what_a_double_holds():
    plan = MessagePlan("M", 8, [signal("Energy", 0, 64, factor=3, offset=1)])
    assert plan.decode(b"\xff" * 8) == {"Energy": (2**64 - 1) * 3 + 1}
    assert MessagePlan("M", 8, [signal("Energy", 0, 64)]).decode(b"\xff" * 8) == {"Energy": 2**64 - 1}


def test_a_choice_is_the_object_that_was_handed_in():
    ready = object()
    plan = MessagePlan("M", 1, [signal("State", 0, 8, choices={0xAA: ready}, factor=2)])
    assert plan.decode(b"\xaa")["State"] is ready
    assert plan.decode(b"\xaa", choices=False) == {"State": 340}
    assert plan.decode(b"\xab") == {"State": 342}


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_is_a_payload(kind):
    plan = MessagePlan("M", 2, [signal("A", 7, 16, big_endian=True)])
    assert plan.decode(kind(b"\x12\x34")) == {"A": 0x1234}
    with pytest.raises(TypeError):
        plan.decode("12")


def test_a_short_payload_is_refused_or_gives_what_it_holds():
    plan = MessagePlan("CCS", 7, [signal("Volts", 0, 16), signal("Allowed", 48, 2)])
    with pytest.raises(PayloadError) as refusal:
        plan.decode(bytes(6))
    assert (refusal.value.code, refusal.value.path) == ("length", "/CCS")
    assert (refusal.value.expected, refusal.value.got) == ("7 bytes", "6")
    assert plan.decode(bytes(6), allow_truncated=True) == {"Volts": 0}
    assert plan.decode(bytes(9)) == {"Volts": 0, "Allowed": 0}


def test_a_signal_that_its_message_has_no_room_for_is_named():
    plan = MessagePlan("M", 2, [signal("Fits", 0, 8), signal("Beyond", 8, 16)])
    with pytest.raises(PayloadError, match="/M/Beyond"):
        plan.decode(bytes(8))
    assert plan.decode(bytes(8), allow_truncated=True) == {"Fits": 0}


def test_a_multiplexer_value_that_selects_nothing_is_an_error_that_names_it():
    plan = MessagePlan(
        "M",
        2,
        [signal("Mux", 0, 8, known=[(1, 3), (9, 9)]), signal("A", 8, 8, selector=0, values=[(1, 3)])],
    )
    assert plan.decode(b"\x02\x07") == {"Mux": 2, "A": 7}
    assert plan.decode(b"\x09\x07") == {"Mux": 9}
    with pytest.raises(PayloadError) as refusal:
        plan.decode(b"\x04\x07")
    assert (refusal.value.code, refusal.value.path) == ("multiplexer", "/M/Mux")
    assert (refusal.value.expected, refusal.value.got) == ("1..3, 9", "4")


def test_a_message_of_more_signals_than_the_stack_holds():
    plan = MessagePlan("M", 64, [signal(f"Bit{i}", i, 1) for i in range(512)])
    values = plan.decode(b"\x55" * 64)
    assert len(values) == 512
    assert list(values.values()) == [1, 0] * 256
    with pytest.raises(PayloadError):
        plan.decode(bytes(63))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 0}, "M.A"),
        ({"bits": 65}, "M.A"),
        ({"kind": "float", "bits": 16}, "M.A"),
        ({"start": 8 * 4096}, "M.A"),
        ({"selector": 0}, "multiplexer before it"),
    ],
)
def test_a_signal_that_cannot_be_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        MessagePlan("M", 8, [signal("A", 0, 8) | changes])
