"""A site's configuration: what may stand in `site.toml`, and what it means. examples/site.toml shows every key.

`load(path)` reads the file; anything wrong is one ConfigError with the file, the key, what was expected and what stood
there. Paths are relative to the file's own folder. Secrets: secret.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from evcore.errors import ConfigError
from evcore.gateway.config_rules import problems
from evcore.gateway.config_text import convert, read_toml
from evcore.gateway.secret import Secret, read_secret

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+$", max_length=48)]
# OCPP-J 1.6, 3.1.1 and OCPP 2.0.1 Part 4, 3.1.1: no colon, it would end the user name of HTTP basic authentication.
StationId = Annotated[str, Meta(pattern=r"^[^:\x00-\x1f]+$", max_length=48)]
Text = Annotated[str, Meta(min_length=1, max_length=255)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Mode = Literal["strict", "lenient", "off"]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: immutable, and a key that it does not know is an error."""


class SiteTable(Table, frozen=True, kw_only=True):
    """[site]. id: part of every MQTT topic and of every fact that leaves the site. name: for people. one_session: a
    token may have one session at a time; for a second one it is answered ConcurrentTx."""

    id: Name = "site"
    name: str = ""
    one_session: bool = False


class StoreTable(Table, frozen=True, kw_only=True):
    """[store]. path: the database; its folder must exist."""

    path: Path = Path("evcore.db")


class Paths(tuple[Path, ...]):
    """One path, or a list of them."""

    __slots__ = ()


class ServerTls(Table, frozen=True, kw_only=True):
    """A listener's TLS. certificate, key: one, or lists of the same length (an RSA and an ECDSA certificate serve every
    OCPP station). client_ca: clients must show a certificate signed by it. legacy_rsa_kx: also the TLS_RSA suites, for
    stations that can do nothing better."""

    certificate: Paths
    key: Paths
    key_password: Secret | None = None
    client_ca: Path | None = None
    legacy_rsa_kx: bool = False


class ClientTls(Table, frozen=True, kw_only=True):
    """TLS towards a server. ca: whom to trust instead of the system's store; certificate, key: who we are."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: Secret | None = None


class StationTable(Table, frozen=True, kw_only=True):
    """[[ocpp.stations]]. id: the last part of the URL the station connects to. password: HTTP basic authentication.
    certificate_name: the CN of its certificate, "" where that is the id."""

    id: StationId
    password: Secret | None = None
    certificate_name: Annotated[str, Meta(max_length=64)] = ""


class RulesTable(Table, frozen=True, kw_only=True):
    """[ocpp.rules]: how stations are treated; what each key means: `evcore.chargers.StationRules`."""

    url_schemes: tuple[Literal["https", "http", "ftps", "ftp", "sftp"], ...] = ("https", "http", "ftps", "ftp", "sftp")
    allow_local_urls: bool = False
    free_vend: bool = True
    direct_payment: bool = True
    certificates_over_plain: bool = False
    behind_tls: bool = False
    cost_messages: bool = False
    web_payment_s: Annotated[int, Meta(ge=0, le=3600)] = 300


class PolicyTable(Table, frozen=True, kw_only=True):
    """[ocpp.policy]: how strictly messages are judged (docs/ocpp-lenient.md). repairs: of the lenient mode, all of them
    or `without` some. actions: by action a mode, or the repairs that are allowed. out, out_actions: what is sent."""

    mode: Mode = "strict"
    repairs: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    actions: dict[str, str | tuple[str, ...]] = {}
    out: Mode = "strict"
    out_actions: dict[str, str | tuple[str, ...]] = {}


class StationPolicyTable(PolicyTable, frozen=True, kw_only=True):
    """[[ocpp.policies]]: instead of [ocpp.policy], for the stations that all the patterns given fit (* ? [abc]); the
    first that fits counts. vendor, model: as BootNotification tells them, in any case."""

    stations: tuple[Text, ...] = ()
    vendor: Text | None = None
    model: Text | None = None


class OcppTable(Table, frozen=True, kw_only=True):
    """[[ocpp]]: a port that charging stations connect to. Only the stations named may, unless allow_unauthenticated, or
    unknown says otherwise, or none is named and client_ca makes each prove its name.

    profile: the OCPP security profile that the rest must amount to, 0 to 3; without it, whatever they amount to.
    organisation: what O must be in stations' certificates. check_serial: a 2.x station boots with the serial number
    that is the CN of its certificate (B01.FR.12). max_message: bytes.
    """

    name: Name = "ocpp"
    host: Text = "127.0.0.1"
    port: Port = 9000
    stations: tuple[StationTable, ...] = ()
    allow_unauthenticated: bool = False
    unknown: Literal["refuse", "pending", "accept"] | None = None
    profile: Literal[0, 1, 2, 3] | None = None
    tls: ServerTls | None = None
    rules: RulesTable = RulesTable()
    organisation: str = ""
    check_serial: bool = True
    versions: Annotated[tuple[Literal["1.6", "2.0.1", "2.1"], ...], Meta(min_length=1)] = ("1.6", "2.0.1", "2.1")
    default_subprotocol: Literal["", "ocpp1.6", "ocpp2.0.1", "ocpp2.1"] = ""
    no_common_subprotocol: Literal["close", "refuse"] = "close"
    max_message: Annotated[int, Meta(ge=4096, le=16_777_216)] = 65_536
    max_failures: Annotated[int, Meta(ge=0)] = 20
    policy: PolicyTable = PolicyTable()
    policies: tuple[StationPolicyTable, ...] = ()
    heartbeat_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    call_timeout_s: Seconds = 30.0
    handler_timeout_s: Seconds = 20.0


class ModbusTable(Table, frozen=True, kw_only=True):
    """[[modbus]]: a meter. url: tcp://host[:port], rtu:///dev/tty...?baudrate=9600 or rtu+tcp://host:port. profile: a
    name that evcore ships or the path of a TOML profile."""

    name: Name
    url: Text
    profile: Text
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    period_s: Seconds = 1.0


class ListenerTable(Table, frozen=True, kw_only=True):
    """What [[modbus_server]] and [[modbus_gateway]] share. allow: addresses and networks that may connect; needed on
    all but the loopback, unless tls.client_ca makes masters show certificates. clients: at once. idle_s: a connection
    without a request for so long is closed."""

    host: Text = "127.0.0.1"
    port: Port = 502
    allow: tuple[Text, ...] = ()
    clients: Annotated[int, Meta(ge=1, le=10_000)] = 32
    idle_s: Seconds = 120.0
    tls: ServerTls | None = None


class EvseSlotTable(Table, frozen=True, kw_only=True):
    """[[modbus_server.evses]]. slot: where its registers are. writable: masters may set its limit, up to most_a."""

    station: StationId
    evse: Annotated[int, Meta(ge=1, le=65_534)] = 1
    slot: Annotated[int, Meta(ge=1, le=250)]
    writable: bool = False
    most_a: Annotated[float, Meta(gt=0, le=10_000)] = 500.0


class MeterSlotTable(Table, frozen=True, kw_only=True):
    """[[modbus_server.meters]]. meter: the source of its samples. slot: where its registers are."""

    meter: Name
    slot: Annotated[int, Meta(ge=1, le=100)]


class ModbusServerTable(ListenerTable, frozen=True, kw_only=True):
    """[[modbus_server]]: the site as registers (docs/modbus-server.md). limit_target: whom set_limit is asked of when a
    master writes the site's limit, up to most_a; "": it cannot be written. stale_s: as of values that grow old."""

    name: Name = "modbus-server"
    evses: tuple[EvseSlotTable, ...] = ()
    meters: tuple[MeterSlotTable, ...] = ()
    limit_target: str = ""
    most_a: Annotated[float, Meta(gt=0, le=10_000)] = 10_000.0
    stale_s: Seconds = 300.0


