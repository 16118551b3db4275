"""What no single key of a configuration can show: names used twice, missing files, listeners open to everyone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evcore.gateway.policies import policy_problems
from evcore.hosts import is_loopback

if TYPE_CHECKING:
    from evcore.gateway.config import Config, ListenerTable, ModbusServerTable, OcppTable, ServerTls

Problem = tuple[str, str, str]  # key, expected, got


def problems(config: Config) -> Iterable[Problem]:
    """Everything wrong between the keys of `config`."""
    yield from _twice(config)
    yield from _port_problems(config)
    for n, listener in enumerate(config.ocpp):
        yield from _ocpp_problems(f"ocpp[{n}]", listener)
    for n, meter in enumerate(config.modbus):
        yield from _url_problems(f"modbus[{n}].url", meter.url, ("tcp", "rtu", "rtu+tcp"))
    for n, server in enumerate(config.modbus_server):
        yield from _listener_problems(f"modbus_server[{n}]", server)
        yield from _slot_problems(f"modbus_server[{n}]", server)
    for n, gateway in enumerate(config.modbus_gateway):
        key = f"modbus_gateway[{n}]"
        yield from _url_problems(f"{key}.upstream", gateway.upstream, ("tcp", "rtu", "rtu+tcp"))
        yield from _listener_problems(key, gateway)
        for m, rule in enumerate(gateway.writes):
            if rule.last < rule.first:
                yield f"{key}.writes[{m}].last", f"first ({rule.first}) or more", str(rule.last)
            if gateway.units is not None and rule.unit not in gateway.units:
                yield f"{key}.writes[{m}].unit", f"one of units: {list(gateway.units)}", str(rule.unit)
    yield from _line_problems(config)
    for n, bus in enumerate(config.can):
        if (bus.database is None) == (bus.observer is None):
            got = "neither" if bus.database is None else "both"
            yield f"can[{n}]", "one of database and observer", got
        yield from _missing(f"can[{n}].database", bus.database)
    for n, broker in enumerate(config.mqtt):
        yield from _url_problems(f"mqtt[{n}].url", broker.url, ("mqtt", "mqtts"))
        if broker.tls is not None:
            yield from _missing(f"mqtt[{n}].tls.ca", broker.tls.ca)
            yield from _missing(f"mqtt[{n}].tls.certificate", broker.tls.certificate)
            yield from _missing(f"mqtt[{n}].tls.key", broker.tls.key)
    if config.http is not None:
        if not config.http.api_keys and not is_loopback(config.http.host):
            yield "http.api_keys", f"at least one key where others can connect ({config.http.host})", "none"
        yield from _server_tls_problems("http.tls", config.http.tls)
    for n, provider in enumerate(config.payments):
        yield from _url_problems(f"payments[{n}].url", provider.url, ("https", "http"))
    if not config.store.path.parent.is_dir():
        yield "store.path", "a file in a folder that exists", str(config.store.path)
    elif config.store.path.is_dir():
        yield "store.path", "a file", f"{config.store.path} (a folder)"
    yield from _tariff_problems(config)
    for n, token in enumerate(config.tokens):
        if token.expires is not None and token.expires.tzinfo is None:
            yield f"tokens[{n}].expires", "a time with its offset, like 2027-01-01T00:00:00Z", str(token.expires)


def _twice(config: Config) -> Iterable[Problem]:
    """Names that must be unique: of parts, of devices, of tokens."""
    parts = [(f"ocpp[{n}].name", part.name) for n, part in enumerate(config.ocpp)]
    parts += [(f"modbus[{n}].name", part.name) for n, part in enumerate(config.modbus)]
    parts += [(f"modbus_server[{n}].name", part.name) for n, part in enumerate(config.modbus_server)]
    parts += [(f"modbus_gateway[{n}].name", part.name) for n, part in enumerate(config.modbus_gateway)]
    parts += [(f"can[{n}].name", part.name) for n, part in enumerate(config.can)]
    parts += [(f"mqtt[{n}].name", part.name) for n, part in enumerate(config.mqtt)]
    if config.http is not None:
        parts.append(("http.name", config.http.name))
    stations = [
        (f"ocpp[{n}].stations[{m}].id", station.id)
        for n, listener in enumerate(config.ocpp)
        for m, station in enumerate(listener.stations)
    ]
    devices = [(f"modbus[{n}].name", part.name) for n, part in enumerate(config.modbus)]
    tokens = [(f"tokens[{n}].id", token.id) for n, token in enumerate(config.tokens)]
    payments = [(f"payments[{n}].name", provider.name) for n, provider in enumerate(config.payments)]
    for group in (parts, stations + devices, tokens, payments):
        first: dict[str, str] = {}
        for key, name in group:
            if name in first:
                yield key, f"a name that {first[name]} does not have", name
            first[name] = key


def _port_problems(config: Config) -> Iterable[Problem]:
    """Two listeners on one port of one address."""
    listeners = [(f"ocpp[{n}].port", part.host, part.port) for n, part in enumerate(config.ocpp)]
    listeners += [(f"modbus_server[{n}].port", part.host, part.port) for n, part in enumerate(config.modbus_server)]
    listeners += [(f"modbus_gateway[{n}].port", part.host, part.port) for n, part in enumerate(config.modbus_gateway)]
    if config.http is not None:
        listeners.append(("http.port", config.http.host, config.http.port))
    first: dict[tuple[str, int], str] = {}
    for key, host, port in listeners:
        other = first.setdefault((host, port), key)
        if port and other != key:
            yield key, f"a port that {other} does not have", str(port)


def _listener_problems(key: str, table: ListenerTable) -> Iterable[Problem]:
    """Modbus knows no password: who may connect is said by address or by certificate."""
    yield from _server_tls_problems(f"{key}.tls", table.tls)
    certified = table.tls is not None and table.tls.client_ca is not None
    if not table.allow and not certified and not is_loopback(table.host):
        yield f"{key}.allow", f"the addresses that may connect to {table.host}, or tls with a client_ca", "none"
    for m, text in enumerate(table.allow):
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            yield f"{key}.allow[{m}]", "an address or network such as 10.1.0.0/16", str(error)


def _slot_problems(key: str, table: ModbusServerTable) -> Iterable[Problem]:
    """Two in one slot, or one in two."""
    groups = [
        [(f"{key}.evses[{m}]", one.slot, f"{one.station} {one.evse}") for m, one in enumerate(table.evses)],
        [(f"{key}.meters[{m}]", one.slot, one.meter) for m, one in enumerate(table.meters)],
    ]
    for group in groups:
        slots: dict[int, str] = {}
        shown: dict[str, str] = {}
        for place, slot, who in group:
            if (other := slots.setdefault(slot, place)) != place:
                yield f"{place}.slot", f"a slot that {other} does not have", str(slot)
            if (other := shown.setdefault(who, place)) != place:
                yield place, f"another than {other}", who


def _ocpp_problems(key: str, listener: OcppTable) -> Iterable[Problem]:
    yield from _server_tls_problems(f"{key}.tls", listener.tls)
    yield from policy_problems(f"{key}.policy", listener.policy)
    for m, policy in enumerate(listener.policies):
        yield from policy_problems(f"{key}.policies[{m}]", policy)
    yield from _profile_problems(key, listener)
    spoken = {f"ocpp{version}" for version in listener.versions}
    if listener.default_subprotocol and listener.default_subprotocol not in spoken:
        yield f"{key}.default_subprotocol", f"one of {', '.join(sorted(spoken))}", listener.default_subprotocol
    certified = listener.tls is not None and listener.tls.client_ca is not None
    if certified or listener.allow_unauthenticated or is_loopback(listener.host):
        return
    if not listener.stations and listener.unknown in (None, "refuse"):
        yield f"{key}.stations", f"the stations that may connect to {listener.host}", "none"
    for m, station in enumerate(listener.stations):
        if station.password is None:
            yield f"{key}.stations[{m}].password", "a password, or allow_unauthenticated = true", "none"


def _profile_problems(key: str, listener: OcppTable) -> Iterable[Problem]:
    """Does the table amount to the security profile that it names? 0: nothing, 1: passwords, 2: passwords over TLS, 3:
    certificates of the stations (1.6 security white paper, 2; 2.0.1 Part 2, A00)."""
    profile, tls = listener.profile, listener.tls
    if profile is None:
        return
    if profile >= 2 and tls is None:
        yield f"{key}.tls", f"certificate and key, for profile {profile}", "none"
    if profile < 2 and tls is not None:
        yield f"{key}.profile", "2 or 3, since there is tls", str(profile)
    if profile == 3 and tls is not None and tls.client_ca is None:
        yield f"{key}.tls.client_ca", "who signs the stations' certificates, for profile 3", "none"
    if profile == 0 and any(station.password for station in listener.stations):
        yield f"{key}.profile", "1 or more, since stations have passwords", "0"
    if profile > 0 and listener.allow_unauthenticated:
        yield f"{key}.allow_unauthenticated", f"false, for profile {profile}", "true"
    if profile in (1, 2) and (tls is None or tls.client_ca is None):
        for m, station in enumerate(listener.stations):
            if station.password is None:
                yield f"{key}.stations[{m}].password", f"a password, for profile {profile}", "none"


def _server_tls_problems(key: str, tls: ServerTls | None) -> Iterable[Problem]:
    if tls is not None:
        if len(tls.certificate) != len(tls.key):
            yield f"{key}.key", f"a key for each certificate ({len(tls.certificate)})", str(len(tls.key))
        for path in (*tls.certificate, *tls.key):
            name = "certificate" if path in tls.certificate else "key"
            yield from _missing(f"{key}.{name}", path)
        yield from _missing(f"{key}.client_ca", tls.client_ca)


def _missing(key: str, path: Path | None) -> Iterable[Problem]:
    if path is not None and not path.is_file():
        yield key, "a file", f"{path} (there is none)"


def _url_problems(key: str, url: str, schemes: tuple[str, ...]) -> Iterable[Problem]:
    expected = " or ".join(f"{scheme}://..." for scheme in schemes)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - the property raises where the port is no port
    except ValueError as error:
        yield key, expected, str(error)
        return
    if parts.scheme not in schemes or not (parts.hostname or parts.path.strip("/")):
        yield key, expected, url.split("@")[-1]
    elif "@" in parts.netloc:
        yield key, "no user or password in the URL: they have keys of their own", "user:***@" + url.split("@")[-1]


def _line_problems(config: Config) -> Iterable[Problem]:
    """Meters on one line: one spelling of it, and an address each."""
    lines: dict[str, tuple[str, str]] = {}
    units: dict[tuple[str, int], str] = {}
    for n, meter in enumerate(config.modbus):
        key = f"modbus[{n}]"
        line = meter.url.partition("?")[0]
        first, url = lines.setdefault(line, (key, meter.url))
        if url != meter.url:
            yield f"{key}.url", f"the url of {first}, since it is the same line: {url}", meter.url
        other = units.setdefault((line, meter.unit), key)
        if other != key:
            yield f"{key}.unit", f"an address that {other} on the same line does not have", str(meter.unit)
    for n, gateway in enumerate(config.modbus_gateway):
        key = f"modbus_gateway[{n}].upstream"
        first, url = lines.setdefault(gateway.upstream.partition("?")[0], (key, gateway.upstream))
        if url != gateway.upstream:
            yield key, f"the url of {first}, since it is the same line: {url}", gateway.upstream


def _tariff_problems(config: Config) -> Iterable[Problem]:
    if config.tariff is None:
        return
    for name in ("per_kwh", "per_hour", "per_session"):
        price: Decimal = getattr(config.tariff, name)
        if not price.is_finite() or price < 0:
            yield f"tariff.{name}", "a price of 0 or more", str(price)
