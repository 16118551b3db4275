"""Settings: the keys of 1.6, the variables of the device model of 2.x and their reports, network profiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from evcore.sim.answers.frame import Payload, Table, status
from evcore.sim.station_memory import Setting

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

_PART = 4  # variables in one NotifyReport


def settings_of(station: SimStation) -> dict[str, Setting]:
    """What a new station has."""
    flag = "boolean"
    interval, evses = f"{station.interval_s:.0f}", str(len(station.evses))
    if station.version == "1.6":
        return {
            "HeartbeatInterval": _seconds("300"),
            "MeterValueSampleInterval": _seconds(interval),
            "AuthorizeRemoteTxRequests": Setting("false", kind=flag),
            "WebSocketPingInterval": _seconds("30"),
            "TransactionMessageAttempts": Setting("3", kind="integer"),
            "TransactionMessageRetryInterval": _seconds("1"),
            "NumberOfConnectors": Setting(evses, writable=False, kind="integer"),
            "AuthorizationKey": Setting(""),
        }
    return {
        "OCPPCommCtrlr.HeartbeatInterval": _seconds("300"),
        "OCPPCommCtrlr.WebSocketPingInterval": _seconds("30"),
        "SampledDataCtrlr.TxUpdatedInterval": _seconds(interval),
        "AuthCtrlr.AuthorizeRemoteStart": Setting("false", kind=flag),
        "LocalAuthListCtrlr.Enabled": Setting("true", kind=flag),
        "SecurityCtrlr.BasicAuthPassword": Setting(""),
        "ChargingStation.Model": Setting(station.model, writable=False),
        "ChargingStation.VendorName": Setting(station.vendor, writable=False),
        "ChargingStation.EVSECount": Setting(evses, writable=False, kind="integer"),
    }


def _seconds(value: str) -> Setting:
    return Setting(value, kind="integer", unit="s")


_SECRET = ("AuthorizationKey", "SecurityCtrlr.BasicAuthPassword")  # written, never read (2.0.1 Part 2, A01.FR.12)


def _changed(station: SimStation, key: str, value: str) -> None:
    station.memory.settings[key].value = value
    if key.endswith("HeartbeatInterval"):
        station.heartbeat_s = float(value)
    if key in ("MeterValueSampleInterval", "SampledDataCtrlr.TxUpdatedInterval"):
        station.interval_s = float(value)


def _get_16(station: SimStation, asked: Payload) -> Payload:
    settings = station.memory.settings
    wanted = asked.get("key") or list(settings)
    return {
        "configurationKey": [
            {"key": key, "readonly": not settings[key].writable}
            | ({} if key in _SECRET else {"value": settings[key].value})
            for key in wanted
            if key in settings
        ],
        "unknownKey": [key for key in wanted if key not in settings],
    }


def _set_16(station: SimStation, asked: Payload) -> Payload:
    key, value = asked["key"], asked["value"]
    setting = station.memory.settings.get(key)
    if setting is None:
        return {"status": "NotSupported"}
    if not setting.writable or not setting.takes(value):
        return status(False)
    _changed(station, key, value)
    return status(True)


def _get_2(station: SimStation, asked: Payload) -> Payload:
    return {"getVariableResult": [_read(station, item) for item in asked["getVariableData"]]}


def _set_2(station: SimStation, asked: Payload) -> Payload:
    return {"setVariableResult": [_write(station, item) for item in asked["setVariableData"]]}


def _read(station: SimStation, item: Payload) -> Payload:
    result, key, word = _find(station, item)
    if word == "Accepted" and key in _SECRET:
        word = "Rejected"
    if word == "Accepted":
        result["attributeValue"] = station.memory.settings[key].value
    return result | {"attributeStatus": word}


def _write(station: SimStation, item: Payload) -> Payload:
    result, key, word = _find(station, item)
    if word == "Accepted":
        setting, value = station.memory.settings[key], item["attributeValue"]
        if setting.writable and setting.takes(value):
            _changed(station, key, value)
        else:
            word = "Rejected"
    return result | {"attributeStatus": word}


def _find(station: SimStation, item: Payload) -> tuple[Payload, str, str]:
    """What the result begins with, the key, and AttributeStatusEnumType."""
    component, variable = item["component"], item["variable"]
    result = {"component": component, "variable": variable}
    if "attributeType" in item:
        result["attributeType"] = item["attributeType"]
    word = known(station, component, variable)
    if word == "Accepted" and item.get("attributeType", "Actual") != "Actual":
        word = "NotSupportedAttributeType"
    return result, f"{component['name']}.{variable['name']}", word


def known(station: SimStation, component: Payload, variable: Payload) -> str:
    """Accepted, UnknownComponent or UnknownVariable."""
    if f"{component['name']}.{variable['name']}" in station.memory.settings and "evse" not in component:
        return "Accepted"
    same = any(key.partition(".")[0] == component["name"] for key in station.memory.settings)
    return "UnknownVariable" if same and "evse" not in component else "UnknownComponent"


def _base_report(station: SimStation, asked: Payload) -> Payload:
    settings = station.memory.settings
    match asked["reportBase"]:
        case "ConfigurationInventory":
            keys: Iterable[str] = [key for key, setting in settings.items() if setting.writable]
            return _told(station, asked, [_variable(station, key) for key in keys])
        case "SummaryInventory":
            return _told(station, asked, _places(station))
        case _:
            return _told(station, asked, [_variable(station, key) for key in settings] + _places(station))


def _report(station: SimStation, asked: Payload) -> Payload:
    """GetReport: the variables of the components that are named; a criterion holds for those that have it."""
    found = [
        item
        for item in [_variable(station, key) for key in station.memory.settings] + _places(station)
        if _wanted(item, asked.get("componentVariable")) and _fits(item, asked.get("componentCriteria"))
    ]
    return _told(station, asked, found)


def _wanted(item: Payload, named: list[Payload] | None) -> bool:
    if named is None:
        return True
    component, variable = item["component"], item["variable"]
    return any(
        one["component"]["name"] == component["name"]
        and one["component"].get("evse") in (None, component.get("evse"))
        and ("variable" not in one or one["variable"]["name"] == variable["name"])
        for one in named
    )


def _fits(item: Payload, criteria: list[str] | None) -> bool:
    """All are there and work; nothing of this station has a problem but an EVSE with a fault (2.0.1 Part 2, B08)."""
    broken = item["variableAttribute"][0].get("value") == "Faulted"
    return criteria is None or any(broken if word == "Problem" else not broken for word in criteria)


def _told(station: SimStation, asked: Payload, found: list[Payload]) -> Payload:
    """NotifyReports of a few variables each."""
    parts = [found[at : at + _PART] for at in range(0, len(found), _PART)]
    for number, part in enumerate(parts):
        station.tell(
            "NotifyReport",
            {
                "requestId": asked["requestId"],
                "generatedAt": station.client.now(),
                "seqNo": number,
                "tbc": number + 1 < len(parts),
                "reportData": part,
            },
        )
    return status(bool(parts), "EmptyResultSet")


def _variable(station: SimStation, key: str) -> Payload:
    setting, (component, _, variable) = station.memory.settings[key], key.partition(".")
    attribute: Payload = {"mutability": "ReadWrite" if setting.writable else "ReadOnly", "persistent": True}
    if key in _SECRET:
        attribute["mutability"] = "WriteOnly"
    else:
        attribute["value"] = setting.value
    unit = {"unit": setting.unit} if setting.unit else {}
    return {
        "component": {"name": component},
        "variable": {"name": variable},
        "variableAttribute": [attribute],
        "variableCharacteristics": unit | {"dataType": setting.kind, "supportsMonitoring": setting.kind == "integer"},
    }


def _places(station: SimStation) -> list[Payload]:
    """The state of every connector."""
    return [
        {
            "component": {"name": "Connector", "evse": {"id": evse.id, "connectorId": 1}},
            "variable": {"name": "AvailabilityState"},
            "variableAttribute": [{"value": station.words.connector_status(evse), "mutability": "ReadOnly"}],
            "variableCharacteristics": {"dataType": "OptionList", "supportsMonitoring": False},
        }
        for evse in station.evses.values()
    ]


def _network(station: SimStation, asked: Payload) -> Payload:
    """Kept; nothing but JSON is spoken (2.0.1 Part 2, B09.FR.02)."""
    good = asked["connectionData"]["ocppTransport"] == "JSON"
    if good:
        station.memory.networks[asked["configurationSlot"]] = asked["connectionData"]
    return status(good)


V16: Table = {"GetConfiguration": _get_16, "ChangeConfiguration": _set_16}
V201: Table = {
    "GetVariables": _get_2,
    "SetVariables": _set_2,
    "GetBaseReport": _base_report,
    "GetReport": _report,
    "SetNetworkProfile": _network,
}
V21: Table = V201