class WriteRuleTable(Table, frozen=True, kw_only=True):
    """[[modbus_gateway.writes]]: what masters may write."""

    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    first: Annotated[int, Meta(ge=0, le=65_535)]
    last: Annotated[int, Meta(ge=0, le=65_535)]
    functions: Annotated[tuple[Literal[5, 6, 15, 16, 22, 23], ...], Meta(min_length=1)] = (6, 16)


class ModbusGatewayTable(ListenerTable, frozen=True, kw_only=True):
    """[[modbus_gateway]]: many masters behind one line or device. upstream: url as of [[modbus]]. units: that may be
    asked, all without it. cache_s: how old the answer to a read may be. queue: requests that wait for the device."""

    name: Name = "modbus-gateway"
    upstream: Text
    units: tuple[Annotated[int, Meta(ge=0, le=255)], ...] | None = None
    cache_s: Annotated[float, Meta(ge=0, le=3600)] = 1.0
    queue: Annotated[int, Meta(ge=1, le=100)] = 64
    writes: tuple[WriteRuleTable, ...] = ()


class CanTable(Table, frozen=True, kw_only=True):
    """[[can]]: a bus to listen on. Decoded by a database (DBC, KCD, SYM, ARXML) or followed by an observer. signals:
    which of the database's, each with its measurand; without it all, under their own names."""

    name: Name
    channel: Text
    interface: Text = "socketcan"
    bitrate: Annotated[int, Meta(ge=1, le=8_000_000)] | None = None
    database: Path | None = None
    observer: Literal["gbt27930"] | None = None
    signals: dict[str, Text] = {}
    vehicle: Name = "car"
    station: str = ""
    evse: Annotated[int, Meta(ge=0)] = 0


class MqttSourceTable(Table, frozen=True, kw_only=True):
    """[[mqtt.sources]]: a value that another device publishes. pointer: JSON pointer to the number in a JSON payload,
    "" where the payload is the number. scale: what it is multiplied with to have it in `unit`."""

    topic: Text
    source: Name
    measurand: Text
    unit: str
    pointer: str = ""
    scale: float = 1.0
    phase: str | None = None
    location: str = "Outlet"
    evse: Annotated[int, Meta(ge=0)] = 0


