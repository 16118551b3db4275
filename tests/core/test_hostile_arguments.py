"""The seam given what it should not be given: a precise refusal, nothing cut off in silence, never a crash."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from can_signals import signal

from evcore.core.can import Decoders, MessagePlan
from evcore.core.modbus import Layout, Point, ReadRequest, Request, WriteRequest, unpack_bits, use_cpu
from evcore.core.ocpp import scan
from evcore.errors import FrameError, PayloadError

SIGNAL = signal("A", 0, 8)
READ = ReadRequest(1, 3, 0, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: WriteRequest(1, 6, 0, [16.7]),
        lambda: WriteRequest(1, 6.0, 0.5, [16]),
        lambda: ReadRequest(1, 3, 0.9, 1),
        lambda: ReadRequest(1.5, 3, 0, 1),
        lambda: Request(1.5, b"\3\0\0\0\1"),
        lambda: READ.to_tcp(1.5),
        lambda: READ.check_tcp(bytes(9), 1.5),
        lambda: unpack_bits(b"\1", 1.5),
        lambda: Layout([Point(0.5, "uint16")]),
        lambda: Layout([Point(0, "string", length=1.5)]),
        lambda: Layout([Point(0, "uint16", missing=1.5)]),
        lambda: MessagePlan("M", 8.5, []),
        lambda: MessagePlan("M", 8, [SIGNAL | {"start": 0.5}]),
        lambda: MessagePlan("M", 8, [SIGNAL | {"known": [(0.5, 1)]}]),
    ],
)
def test_a_fraction_is_never_cut_off_where_an_integer_belongs(call):
    with pytest.raises(TypeError):
        call()


@pytest.mark.parametrize("number", [-1, 1 << 16, 1 << 31, 1 << 64, -(1 << 64), 10**100])
def test_an_integer_of_any_size_out_of_range_is_a_value_error_that_names_the_argument(number):
    for name, call in {
        "unit": lambda: ReadRequest(number, 3, 0, 1),
        "function": lambda: ReadRequest(1, number, 0, 1),
        "address": lambda: WriteRequest(1, 6, number, [1]),
        "count": lambda: ReadRequest(1, 3, 0, number),
        "values": lambda: WriteRequest(1, 16, 0, [number]),
        "transaction_id": lambda: READ.to_tcp(number),
        "offset": lambda: Layout([Point(number, "uint16")]),
        "bit": lambda: Layout([Point(0, "bits", bit=number)]),
        "missing": lambda: Layout([Point(0, "uint16", missing=number * 65536)]),
    }.items():
        with pytest.raises(ValueError, match=rf"{name}: expected"):
            call()
    with pytest.raises(ValueError, match=r"count: expected 0\.\.8"):
        unpack_bits(b"\1", number)


@pytest.mark.parametrize("scale", ["1e999999999", "1e-999999999", "nan", "inf", "", 1e400, "1" * 500, None])
def test_a_scale_that_no_double_holds_is_refused_at_once(scale):
    with pytest.raises(ValueError, match="point 0"):
        Layout([Point(0, "uint16", scale=scale)])


@pytest.mark.parametrize("add", [float("nan"), float("inf"), 10**400])
def test_an_offset_that_is_no_number_is_refused(add):
    with pytest.raises(ValueError, match="point 0"):
        Layout([Point(0, "uint16", add=add)])


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "complex"},
        {"start": 1 << 40},
        {"start": -1},
        {"bits": 1 << 40},
        {"factor": 10**400},
        {"known": [(0, (1 << 64) - 1)]},
        {"selector": 1 << 40},
    ],
)
def test_a_signal_beyond_all_limits_is_refused_by_name(changes):
    with pytest.raises(ValueError, match=r"^M\.A: "):
        MessagePlan("M", 8, [SIGNAL | changes])


@pytest.mark.parametrize("length", [-1, 4097, 1 << 40])
def test_a_message_longer_than_any_payload_is_refused(length):
    with pytest.raises(ValueError, match="M: expected a length"):
        MessagePlan("M", length, [])


def test_ranges_that_lie_about_their_number_are_counted_by_what_they_give():
    class Liar(list):
        def __len__(self):
            return 1_000_000

    plan = MessagePlan("M", 1, [SIGNAL | {"known": Liar([(0, 3)])}])
    assert plan.decode(b"\3") == {"A": 3}
    with pytest.raises(PayloadError, match=r"expected 0\.\.3, got 9"):
        plan.decode(b"\x09")


def test_choices_are_any_mapping_and_anything_else_is_refused_when_the_plan_is_made():
    assert MessagePlan("M", 1, [SIGNAL | {"choices": MappingProxyType({1: "on"})}]).decode(b"\1") == {"A": "on"}
    with pytest.raises((TypeError, ValueError)):
        MessagePlan("M", 1, [SIGNAL | {"choices": "on"}])


def test_decoders_want_a_dict_and_integers():
    for arguments in ((None, "bus"), ({}, None)):
        with pytest.raises(TypeError):
            Decoders(*arguments)
    with pytest.raises(FrameError):
        Decoders.__new__(Decoders).decode(1, b"")
    for identifier in ("1", None, 1.5, b"1"):
        with pytest.raises(TypeError):
            Decoders({}, "bus").decode(identifier, b"")


def test_memory_that_is_not_in_one_piece_is_refused():
    for call in (lambda d: scan(d), lambda d: READ.check(d), lambda d: MessagePlan("M", 1, [SIGNAL]).decode(d)):
        with pytest.raises(BufferError):
            call(memoryview(b"abcdefgh")[::2])


def test_half_a_surrogate_pair_is_placed_by_its_byte():
    with pytest.raises(FrameError) as refusal:
        scan('[2,"é\ud800","A",{}]')
    assert refusal.value.where == len('[2,"é'.encode())


def test_a_cpu_variant_that_is_no_name_at_all_changes_nothing():
    assert not use_cpu("\udcff")  # as os.environ gives EVCORE_CPU with the byte FF; it is read at import
    assert not use_cpu("portable\0")
    with pytest.raises(TypeError):
        use_cpu(None)
