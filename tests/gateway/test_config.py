"""site.toml: what is refused, how it is said, and what the sample shows."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.errors import ConfigError
from evcore.gateway.config import Config, load, parse

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "site.toml"
STATION = '[[ocpp]]\nhost = "{host}"\n[[ocpp.stations]]\nid = "CP-1"\n'
METER = '[[modbus]]\nname = "{name}"\nurl = "{url}"\nprofile = "sdm630"\n'
LENIENT = '[[ocpp]]\n[ocpp.policy]\nmode = "lenient"\n'
SLOT = '[[modbus_server.evses]]\nstation = "CP-1"\nslot = 1\n'
GATEWAY = '[[modbus_gateway]]\nupstream = "tcp://a"\n[[modbus_gateway.writes]]\n'

WRONG = [
    # text, key, part of expected, part of got
    ("port = 1", "port", "one of site, store, ocpp", "unknown key"),
    ("[htp]", "htp", "perhaps http", "unknown key"),
    ("[http]\ndashbord = true", "http.dashbord", "perhaps dashboard", "unknown key"),
    ('file = "x"', "file", "known key", "unknown key"),
    ("[site]\nid = 3", "site.id", "text", "3"),
    ('[site]\nid = "a b"', "site.id", "matching", "'a b'"),
    ("http = 3", "http", "a table", "3"),
    ("[http]\nport = 70000", "http.port", "<= 65535", "70000"),
    ('[http]\nport = "8080"', "http.port", "an integer", "'8080'"),
    ("[http]\nport = true", "http.port", "an integer", "true"),
    ("[http]\nhost = true", "http.host", "text", "true"),
    ('[[modbus_server]]\nhost = "0.0.0.0"', "modbus_server[0].allow", "addresses", "none"),
    ('[[modbus_server]]\nallow = ["10.1.0.0/8"]', "modbus_server[0].allow[0]", "network", "host bits"),
    (
        "[[modbus_server]]\n" + SLOT + SLOT.replace("CP-1", "CP-2"),
        "modbus_server[0].evses[1].slot",
        "evses[0] does not have",
        "1",
    ),
    (
        "[[modbus_server]]\n" + SLOT + SLOT.replace("slot = 1", "slot = 2"),
        "modbus_server[0].evses[1]",
        "another than",
        "CP-1 1",
    ),
    (
        '[[modbus_server]]\nport = 9\n[[modbus_gateway]]\nport = 9\nupstream = "tcp://a"',
        "modbus_gateway[0].port",
        "",
        "9",
    ),
    ('[[modbus_gateway]]\nupstream = "udp://a"', "modbus_gateway[0].upstream", "tcp://", "udp://a"),
    (GATEWAY + "first = 5\nlast = 4", "modbus_gateway[0].writes[0].last", "5", "4"),
    (GATEWAY + "first = 5\nlast = 6\nfunctions = [3]", "modbus_gateway[0].writes[0].functions[0]", "5, 6", "3"),
    (
        METER.format(name="m", url="rtu:///dev/a") + '[[modbus_gateway]]\nupstream = "rtu:///dev/a?baudrate=19200"',
        "modbus_gateway[0].upstream",
        "same line",
        "19200",
    ),
    ('[http]\nhost = "0.0.0.0"', "http.api_keys", "at least one key", "none"),
    ('[http.tls]\ncertificate = "no.pem"\nkey = "no.key"', "http.tls.certificate", "a file", "there is none"),
    ("[[ocpp]]\n[[ocpp.stations]]\n", "ocpp[0].stations[0].id", "a value", "nothing"),
    (STATION.format(host="127.0.0.1") * 2, "ocpp[1].name", "ocpp[0].name does not have", "ocpp"),
    ('[[ocpp]]\nhost = "0.0.0.0"', "ocpp[0].stations", "may connect", "none"),
    (STATION.format(host="0.0.0.0"), "ocpp[0].stations[0].password", "allow_unauthenticated", "none"),
    ('[[ocpp]]\n[[ocpp.stations]]\nid = "a:b"', "ocpp[0].stations[0].id", "matching", "a:b"),
    ('[[ocpp]]\n[ocpp.policy]\nmode = "loose"', "ocpp[0].policy.mode", "one of lenient, off, strict", "'loose'"),
    (LENIENT + 'repairs = ["cuts"]', "ocpp[0].policy.repairs", "perhaps cut", "'cuts'"),
    (LENIENT + 'without = ["nothing_like_it"]', "ocpp[0].policy.without", "one of empty_value", "'nothing_like_it'"),
    (LENIENT + 'repairs = ["cut"]\nwithout = ["cut"]', "ocpp[0].policy.without", "nothing beside repairs", "cut"),
    ('[[ocpp]]\n[ocpp.policy]\nrepairs = ["cut"]', "ocpp[0].policy", 'mode = "lenient"', 'mode = "strict"'),
    (
        LENIENT + 'actions = { MeterValues = "loose" }',
        "ocpp[0].policy.actions.MeterValues",
        "strict, lenient",
        "'loose'",
    ),
    (LENIENT + 'actions = { MeterValues = ["x"] }', "ocpp[0].policy.actions.MeterValues", "one of empty_value", "'x'"),
    (LENIENT + 'out_actions = { "a b" = "off" }', "ocpp[0].policy.out_actions.a b", "an action", "'a b'"),
    ('[[ocpp]]\n[[ocpp.policies]]\nmode = "off"', "ocpp[0].policies[0]", "stations, vendor or model", "none of them"),
    ("[[ocpp]]\n[[ocpp.policies]]\nvendors = 1", "ocpp[0].policies[0].vendors", "perhaps vendor", "unknown key"),
    ("[[modbus]]\n", "modbus[0].name", "a value", "nothing"),
    (METER.format(name="m", url="http://h"), "modbus[0].url", "tcp://... or rtu://", "http://h"),
    (METER.format(name="m", url="tcp://h:x"), "modbus[0].url", "tcp://", "Port"),
    (METER.format(name="m", url="tcp://h") * 2, "modbus[1].name", "modbus[0].name does not have", "m"),
    (METER.format(name="a", url="tcp://h") + METER.format(name="b", url="tcp://h"), "modbus[1].unit", "modbus[0]", "1"),
    (
        METER.format(name="a", url="rtu:///dev/x") + METER.format(name="b", url="rtu:///dev/x?parity=E") + "unit = 2",
        "modbus[1].url",
        "the url of modbus[0]",
        "parity=E",
    ),
    (METER.format(name="m", url="tcp://h") + "period_s = 0", "modbus[0].period_s", "> 0", "0"),
    ('[[can]]\nname = "c"\nchannel = "v"', "can[0]", "one of database and observer", "neither"),
    ('[[can]]\nname = "c"\nchannel = "v"\nobserver = "x"', "can[0].observer", "gbt27930", "'x'"),
    ('[[can]]\nname = "c"\nchannel = "v"\ndatabase = "no.dbc"', "can[0].database", "a file", "no.dbc"),
    ('[[mqtt]]\nurl = "tcp://h"', "mqtt[0].url", "mqtt://... or mqtts://", "tcp://h"),
    ('[store]\npath = "no/where.db"', "store.path", "a folder that exists", "no/where.db"),
    ('[store]\npath = "."', "store.path", "a file", "a folder"),
    ("[mqtt]", "mqtt", "below [[mqtt]]", "a table"),
    ("[http]\nport = 9000\n[[ocpp]]", "http.port", "ocpp[0].port does not have", "9000"),
    ("[store]\npath = 3", "store.path", "a path", "3"),
    ('[tariff]\ncurrency = "eur"', "tariff.currency", "matching", "'eur'"),
    ('[tariff]\ncurrency = "EUR"\nper_kwh = -0.1', "tariff.per_kwh", "0 or more", "-0.1"),
    ('[tariff]\ncurrency = "EUR"\nper_kwh = nan', "tariff.per_kwh", "0 or more", "NaN"),
    ('[[tokens]]\nid = "a"\nexpires = 2027-01-01T00:00:00', "tokens[0].expires", "offset", "2027"),
    ('[[tokens]]\nid = "a"\nexpires = "soon"', "tokens[0].expires", "RFC3339", "'soon'"),
    ('[[tokens]]\nid = "a"\n[[tokens]]\nid = "a"', "tokens[1].id", "tokens[0].id does not have", "a"),
    (
        '[[payments]]\nname = "p"\nurl = "https://h"\napi_key = "abcdef"',
        "payments[0].webhook_secrets",
        "a value",
        "nothing",
    ),
    ("[limits]\ndrain_s = inf", "limits.drain_s", "<= 600", "inf"),
    ("[site\n", "line 1, column 6", "TOML", "Expected"),
    ("a = " + "[" * 20_000, "", "TOML", "without end"),
]


@pytest.mark.parametrize(("text", "key", "expected", "got"), WRONG)
def test_a_wrong_file_is_refused_with_its_key_what_was_expected_and_what_stood_there(
    text: str, key: str, expected: str, got: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, file="site.toml", base=tmp_path)
    error = caught.value
    assert (error.file, error.key) == ("site.toml", key)
    assert expected in error.expected
    assert got in error.got
    assert str(error).startswith("site.toml: ")


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "bytes.toml")


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_bytes(b'\xef\xbb\xbf[site]\r\nid = "a"\r\n')
    assert load(tmp_path / "site.toml").site.id == "a"


def test_an_empty_file_is_a_site_that_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "site.toml").touch()
    config = load(tmp_path / "site.toml")
    assert config.ocpp == ()
    assert config.http is None
    assert config.store.path == tmp_path / "evcore.db"


def test_the_sample_is_right_and_shows_every_key(tmp_path: Path) -> None:
    text = SAMPLE.read_text()
    config = load(SAMPLE)
    assert config.tariff is not None
    assert config.tariff.per_kwh == Decimal("0.45")
    shown = set(re.findall(r"^#? ?\[+([a-z_.]+)\]+|\b([a-z_]+) = ", text, re.M))
    words = {word for pair in shown for name in pair for word in name.split(".") if word}
    assert _keys(Config) - {"file"} <= words


def test_the_tables_that_the_sample_leaves_out_are_right_too(tmp_path: Path) -> None:
    """What somebody gets who removes the "# " before them."""
    text = SAMPLE.read_text()
    for first, last in (
        ("# [[ocpp.policies]]", "[[ocpp.stations]]"),
        ("# [[payments]]", "[limits]"),
        ("# [[mqtt.sources]]", "[http]"),
    ):
        start, end = text.index(first), text.index(last)
        text = text[:start] + re.sub("^# ", "", text[start:end], flags=re.M) + text[end:]
    environ = {"ACME_KEY": "secret-1", "ACME_WEBHOOK_SECRET": "secret-2"}
    config = parse(text, file="site.toml", base=tmp_path, environ=environ)
    assert config.payments[0].webhook_secrets[0].reveal() == "secret-2"
    assert config.mqtt[0].sources[0].pointer == "/total_act_power"
    assert config.ocpp[0].policies[0].vendor == "Schneider*"


def test_a_price_keeps_its_decimals_exactly(tmp_path: Path) -> None:
    config = parse('[tariff]\ncurrency = "EUR"\nper_kwh = 0.1\nper_hour = "0.07"', file="f", base=tmp_path)
    assert config.tariff is not None
    assert (config.tariff.per_kwh, config.tariff.per_hour) == (Decimal("0.1"), Decimal("0.07"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3),
        max_leaves=12,
    ),
    st.sampled_from(sorted(Config.__struct_fields__)),
)
def test_no_value_anywhere_raises_anything_but_a_config_error(value: object, table: str) -> None:
    from evcore.gateway.config_text import convert

    def custom(kind: type, raw: object) -> object:
        raise ValueError("Expected `path`, got something")

    for raw in (value, [value], {"name": value}, [{"name": "a", "url": value, "profile": value}]):
        message = ""
        try:
            convert({table: raw}, Config, "f", custom)
        except ConfigError as error:
            message = str(error)
        assert len(message) < 600


def _keys(kind: type) -> set[str]:
    """The names of all keys of all tables below `kind`."""
    found: set[str] = set()

    def visit(spec: msgspec.inspect.Type) -> None:
        match spec:
            case msgspec.inspect.StructType():
                for field in spec.fields:
                    found.add(field.encode_name)
                    visit(field.type)
            case msgspec.inspect.VarTupleType():
                visit(spec.item_type)
            case msgspec.inspect.UnionType():
                for part in spec.types:
                    visit(part)
            case _:
                pass

    visit(msgspec.inspect.type_info(kind))
    return found
