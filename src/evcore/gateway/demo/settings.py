"""What the demonstration is made of: ports, secrets of one run, and the configuration of its gateway."""

from __future__ import annotations

import base64
import errno
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from evcore.errors import ConfigError
from evcore.gateway.config import Config, parse
from evcore.gateway.demo.scenario import CARD, REST_TOKEN

SITE_ID, AC, DC, METER, CAR, PROVIDER = "demo", "AC-1", "DC-1", "grid", "car-1", "mock"
HTTP_PORT, OCPP_PORT, MQTT_PORT, MODBUS_PORT = 8080, 9000, 1883, 5020
TRIES = 200  # ports above the wanted one

_SITE = """
[site]
id = "{site}"
name = "Demonstration"
[store]
path = "demo.db"
[[ocpp]]
port = {ocpp_port}
heartbeat_s = 10
[[ocpp.stations]]
id = "{ac}"
password = "{ac_password}"
[[ocpp.stations]]
id = "{dc}"
password = "{dc_password}"
[[modbus]]
name = "{meter}"
url = "{meter_url}"
profile = "sdm630"
period_s = 0.5
[[can]]
name = "bay"
interface = "virtual"
channel = "{channel}"
observer = "gbt27930"
vehicle = "{car}"
station = "{dc}"
evse = 1
[[mqtt]]
url = "{mqtt_url}"
node = "demo"
{mqtt_login}
[http]
port = {http_port}
[tariff]
currency = "EUR"
per_kwh = 0.45
per_session = 0.50
[[tokens]]
id = "{card}"
note = "a driver's card"
[[tokens]]
id = "{rest_token}"
note = "orders over REST"
[[payments]]
name = "{provider}"
url = "{psp_url}"
api_key = "{psp_key}"
webhook_secrets = ["{psp_secret}"]
[limits]
drain_s = 5
"""


@dataclass(frozen=True, slots=True)
class Options:
    """seconds: None: until somebody stops it. mqtt_url: a broker that is there; None: one of its own. *_port: wanted,
    the next free one is taken."""

    seconds: float | None = None
    mqtt_url: str | None = None
    http_port: int = HTTP_PORT
    ocpp_port: int = OCPP_PORT
    mqtt_port: int = MQTT_PORT
    modbus_port: int = MODBUS_PORT


def _secret() -> str:
    return secrets.token_hex(10)


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one run."""

    ac_password: str = field(default_factory=_secret)
    dc_password: str = field(default_factory=_secret)
    psp_key: str = field(default_factory=_secret)
    psp_secret: str = field(default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    channel: str = field(default_factory=lambda: f"evcore-demo-{secrets.token_hex(4)}")


def free_port(wanted: int, host: str = "127.0.0.1", taken: Collection[int] = ()) -> int:
    """`wanted`, or the next port above it that is free and not in `taken`. Raises ConfigError."""
    for port in range(wanted, min(wanted + TRIES, 65_536)):
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen(1)
            except OSError:
                continue
            return port
    raise ConfigError("evcore demo", "port", f"a free port from {wanted} on", "none")


def reserve(port: int) -> socket.socket | None:
    """Hold `port` against other demonstrations that start in this moment, as long as the result lives; None: one of
    them has it. The name is Linux's abstract one, which goes with the process; other systems have none to hold."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0evcore-demo-{port}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            name.close()
            return None
    return name


def configuration(
    folder: Path, keys: Keys, *, http_port: int, ocpp_port: int, meter_url: str, mqtt_url: str, psp_url: str
) -> Config:
    """The gateway's configuration, as a file would give it. Raises ConfigError."""
    broker, login = split_login(mqtt_url)
    text = _SITE.format(
        site=SITE_ID,
        ac=AC,
        dc=DC,
        meter=METER,
        car=CAR,
        card=CARD,
        rest_token=REST_TOKEN,
        provider=PROVIDER,
        ac_password=keys.ac_password,
        dc_password=keys.dc_password,
        psp_key=keys.psp_key,
        psp_secret=keys.psp_secret,
        channel=keys.channel,
        http_port=http_port,
        ocpp_port=ocpp_port,
        meter_url=meter_url,
        mqtt_url=broker,
        mqtt_login="\n".join(f"{name} = '''{value}'''" for name, value in login.items()),
        psp_url=psp_url,
    )
    return parse(text, file="evcore demo", base=folder)


def split_login(url: str) -> tuple[str, dict[str, str]]:
    """The URL without user and password, and these."""
    try:
        parts = urlsplit(url)
        login = {"username": parts.username, "password": parts.password}
    except ValueError as error:
        raise ConfigError("evcore demo", "--mqtt", "mqtt://[user:password@]host[:port]", str(error)) from None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, {name: unquote(value) for name, value in login.items() if value}
