"""The JSON form of the model: names, times, what is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evcore.model import Authorization, Connector, Evse, Sample, Session, rfc3339, wire

NS = 1_795_462_237_123_999_999  # 2026-11-23T19:30:37.123999999Z


def test_times_lose_their_suffix_and_are_text_and_what_is_not_known_is_left_out():
    session = Session("s", "CP1", 1, "7", "active", NS, ended_ns=0)
    assert wire(session) == {
        "id": "s",
        "station": "CP1",
        "evse": 1,
        "transaction_id": "7",
        "state": "active",
        "started": "2026-11-23T19:30:37.123Z",
        "connector": 0,
        "energy_wh": 0.0,
    }
    assert list(wire(Sample("m", "Voltage", 1.0, "V", NS)))[:5] == ["source", "measurand", "value", "unit", "time"]
    assert wire(Authorization("Accepted")) == {"status": "Accepted"}


def test_connectors_inside_an_evse_are_objects():
    evse = Evse("CP1", 1, "Available", connectors=(Connector(1, "cCCS2", "Occupied"), Connector(2)))
    assert wire(evse)["connectors"] == [
        {"id": 1, "type": "cCCS2", "status": "Occupied"},
        {"id": 2, "type": "", "status": ""},
    ]


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999_999))
def test_milliseconds_are_cut_and_never_rounded_up(seconds, rest):
    text = rfc3339(seconds * 1_000_000_000 + rest)
    assert text.endswith(f".{rest // 1_000_000:03}Z")
    assert len(text) == len("2026-11-23T18:30:37.123Z")
