"""Security profiles of a station and the move to a better one (A05)."""

from __future__ import annotations

import ssl

import pytest

from evcore.errors import ConfigError
from evcore.ocpp.connection_profile import ConnectionProfile, ProfileSwitch, Step

SECRET = "a-password-of-16+"
CERTIFICATE = ("chain.pem", "key.pem")


def profile(level: int) -> ConnectionProfile:
    return {
        0: lambda: ConnectionProfile("ws://csms"),
        1: lambda: ConnectionProfile("ws://csms", 1, SECRET),
        2: lambda: ConnectionProfile("wss://csms", 2, SECRET),
        3: lambda: ConnectionProfile("wss://csms", 3, certificate=CERTIFICATE),
    }[level]()


def test_the_profile_follows_from_what_is_given_but_never_a_password_in_clear() -> None:
    assert ConnectionProfile("ws://csms").level == 0
    assert ConnectionProfile("wss://csms").level == 0
    assert ConnectionProfile("wss://csms", password=SECRET).level == 2
    assert ConnectionProfile("wss://csms", certificate=CERTIFICATE).level == 3
    with pytest.raises(ConfigError, match="said explicitly"):
        ConnectionProfile("ws://csms", password=SECRET)
    assert ConnectionProfile("ws://csms", 1, SECRET).level == 1


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://csms", {}),
        ("csms:9000", {}),
        ("ws://user:pass@csms", {}),
        ("ws://csms", {"security": 2, "password": SECRET}),
        ("ws://csms", {"security": 3, "certificate": CERTIFICATE}),
        ("wss://csms", {"security": 1, "password": SECRET}),
        ("wss://csms", {"security": 0, "password": SECRET}),
        ("ws://csms", {"security": 1}),
        ("wss://csms", {"security": 2}),
        ("wss://csms", {"security": 3, "password": SECRET}),
        ("wss://csms", {"security": 4}),
    ],
)
def test_what_a_profile_lacks_is_a_config_error_that_shows_no_secret(url: str, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as error:
        ConnectionProfile(url, **options)  # type: ignore[arg-type]
    assert SECRET not in str(error.value)
    assert "pass@" not in str(error.value)


def test_a_context_that_verifies_nothing_is_refused() -> None:
    context = ssl.create_default_context()
    ConnectionProfile("wss://csms", 2, SECRET, ssl=context)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ConfigError, match="verifies"):
        ConnectionProfile("wss://csms", 2, SECRET, ssl=context)


def test_it_does_not_show_its_password() -> None:
    assert SECRET not in repr(profile(2))


# old, new, rule of 1.6 that rejects it, rule of 2.x, rule of 2.x where a downgrade is allowed
TABLE = [
    *((old, new, "", "", "") for old in range(4) for new in range(old + 1, 4)),
    *((level, level, "A05.FR.01", "", "") for level in range(4)),
    (1, 0, "A05.FR.01", "A05.FR.09", "A05.FR.09"),
    (2, 0, "A05.FR.01", "A05.FR.09", "A05.FR.09"),
    (2, 1, "A05.FR.01", "A05.FR.09", "A05.FR.09"),
    (3, 1, "A05.FR.01", "A05.FR.09", "A05.FR.09"),
    (3, 2, "A05.FR.01", "A05.FR.10", ""),
]


@pytest.mark.parametrize(("old", "new", "in_16", "in_2", "allowed"), TABLE)
def test_a05_which_profile_may_follow_which(old: int, new: int, in_16: str, in_2: str, allowed: str) -> None:
    for version, downgrade, rule in [("1.6", False, in_16), ("2.0.1", False, in_2), ("2.1", True, allowed)]:
        switch = ProfileSwitch(profile(old))
        assert switch.propose(profile(new), version, downgrade=downgrade).partition(":")[0] == rule
        assert switch.profile.level == (old if rule else new)


def test_a05_fr_08_a_profile_that_does_not_connect_gives_way_to_the_old_one() -> None:
    switch = ProfileSwitch(profile(1), attempts=3)
    switch.propose(profile(2), "1.6")
    assert [switch.failed() for _ in range(4)] == [Step.TRY_AGAIN, Step.TRY_AGAIN, Step.FELL_BACK, Step.SAME]
    assert switch.profile == profile(1)
    assert switch.connected() is Step.SAME


def test_a05_fr_06_a_profile_that_connected_stays_and_the_old_one_is_no_way_back() -> None:
    switch = ProfileSwitch(profile(1), attempts=2)
    switch.propose(profile(2), "2.0.1")
    assert [switch.failed(), switch.connected()] == [Step.TRY_AGAIN, Step.CONFIRMED]
    assert [switch.failed() for _ in range(5)] == [Step.SAME] * 5
    assert switch.profile == profile(2)
    assert switch.propose(profile(1), "2.0.1")


def test_a01_a_new_password_is_tried_and_the_old_one_kept_until_it_worked() -> None:
    switch = ProfileSwitch(profile(2), attempts=1)
    switch.propose_password(b"\x00\xff" * 10)
    assert switch.profile.password == b"\x00\xff" * 10
    assert switch.failed() is Step.FELL_BACK
    assert switch.profile.password == SECRET
    switch.propose_password("another-password-16+")
    assert switch.connected() is Step.CONFIRMED
    assert switch.current.password == "another-password-16+"
    with pytest.raises(ConfigError):
        ProfileSwitch(profile(0)).propose_password(SECRET)
