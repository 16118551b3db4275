from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.gateway.account import energy_wh, fold, register_wh
from evcore.model import Sample, Session, SessionRecord

NEW = Session(id="s", station="CP1", evse=0, transaction_id="7", state="active", started_ns=0)


def record(kind, time_ns, **more):
    return SessionRecord(station="CP1", kind=kind, time_ns=time_ns, payload=b"", transaction_id="7", **more)


def register(time_ns, value, **more):
    return Sample("CP1", "Energy.Active.Import.Register", value, "Wh", time_ns, evse=1, **more)


def account(*records):
    session, basis = NEW, {}
    for one in records:
        session, basis = fold(session, basis, one)
    return session, energy_wh(basis)


def test_a_plain_session_is_last_register_minus_first():
    session, energy = account(
        record("start", 10, evse=1, connector=1, token="A", meter="1000.1"),
        record("update", 20, evse=1, meter="1500"),
        record("end", 30, meter="2000.3", reason="Local"),
    )
    assert session == Session(
        id="s",
        station="CP1",
        evse=1,
        transaction_id="7",
        state="ended",
        started_ns=10,
        connector=1,
        token="A",
        ended_ns=30,
        meter_start="1000.1",
        meter_stop="2000.3",
        energy_wh=1000.2,
        reason="Local",
    )
    assert energy == Decimal("1000.2")


def test_the_token_that_ends_a_session_is_not_whose_it_is():
    session, _ = account(record("end", 30, token="GUARD"), record("start", 10, token="OWNER"))
    assert session.token == "OWNER"
    session, _ = account(record("start", 10), record("update", 11, token="LATER"), record("end", 30, token="GUARD"))
    assert session.token == "LATER"


def test_an_active_session_has_energy_but_no_stop():
    session, _ = account(record("start", 10, meter="5"), record("update", 20, meter="7.5"))
    assert (session.meter_start, session.meter_stop, session.energy_wh) == ("5", None, 2.5)


def test_an_end_alone_with_its_transaction_data_tells_the_whole_energy():
    begin, end = register(10, 100.0, context="Transaction.Begin"), register(30, 350.0, context="Transaction.End")
    session, energy = account(record("end", 30, samples=(end, begin)))
    assert (session.started_ns, session.meter_start, session.meter_stop, energy) == (30, "100.0", "350.0", 250)


def test_the_meter_of_start_and_end_beats_every_sample():
    session, energy = account(
        record("start", 10, meter="100", samples=(register(5, 90.0),)),
        record("end", 30, meter="200"),
        record("update", 40, samples=(register(40, 220.0), register(41, 230.0, context="Transaction.End"))),
    )
    assert (session.meter_start, session.meter_stop, energy) == ("100", "200", 100)


def test_a_register_that_runs_back_gives_no_negative_energy():
    session, energy = account(record("start", 10, meter="5000"), record("end", 20, meter="0"))
    assert (session.meter_start, session.meter_stop, session.energy_wh, energy) == ("5000", "0", 0.0, 0)


@pytest.mark.parametrize("meter", ["", "NaN", "Infinity", "1e400", "1e-400", "9" * 40, "abc"])
def test_a_meter_that_is_no_number_is_no_register(meter):
    session, energy = account(record("start", 10, meter=meter), record("end", 20, meter="10"))
    assert (session.state, session.meter_start, energy) == ("ended", "10", 0)


def test_phases_and_the_inlet_are_not_the_total():
    samples = (register(20, 1.0, phase="L1"), register(20, 2.0, location="Inlet"))
    assert account(record("start", 10, meter="5"), record("update", 20, samples=samples))[1] == 0


@pytest.mark.parametrize(
    ("digits", "value", "wh"),
    [
        ("12345.6", 12345.6, "12345.6"),
        ("12.3456789", 12345.6789, "12345.6789"),  # kWh, exactly
        ("0.1234567890123456", 123.4567890123456, "123.4567890123456"),
        (None, 12345.6, "12345.6"),
        ("no number", 12345.6, "12345.6"),
        ("0", 0.0, "0"),
    ],
)
def test_the_exact_energy_comes_from_the_digits(digits, value, wh):
    assert register_wh(register(0, value, digits=digits)) == Decimal(wh)


def test_a_register_that_is_no_number_has_no_energy():
    assert register_wh(register(0, float("nan"), digits="1")) is None


digits = st.decimals(0, 10**6, places=2).map(str)
times = st.integers(0, 20)
context = st.sampled_from(["Sample.Periodic", "Transaction.Begin", "Transaction.End"])
samples = st.builds(
    lambda time_ns, value, context, quality: register(time_ns, value, context=context, quality=quality),
    times,
    st.integers(0, 10**6).map(float),
    context,
    st.sampled_from(["good", "suspect"]),
)
records = st.builds(
    lambda kind, time_ns, evse, token, meter, reason, samples: record(
        kind, time_ns, evse=evse, connector=evse, token=token, meter=meter, reason=reason, samples=tuple(samples)
    ),
    st.sampled_from(["start", "update", "end"]),
    times,
    st.integers(0, 2),
    st.sampled_from([None, "A", "B"]),
    st.none() | digits,
    st.sampled_from([None, "Local", "PowerLoss"]),
    st.lists(samples, max_size=2),
)


@given(st.lists(records, min_size=1, max_size=6), st.data())
def test_the_order_of_the_records_and_repeats_make_no_difference(some, data):
    session, energy = account(*some)
    shuffled = data.draw(st.permutations(some + data.draw(st.lists(st.sampled_from(some), max_size=3))))
    again, same_energy = account(*shuffled)
    assert (again, same_energy) == (session, energy)