class MqttTable(Table, frozen=True, kw_only=True):
    """[[mqtt]]: a broker. url: mqtt://host[:port] or mqtts://host[:port]. node: this gateway's name below the site, ""
    for the host's. protocol: "auto" is MQTT 5, or 3.1.1 where the broker does not know 5."""

    name: Name = "mqtt"
    url: Text = "mqtt://127.0.0.1:1883"
    node: str = ""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    username: str | None = None
    password: Secret | None = None
    tls: ClientTls | None = None
    sources: tuple[MqttSourceTable, ...] = ()


class HttpTable(Table, frozen=True, kw_only=True):
    """[http]: REST, feed, metrics and dashboard on one port. api_keys: who may; needed on all but the loopback."""

    name: Name = "http"
    host: Text = "127.0.0.1"
    port: Port = 8080
    api_keys: tuple[Secret, ...] = ()
    dashboard: bool = True
    tls: ServerTls | None = None


class TariffTable(Table, frozen=True, kw_only=True):
    """[tariff]: what a session costs, in units of the currency. minor_digits: 2 where a cent is a hundredth."""

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    per_kwh: Decimal = Decimal(0)
    per_hour: Decimal = Decimal(0)
    per_session: Decimal = Decimal(0)
    minor_digits: Annotated[int, Meta(ge=0, le=4)] = 2


class TokenTable(Table, frozen=True, kw_only=True):
    """[[tokens]]: who may charge. Written into the store at every start; more come by REST."""

    id: Annotated[str, Meta(min_length=1, max_length=36)]
    status: Literal["Accepted", "Blocked"] = "Accepted"
    expires: datetime | None = None
    group: str | None = None
    note: str = ""


class PaymentTable(Table, frozen=True, kw_only=True):
    """[[payments]]: a payment provider. webhook_secrets: whsec_..., more than one while a secret is being replaced."""

    name: Name
    url: Text
    kind: Literal["generic"] = "generic"
    api_key: Secret
    webhook_secrets: Annotated[tuple[Secret, ...], Meta(min_length=1)]


class LimitsTable(Table, frozen=True, kw_only=True):
    """[limits]. drain_s: how long a stop may take. restart_max_s: the longest pause before a failed part is tried
    again. stale_s: a value that nobody has renewed for so long is shown as stale."""

    drain_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    restart_max_s: Seconds = 60.0
    stale_s: Seconds = 300.0


class Config(Table, frozen=True, kw_only=True):
    """The whole file. file: where it came from, for messages; not a key of the file."""

    site: SiteTable = SiteTable()
    store: StoreTable = StoreTable()
    ocpp: tuple[OcppTable, ...] = ()
    modbus: tuple[ModbusTable, ...] = ()
    modbus_server: tuple[ModbusServerTable, ...] = ()
    modbus_gateway: tuple[ModbusGatewayTable, ...] = ()
    can: tuple[CanTable, ...] = ()
    mqtt: tuple[MqttTable, ...] = ()
    http: HttpTable | None = None
    tariff: TariffTable | None = None
    tokens: tuple[TokenTable, ...] = ()
    payments: tuple[PaymentTable, ...] = ()
    limits: LimitsTable = LimitsTable()
    file: str = "(config)"

    def secrets(self) -> list[str | bytes]:
        """Every secret of the configuration: for masking logs, nothing else."""
        return [secret.reveal() for secret in _secrets(self)]


def load(path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration in the file. Raises ConfigError: no file, no TOML, unknown key, wrong type, bad value."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")  # some editors put a mark before it
    except OSError as error:
        raise ConfigError(str(file), "", "a readable file", error.strerror or type(error).__name__) from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), "", "UTF-8 text", f"byte {error.object[error.start]:#04x}") from None
    return parse(text, file=str(file), base=file.resolve().parent, environ=environ)


def parse(text: str, *, file: str, base: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration in `text`. file: its name in messages. base: what paths are relative to. Raises ConfigError."""

    def custom(kind: type, value: Any) -> Any:
        if kind is Secret:
            return read_secret(value, base, environ)
        if kind is Path and isinstance(value, str) and value:
            return base / value
        if kind is Paths and value and isinstance(value, str | list):
            paths = [value] if isinstance(value, str) else value
            if all(isinstance(path, str) and path for path in paths):
                return Paths(base / path for path in paths)
        raise ValueError(f"Expected `path`, got `{type(value).__name__}`")

    config = convert(read_toml(text, file), Config, file, custom)
    config = msgspec.structs.replace(
        config,
        store=msgspec.structs.replace(config.store, path=base / config.store.path),  # the default is relative too
        modbus=tuple(_with_profile(meter, base) for meter in config.modbus),
        file=file,
    )
    for key, expected, got in problems(config):
        raise ConfigError(file, key, expected, got)
    return config


def _with_profile(meter: ModbusTable, base: Path) -> ModbusTable:
    """With the path of its profile, where that is a file and not a name."""
    if "/" not in meter.profile and not meter.profile.endswith(".toml"):
        return meter
    return msgspec.structs.replace(meter, profile=str(base / meter.profile))


def _secrets(value: Any) -> Iterable[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _secrets(part)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _secrets(getattr(value, name))
