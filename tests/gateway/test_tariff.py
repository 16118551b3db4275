import pytest

from evcore.gateway.tariff import Tariff
from evcore.model import Session

HOUR = 3600 * 10**9


def session(wh, hours=1, ended=True):
    return Session("s", "CP1", 1, "7", "ended" if ended else "active", 0, energy_wh=wh, ended_ns=hours * HOUR or None)


@pytest.mark.parametrize(
    ("wh", "cents"),
    [(0.0, 0), (1000.0, 45), (11.0, 0), (11.2, 1), (33.333, 1), (33.334, 2), (12345.678, 556), (100000.0, 4500)],
)
def test_a_price_is_rounded_once_half_up_to_a_whole_minor_unit(wh, cents):
    assert Tariff("EUR", per_kwh="45")(session(wh)) == (cents, "EUR")


def test_the_parts_are_added_before_they_are_rounded():
    assert Tariff("EUR", per_kwh="0.4", per_session="0.3", per_hour="0.3")(session(500.0)) == (1, "EUR")


def test_an_active_session_costs_no_time_yet_and_a_clock_set_back_costs_nothing():
    tariff = Tariff("EUR", per_kwh="40", per_hour="100")
    assert tariff(session(1000.0, hours=0, ended=False)) == (40, "EUR")
    assert tariff(session(1000.0, hours=-3)) == (40, "EUR")


@pytest.mark.parametrize("price", ["-1", "NaN", "a lot", "Infinity"])
def test_a_price_that_is_no_amount_is_refused(price):
    with pytest.raises(ValueError, match="per_kwh"):
        Tariff("EUR", per_kwh=price)


def test_a_currency_that_is_none_is_refused():
    with pytest.raises(ValueError, match="ISO 4217"):
        Tariff("euro")
