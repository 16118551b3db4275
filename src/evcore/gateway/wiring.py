"""From a configuration to connectors: one function a table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evcore.errors import ConfigError
from evcore.gateway.config import (
    CanTable,
    Config,
    HttpTable,
    ListenerTable,
    ModbusGatewayTable,
    ModbusServerTable,
    ModbusTable,
    MqttTable,
    OcppTable,
    Table,
)
from evcore.gateway.part import Part, Phase
from evcore.gateway.policies import policy_for
from evcore.gateway.tariff import Tariff
from evcore.gateway.tls import client_context, server_certificates, server_context
from evcore.ports import Ledger, Outbox, Site

if TYPE_CHECKING:
    from evcore.backends.psp import GenericProvider
    from evcore.modbus.link import Client

SPREAD_S = 0.01  # between two stations that are sent away, so that they do not all come back at once


def device_parts(config: Config) -> list[Part]:
    """Meters and buses, and who shares their lines. Raises ConfigError."""
    lines: dict[str, Client] = {}
    parts = [_modbus(config, n, table, lines) for n, table in enumerate(config.modbus)]
    parts += [_modbus_gateway(config, n, table, lines) for n, table in enumerate(config.modbus_gateway)]
    return parts + [_can(config, n, table) for n, table in enumerate(config.can)]


def backend_parts(config: Config, outbox: Callable[[str], Outbox]) -> list[Part]:
    """Brokers. outbox: what a destination has still to be told, by its name. Raises ConfigError."""
    return [_mqtt(config, n, table, outbox(table.name)) for n, table in enumerate(config.mqtt)]


def listener_parts(config: Config, ledger: Ledger, site: Site, accepted: Collection[str]) -> list[Part]:
    """Ports that others connect to. accepted: stations that need not boot again. Raises ConfigError."""
    parts = [_ocpp(config, n, table, ledger, accepted) for n, table in enumerate(config.ocpp)]
    parts += [_modbus_server(config, n, table) for n, table in enumerate(config.modbus_server)]
    if config.http is not None:
        parts.append(_http(config, config.http, site))
    return parts


def payment_providers(config: Config) -> dict[str, GenericProvider]:
    """By name. Raises ConfigError."""
    from evcore.backends.psp import GenericProvider

    providers = {}
    for n, table in enumerate(config.payments):
        try:
            secrets = [secret.text() for secret in table.webhook_secrets]
            provider = GenericProvider(table.name, table.url, api_key=table.api_key.text(), webhook_secrets=secrets)
        except ValueError as error:
            raise ConfigError(config.file, f"payments[{n}].webhook_secrets", "whsec_...", str(error)) from None
        providers[table.name] = provider
    return providers


def tariff(config: Config) -> Tariff | None:
    """The price of a session, in minor units. None: no tariff is configured."""
    table = config.tariff
    if table is None:
        return None

    def minor(price: Decimal) -> str:
        return str(price.scaleb(table.minor_digits))

    return Tariff(
        table.currency,
        per_kwh=minor(table.per_kwh),
        per_session=minor(table.per_session),
        per_hour=minor(table.per_hour),
    )


def _ocpp(config: Config, n: int, table: OcppTable, ledger: Ledger, accepted: Collection[str]) -> Part:
    from evcore.chargers import OcppServer, StationRules
    from evcore.ocpp.subject import SubjectRule

    rules = {name: getattr(table.rules, name) for name in table.rules.__struct_fields__}
    if config.tariff is not None:
        rules["minor_digits"] = config.tariff.minor_digits

    passwords = {one.id: None if one.password is None else one.password.reveal() for one in table.stations}
    certified = table.tls is not None and table.tls.client_ca is not None
    certificates = None
    if table.tls is not None:
        asked: Literal["required", "asked"] = "asked" if table.profile == 2 else "required"
        certificates = server_certificates(table.tls, config.file, f"ocpp[{n}].tls", clients=asked)
    with _named(config, f"ocpp[{n}]", table):
        server = OcppServer(
            table.host,
            table.port,
            ledger=ledger,
            passwords=None if certified and not passwords else passwords,
            allow_unauthenticated=table.allow_unauthenticated,
            unknown=table.unknown,
            ssl=certificates,
            subjects=SubjectRule(
                names={one.id: one.certificate_name for one in table.stations if one.certificate_name},
                organisation=table.organisation,
                boot_serial=table.check_serial,
            ),
            versions=table.versions,
            default_subprotocol=table.default_subprotocol,
            no_common_subprotocol=table.no_common_subprotocol,
            max_message=table.max_message,
            max_failures=table.max_failures,
            name=table.name,
            registered=accepted,
            heartbeat_s=table.heartbeat_s,
            call_timeout_s=table.call_timeout_s,
            handler_timeout_s=table.handler_timeout_s,
            rules=StationRules(**rules),
            policy=policy_for(table),
        )

    async def drain(seconds: float) -> None:
        await server.drain(min(seconds, SPREAD_S * len(server.connected)), goodbye_s=0.8 * seconds)

    return Part(table.name, Phase.STATIONS, server.run, server, drain)


def _http(config: Config, table: HttpTable, site: Site) -> Part:
    from evcore.backends import HttpBackend

    with _named(config, "http", table):
        backend = HttpBackend(
            site,
            host=table.host,
            port=table.port,
            api_keys=[key.text() for key in table.api_keys],
            ssl=server_context(table.tls, config.file, "http.tls") if table.tls else None,
            name=table.name,
            dashboard=table.dashboard,
        )
    return Part(table.name, Phase.WEB, backend.run, backend)


def _mqtt(config: Config, n: int, table: MqttTable, outbox: Outbox) -> Part:
    from evcore.backends import MqttBackend, MqttSource

    secure = table.tls is not None or table.url.startswith("mqtts:")
    sources = []
    for m, source in enumerate(table.sources):
        with _named(config, f"mqtt[{n}].sources[{m}]", source):
            sources.append(MqttSource(**{name: getattr(source, name) for name in source.__struct_fields__}))
    with _named(config, f"mqtt[{n}]", table):
        backend = MqttBackend(
            table.url,
            site_id=config.site.id,
            node=table.node,
            outbox=outbox,
            outbox_kinds=("session.", "payment."),
            sources=sources,
            name=table.name,
            username=table.username,
            password=table.password.text() if table.password else None,
            tls=client_context(table.tls, config.file, f"mqtt[{n}].tls") if secure else None,
            protocol=table.protocol,
        )
    return Part(table.name, Phase.BACKENDS, backend.run)


def _modbus(config: Config, n: int, table: ModbusTable, lines: dict[str, Client]) -> Part:
    """lines: by url, since meters on one RS-485 line (or behind one converter) must take turns."""
    from evcore.meters import ModbusMeter
    from evcore.modbus.link import Client

    with _named(config, f"modbus[{n}]", table):
        profile = Path(table.profile) if table.profile.endswith(".toml") else table.profile
        line = lines.get(table.url) or lines.setdefault(table.url, Client(table.url))
        meter = ModbusMeter(line, profile=profile, unit=table.unit, name=table.name, period_s=table.period_s)
    return Part(table.name, Phase.DEVICES, meter.run)


def _listens(config: Config, key: str, table: ListenerTable) -> dict[str, Any]:
    return {
        "host": table.host,
        "port": table.port,
        "allow": table.allow,
        "clients": table.clients,
        "idle_s": table.idle_s,
        "ssl": server_context(table.tls, config.file, f"{key}.tls") if table.tls else None,
    }


def _modbus_server(config: Config, n: int, table: ModbusServerTable) -> Part:
    from evcore.backends import EvseSlot, MeterSlot, ModbusServer

    key = f"modbus_server[{n}]"
    with _named(config, key, table):
        server = ModbusServer(
            evses=[EvseSlot(one.station, one.evse, one.slot, one.writable, one.most_a) for one in table.evses],
            meters=[MeterSlot(one.meter, one.slot) for one in table.meters],
            site_id=config.site.id,
            limit_target=table.limit_target,
            most_a=table.most_a,
            stale_s=table.stale_s,
            name=table.name,
            **_listens(config, key, table),
        )
    return Part(table.name, Phase.WEB, server.run, server)


def _modbus_gateway(config: Config, n: int, table: ModbusGatewayTable, lines: dict[str, Client]) -> Part:
    """lines: the gateway takes its turns with the meters on its line."""
    from evcore.backends import ModbusGateway, WriteRule
    from evcore.modbus.link import Client

    key = f"modbus_gateway[{n}]"
    with _named(config, key, table):
        gateway = ModbusGateway(
            lines.get(table.upstream) or lines.setdefault(table.upstream, Client(table.upstream)),
            units=table.units,
            writes=[WriteRule(one.unit, one.first, one.last, one.functions) for one in table.writes],
            cache_s=table.cache_s,
            queue=table.queue,
            name=table.name,
            **_listens(config, key, table),
        )
    return Part(table.name, Phase.WEB, gateway.run, gateway)


def _can(config: Config, n: int, table: CanTable) -> Part:
    from can.interfaces import VALID_INTERFACES

    from evcore.meters import CanSource

    if table.interface not in VALID_INTERFACES:
        known = ", ".join(sorted(VALID_INTERFACES))
        raise ConfigError(config.file, f"can[{n}].interface", f"one of {known}", table.interface)
    options: dict[str, Any] = {} if table.bitrate is None else {"bitrate": table.bitrate}
    with _named(config, f"can[{n}]", table):
        source = CanSource(
            table.interface,
            table.channel,
            database=table.database,
            observer=table.observer,
            name=table.name,
            vehicle=table.vehicle,
            station=table.station,
            evse=table.evse,
            signals=table.signals or None,
            **options,
        )
    return Part(table.name, Phase.DEVICES, source.run)


@contextmanager
def _named(config: Config, key: str, table: Table) -> Iterator[None]:
    """What a connector's constructor refuses, as a ConfigError of the user's file and key."""
    try:
        yield
    except ConfigError as error:
        if error.file == config.file:
            raise
        names = table.__struct_fields__
        known = error.key.rsplit(".", 1)[-1]
        # Or the key whose value the connector could not read: a url, a profile, a database.
        named = [known, *(name for name in names if str(getattr(table, name)) == error.file)]
        place = next((f"{key}.{name}" for name in named if name in names), key)
        got = error.got if error.file in error.got else f"{error.got} ({error.file})"
        raise ConfigError(config.file, place, error.expected, got) from None
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(config.file, key, "values that go together", str(error)[:200]) from None
