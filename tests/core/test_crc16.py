import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.core.modbus import cpu, crc16, use_cpu

fastcrc = pytest.importorskip("fastcrc")


def test_the_check_value_of_the_crc_catalogue():
    assert crc16(b"123456789") == 0x4B37
    assert crc16(b"") == 0xFFFF


@given(st.binary(max_size=600))
def test_crc16_agrees_with_fastcrc_for_every_bytes_like(data):
    expected = fastcrc.crc16.modbus(data)
    assert crc16(data) == crc16(bytearray(data)) == crc16(memoryview(data)) == expected


def test_what_is_not_bytes_like_is_refused():
    with pytest.raises(TypeError):
        crc16("123")


@given(st.binary(max_size=600))
def test_every_variant_of_this_cpu_gives_the_same(data):
    best = cpu()
    try:
        assert use_cpu("portable")
        assert cpu() == "portable"
        portable = crc16(data)
    finally:
        assert use_cpu("")
    assert cpu() == best
    assert crc16(data) == portable


def test_an_unknown_variant_changes_nothing():
    before = cpu()
    assert not use_cpu("quantum")
    assert cpu() == before
