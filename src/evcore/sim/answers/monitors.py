"""Monitors of variables (2.0.1 Part 2, N): set, told, cleared. None ever fires: no variable here passes a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.sim.answers.frame import Payload, Table, status
from evcore.sim.answers.settings import known

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

_CRITERIA = {
    "ThresholdMonitoring": ("UpperThreshold", "LowerThreshold"),
    "DeltaMonitoring": ("Delta", "TargetDelta", "TargetDeltaRelative"),
    "PeriodicMonitoring": ("Periodic", "PeriodicClockAligned"),
}


def _set(station: SimStation, asked: Payload) -> Payload:
    return {"setMonitoringResult": [_set_one(station, item) for item in asked["setMonitoringData"]]}


def _set_one(station: SimStation, item: Payload) -> Payload:
    monitors = station.memory.monitors
    result = {name: item[name] for name in ("type", "severity", "component", "variable")}
    word = known(station, item["component"], item["variable"])
    same = [
        id
        for id, one in monitors.items()
        if all(one[name] == item[name] for name in ("component", "variable", "type", "severity"))
    ]
    if word == "Accepted":
        setting = station.memory.settings[f"{item['component']['name']}.{item['variable']['name']}"]
        if setting.kind != "integer":
            word = "UnsupportedMonitorType"
        elif "id" in item and item["id"] not in monitors:
            word = "Rejected"
        elif same and item.get("id") not in same:
            word = "Duplicate"
    if word != "Accepted":
        return result | {"status": word}
    id = item.get("id") or max(monitors, default=0) + 1
    monitors[id] = item
    return result | {"status": word, "id": id}


def _clear(station: SimStation, asked: Payload) -> Payload:
    cleared = [(id, station.memory.monitors.pop(id, None) is not None) for id in asked["id"]]
    return {"clearMonitoringResult": [{"id": id} | status(found, "NotFound") for id, found in cleared]}


def _report(station: SimStation, asked: Payload) -> Payload:
    """GetMonitoringReport: one NotifyMonitoringReport."""
    types = [kind for word in asked.get("monitoringCriteria", ()) for kind in _CRITERIA[word]]
    named = asked.get("componentVariable")
    found: list[Payload] = [
        {
            "component": one["component"],
            "variable": one["variable"],
            "variableMonitoring": [_monitor(station, id, one)],
        }
        for id, one in station.memory.monitors.items()
        if (not types or one["type"] in types)
        and (
            named is None
            or any(
                place["component"] == one["component"] and place.get("variable", one["variable"]) == one["variable"]
                for place in named
            )
        )
    ]
    if found:
        told = {"requestId": asked["requestId"], "seqNo": 0, "generatedAt": station.client.now()}
        station.tell("NotifyMonitoringReport", told | {"monitor": found})
    return status(bool(found), "EmptyResultSet")


def _monitor(station: SimStation, id: int, one: Payload) -> Payload:
    told = {name: one[name] for name in ("value", "type", "severity")}
    more = {"eventNotificationType": "CustomMonitor"} if station.version == "2.1" else {}
    return {"id": id, "transaction": one.get("transaction", False)} | told | more


def _base(station: SimStation, asked: Payload) -> Payload:
    """The station has no monitors of its own: but for All, those that were set are gone (N05.FR.02)."""
    station.memory.monitoring_base = asked["monitoringBase"]
    if asked["monitoringBase"] != "All":
        station.memory.monitors.clear()
    return status(True)


def _level(station: SimStation, asked: Payload) -> Payload:
    if not 0 <= asked["severity"] <= 9:
        return status(False)
    station.memory.monitoring_level = asked["severity"]
    return status(True)


def _adjust(station: SimStation, asked: Payload) -> Payload:
    """No stream is open."""
    return status(False)


def _streams(station: SimStation, asked: Payload) -> Payload:
    return {}


V16: Table = {}
V201: Table = {
    "SetVariableMonitoring": _set,
    "ClearVariableMonitoring": _clear,
    "GetMonitoringReport": _report,
    "SetMonitoringBase": _base,
    "SetMonitoringLevel": _level,
}
V21: Table = {**V201, "AdjustPeriodicEventStream": _adjust, "GetPeriodicEventStream": _streams}
