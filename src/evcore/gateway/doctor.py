"""`evcore doctor`: what this machine has, and what will go wrong on it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from evcore import __version__
from evcore.errors import ConfigError
from evcore.gateway.config import Config, MqttTable, ServerTls
from evcore.gateway.tls import client_context, server_certificates

BROKER_TIMEOUT_S = 5.0
PACKAGES = (
    "ocpp",
    "picows",
    "orjson",
    "python-can",
    "cantools",
    "pymodbus",
    "pyserial",
    "paho-mqtt",
    "aiohttp",
    "msgspec",
    "rich",
    "typer",
)
OPTIONAL = {"uvloop": "a faster event loop", "amqtt": "evcore demo needs it", "numpy": "CAN columns as arrays"}
_VERSIONS = {"auto": (5, 4), "5": (5,), "3.1.1": (4,)}  # protocol levels: MQTT 5.0, 3.1.2.2; MQTT 3.1.1, 3.1.2.2
_ARPHRD_CAN = 280  # linux/if_arp.h
_BORN = 1_792_000_000  # seconds since 1970, October 2026: no correct clock shows less


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. what: of which part. detail: what was seen. fail: evcore will not work like this."""

    level: Literal["ok", "warn", "fail"]
    what: str
    detail: str


def examine(config: Config | None = None) -> Iterable[Finding]:
    """Everything, one finding after the other; the last ones wait for brokers of `config`, 5 s each at most."""
    yield Finding("ok", "evcore", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield from _packages()
    yield _native()
    yield sqlite_finding(sqlite3.sqlite_version)
    yield from _ports(config)
    yield _serial()
    yield _can()
    yield clock_finding(time.time())
    if config is not None:
        yield from _devices(config)
        yield from _listeners(config)
        yield _disk(config.store.path.parent)
        for broker in config.mqtt:
            yield broker_finding(broker)


def _packages() -> Iterable[Finding]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("ok", "packages", ", ".join(found))
    if missing:
        yield Finding("fail", "packages", f"missing: {', '.join(missing)}: pip install evcore brings them")
    for name, use in OPTIONAL.items():
        try:
            yield Finding("ok", name, f"{importlib.metadata.version(name)} ({use})")
        except importlib.metadata.PackageNotFoundError:
            yield Finding("ok", name, f"not installed ({use})")


def _native() -> Finding:
    """The extensions load, and which variant of the C code this CPU gets."""
    loaded, wrong = [], []
    for name in ("modbus", "can", "ocpp"):
        try:
            module = importlib.import_module(f"evcore.core.{name}")
        except ImportError as error:
            wrong.append(f"{name}: {error}")
        else:
            variant = getattr(module, "cpu", None)
            loaded.append(f"{name} ({variant()})" if callable(variant) else name)
    forced = os.environ.get("EVCORE_CPU")
    note = f", EVCORE_CPU={forced}" if forced else ""
    if wrong:
        return Finding("fail", "native code", "; ".join(wrong))
    return Finding("ok", "native code", f"{', '.join(loaded)} on {platform.machine()}{note}")


def sqlite_finding(version: str) -> Finding:
    """SQLite 3.7.0 to 3.51.2 can lose commits when two connections write and checkpoint one WAL file at once; mended in
    3.51.3, 3.50.7 and 3.44.6 (sqlite.org/wal.html, "the WAL-reset bug"). evcore opens each file once only."""
    numbers = tuple(int(part) for part in version.split("."))
    mended = numbers >= (3, 51, 3) or (3, 50, 7) <= numbers < (3, 51) or (3, 44, 6) <= numbers < (3, 45)
    if mended or numbers < (3, 7):
        return Finding("ok", "SQLite", version)
    return Finding(
        "warn",
        "SQLite",
        f"{version} has the WAL-reset bug (fixed in 3.51.3). evcore opens its database once only and is safe; "
        "do not open it from another program while evcore runs, copy it instead",
    )


def _ports(config: Config | None) -> Iterable[Finding]:
    wanted = [("127.0.0.1", 9000, "ocpp"), ("127.0.0.1", 8080, "http")]
    if config is not None:
        wanted = [(part.host, part.port, part.name) for part in config.ocpp]
        wanted += [(part.host, part.port, part.name) for part in (config.http,) if part is not None]
    for host, port, name in wanted:
        if port == 0:
            continue
        problem = port_problem(host, port)
        if problem is None:
            yield Finding("ok", f"port {port}", f"free on {host} ({name})")
        else:
            level: Literal["warn", "fail"] = "warn" if config is None else "fail"
            yield Finding(level, f"port {port}", f"{problem} on {host} ({name})")


def port_problem(host: str, port: int) -> str | None:
    """Why nothing can listen there now; None where it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None


def _serial() -> Finding:
    try:
        from serial.tools.list_ports import comports  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return Finding("fail", "serial ports", "pyserial is missing")
    seen = [f"{port.device} ({port.description})" for port in comports()]
    return Finding("ok", "serial ports", ", ".join(seen) or "none seen")


def _can(classes: Path = Path("/sys/class/net")) -> Finding:
    seen = []
    for interface in sorted(classes.glob("*")) if classes.is_dir() else []:
        try:
            if int((interface / "type").read_text()) == _ARPHRD_CAN:
                seen.append(f"{interface.name} ({(interface / 'operstate').read_text().strip()})")
        except (OSError, ValueError):
            continue
    if not hasattr(socket, "AF_CAN"):
        return Finding("warn", "CAN interfaces", "this Python has no SocketCAN; USB adapters of python-can work")
    return Finding("ok", "CAN interfaces", ", ".join(seen) or "none seen")


def _devices(config: Config, classes: Path = Path("/sys/class/net")) -> Iterable[Finding]:
    """The serial ports and SocketCAN interfaces that the configuration names."""
    for meter in config.modbus:
        parts = urlsplit(meter.url)
        if parts.scheme != "rtu":
            continue
        if not os.path.exists(parts.path):
            yield Finding("fail", f"meter {meter.name}", f"{parts.path} is not there")
        elif not os.access(parts.path, os.R_OK | os.W_OK):
            yield Finding("fail", f"meter {meter.name}", f"{parts.path} may not be opened (group dialout?)")
        else:
            yield Finding("ok", f"meter {meter.name}", f"{parts.path} is there")
    for bus in config.can:
        if bus.interface == "socketcan":
            seen = (classes / bus.channel).exists()
            where = f"{bus.channel} is {'' if seen else 'not '}there"
            yield Finding("ok" if seen else "fail", f"bus {bus.name}", where)


def _listeners(config: Config) -> Iterable[Finding]:
    """What the ports for stations are protected by, and when their certificates end."""
    for n, listener in enumerate(config.ocpp):
        protection = "passwords" if any(station.password for station in listener.stations) else "no passwords"
        if listener.tls is not None:
            protection += ", TLS"
            if listener.tls.client_ca is not None:
                protection += ", certificates of stations"
        bare = protection == "no passwords"
        yield Finding("warn" if bare else "ok", f"stations at {listener.name}", protection)
        if listener.tls is not None:
            yield from _certificates(listener.tls, config.file, f"ocpp[{n}].tls", listener.name)
    if config.http is not None and config.http.tls is not None:
        yield from _certificates(config.http.tls, config.file, "http.tls", config.http.name)


def _certificates(tls: ServerTls, file: str, key: str, name: str) -> Iterable[Finding]:
    try:
        certificates = server_certificates(tls, file, key)
    except ConfigError as error:
        yield Finding("fail", f"certificates of {name}", str(error))
        return
    for path, end in certificates.expiries:
        yield expiry_finding(name, path, end, time.time())


def expiry_finding(name: str, path: str, end_s: int, now_s: float) -> Finding:
    """A certificate that ends at end_s, seconds since 1970."""
    days = int((end_s - now_s) // 86_400)
    level: Literal["ok", "warn", "fail"] = "fail" if days < 0 else "warn" if days <= 30 else "ok"
    text = f"{path} {'ended' if days < 0 else 'ends'} {time.strftime('%Y-%m-%d', time.gmtime(end_s))}"
    return Finding(level, f"certificates of {name}", text + (f", in {days} days" if days >= 0 else ""))


def clock_finding(now_s: float, run: Path = Path("/run/systemd/timesync/synchronized")) -> Finding:
    """Is the wall clock plausible? Session records and TLS depend on it; timers do not."""
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s))
    if now_s < _BORN:
        return Finding("fail", "clock", f"{shown} lies before this version was made: set the clock (NTP)")
    if run.exists():
        return Finding("ok", "clock", f"{shown}, synchronised")
    return Finding("ok", "clock", f"{shown}, plausible (whether NTP keeps it is not known here)")


def _disk(folder: Path) -> Finding:
    try:
        space = os.statvfs(folder)
    except OSError as error:
        return Finding("fail", "disk", f"{folder}: {error.strerror}")
    free_mb = space.f_bavail * space.f_frsize // 1_000_000
    if not os.access(folder, os.W_OK):
        return Finding("fail", "disk", f"{folder} is not writable")
    return Finding("ok" if free_mb >= 256 else "warn", "disk", f"{free_mb} MB free in {folder}")


def broker_finding(broker: MqttTable) -> Finding:
    """Log in at the broker as the gateway will, under another client id, and leave again."""
    what, said = f"broker {broker.name}", ""
    try:
        for version in _VERSIONS[broker.protocol]:
            said = _log_in(broker, version)
            if "protocol version" not in said.lower():
                break
    except (OSError, ValueError) as error:  # ValueError: a name that is no host, a key that is not the certificate's
        return Finding("fail", what, f"{broker.url}: {error}")
    return Finding("ok" if said == "Success" else "fail", what, f"{broker.url}: {said or 'no answer to CONNECT'}")


def _log_in(broker: MqttTable, version: int) -> str:
    """The broker's answer to CONNECT in its own words, "" for none in time."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    answers: list[str] = []

    def answered(client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        answers.append(str(reason))

    client = Client(
        CallbackAPIVersion.VERSION2, f"evcore-doctor-{secrets.token_hex(4)}", protocol=MQTTProtocolVersion(version)
    )
    client.on_connect = answered
    client.connect_timeout = BROKER_TIMEOUT_S
    url = urlsplit(broker.url)
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password.text() if broker.password else None)
    if url.scheme == "mqtts" or broker.tls is not None:
        client.tls_set_context(client_context(broker.tls))
    client.connect(url.hostname or "", url.port or (8883 if url.scheme == "mqtts" else 1883), keepalive=15)
    deadline = time.monotonic() + BROKER_TIMEOUT_S
    while not answers and time.monotonic() < deadline and not client.loop(0.2):
        pass
    client.disconnect()
    return answers[0] if answers else ""
