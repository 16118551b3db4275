"""Secrets of a configuration are used, never shown."""

from __future__ import annotations

import base64
import io
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.errors import ConfigError
from evcore.gateway.config import load, parse
from evcore.gateway.logs import LineFormatter, Masker, set_up
from evcore.gateway.secret import Secret

SEEDED = ["pw-of-station-1", "mqtt'pw\"%", "key-of-rest-1", "psp-key-77", "hook-secret-9", "tls-key-password"]
SITE = """
[[ocpp]]
[[ocpp.stations]]
id = "CP-1"
password = "pw-of-station-1"
[[ocpp.stations]]
id = "CP-2"
password = {{ file = "cp2", encoding = "hex" }}
[[mqtt]]
url = "mqtt://127.0.0.1"
username = "user"
password = {{ env = "MQTT" }}
tls = {{ key_password = "tls-key-password" }}
[http]
api_keys = [{{ file = "rest" }}]
[[payments]]
name = "p"
url = "https://h"
api_key = "psp-key-77"
webhook_secrets = ["hook-secret-9"]
{more}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "rest").write_text("key-of-rest-1\n")
    (tmp_path / "cp2").write_text("00112233445566778899aabbccddeeff00112233\n")
    (tmp_path / "site.toml").write_text(SITE.format(more=""))
    return tmp_path / "site.toml"


@pytest.fixture
def quiet_root() -> Iterator[None]:
    """What set_up changes, put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_secret_comes_from_the_file_the_environment_or_another_file(site: Path) -> None:
    config = load(site, environ={"MQTT": SEEDED[1]})
    first, second = config.ocpp[0].stations
    assert first.password is not None
    assert second.password is not None
    assert first.password.reveal() == "pw-of-station-1"
    assert second.password.reveal() == bytes.fromhex("00112233445566778899aabbccddeeff00112233")
    assert config.mqtt[0].password == Secret(SEEDED[1])
    assert config.http is not None
    assert [key.text() for key in config.http.api_keys] == ["key-of-rest-1"]
    assert set(SEEDED) < set(config.secrets())


def test_no_repr_format_error_or_pickle_shows_a_secret(site: Path) -> None:
    config = load(site, environ={"MQTT": SEEDED[1]})
    shown = f"{config} {config!r} {config.ocpp} {config.http!r} {Secret('hidden-text')} {Secret('hidden-text')!r:>30}"
    assert not [secret for secret in [*SEEDED, "hidden-text", "00112233"] if secret in shown]
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(Secret("hidden-text"))


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('[[mqtt]]\nname = "b"\nurl = "mqtt://user:hidden-pw@host"', "mqtt[1].url"),
        ('[[mqtt]]\nname = "b"\nurl = "tcp://user:hidden-pw@host"', "mqtt[1].url"),
        ('[[mqtt]]\nname = "b"\npasword = "hidden-pw"', "mqtt[1].pasword"),
        ('[[mqtt]]\nname = "b"\npassword = ["hidden-pw"]', "mqtt[1].password"),
        ('[[mqtt]]\nname = "b"\npassword = { text = "hidden-pw" }', "mqtt[1].password.text"),
        ('[[mqtt]]\nname = "b"\npassword = { env = "M", encoding = "hex" }', "mqtt[1].password.env"),
        ('[[mqtt]]\nname = "b"\npassword = { env = "M", file = "rest" }', "mqtt[1].password"),
        ('[[mqtt]]\nname = "b"\npassword = { env = "hidden" }', "mqtt[1].password.env"),
        ('[[mqtt]]\nname = "b"\npassword = { file = "none" }', "mqtt[1].password.file"),
        ('[[mqtt]]\nname = "b"\npassword = "abc"', "mqtt[1].password"),
        (
            '[[payments]]\nname = "q"\nurl = "https://h"\napi_key = "a-key"\nwebhook_secrets = "hidden-pw"',
            "payments[1].webhook_secrets",
        ),
        (
            '[[payments]]\nname = "q"\nurl = "https://h"\napi_key = "a-key"\nwebhook_secrets = [11223344]',
            "payments[1].webhook_secrets[0]",
        ),
        (
            '[[payments]]\nname = "q"\nurl = "https://u:hidden-pw@h"\napi_key = "a-key"\nwebhook_secrets = ["aaaa"]',
            "payments[1].url",
        ),
    ],
)
def test_a_wrong_secret_is_refused_by_its_key_and_not_shown(more: str, key: str, site: Path) -> None:
    environ = {"MQTT": SEEDED[1], "M": "hidden-pw-no-hex"}
    with pytest.raises(ConfigError) as caught:
        parse(SITE.format(more=more), file="site.toml", base=site.parent, environ=environ)
    assert caught.value.key == key
    assert not [secret for secret in [*SEEDED, "hidden-pw", "11223344", "'abc'"] if secret in str(caught.value)]


def test_log_lines_are_one_line_each_and_hold_no_secret(site: Path, quiet_root: None) -> None:
    config = load(site, environ={"MQTT": SEEDED[1]})
    stream = io.StringIO()
    set_up("debug", config.secrets(), stream)
    log = logging.getLogger("evcore.test")
    for secret in config.secrets():
        log.warning("plain %s, repr %r", secret, secret)
        log.info("header %s", base64.b64encode(secret if isinstance(secret, bytes) else secret.encode()).decode())
    log.info("hex %s", "00112233445566778899AABBCCDDEEFF00112233")
    try:
        raise ValueError("two\nlines with pw-of-station-1")
    except ValueError:
        log.exception("it failed\nlevel=error msg=forged")
    text = stream.getvalue()
    assert text.count("\n") == 2 * len(config.secrets()) + 2
    assert all(line[:2] == "20" and " level=" in line for line in text.splitlines())
    assert not [secret for secret in [*SEEDED, repr(SEEDED[1])[1:-1], "00112233"] if secret in text]
    assert "Traceback" in text


@pytest.mark.parametrize(
    "text",
    [
        "GET ftp://user:hidden-1@host/firmware",
        "Authorization: Basic aGlkZGVuLTE=hidden-1",
        "{'Authorization': 'Bearer hidden-1'}",
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"hidden-1"}]',
        "BasicAuthPassword=hidden-1",
    ],
)
def test_what_looks_like_a_secret_is_masked_although_nobody_said_so(text: str) -> None:
    assert "hidden-1" not in Masker()(text)
    assert "***" in Masker()(text)


@given(st.text(min_size=4, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_whatever_the_secret_is_a_line_that_holds_it_does_not_show_it(secret: str, before: str, after: str) -> None:
    masked = Masker([secret])(before + secret + after)
    assert secret not in masked or secret in before + "***" + after or secret in "***"


def test_a_line_of_a_peer_is_bounded() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "y" * 1_000_000, None, None)
    assert len(LineFormatter(Masker()).format(record)) < 20_000
