"""Monitors of the device model: set_monitoring. What they see comes as events "device.event"."""

from __future__ import annotations

from evcore.arguments import BadArgument
from evcore.chargers.commands.frame import Args, Asker, Payload, Refused, Table
from evcore.chargers.commands.variables import component_2, judged, variable_2
from evcore.model import Answer, Verb

_NEW_TYPES = ("TargetDelta", "TargetDeltaRelative")


async def _set_monitoring_2(at: Asker, args: Args) -> Answer:
    """SetVariableMonitoring, ClearVariableMonitoring, SetMonitoringBase or SetMonitoringLevel"""
    match list(args):
        case ["monitors"]:
            monitors = [_monitor(at, item) for item in args["monitors"]]
            answer = await at.ask("SetVariableMonitoring", {"setMonitoringData": monitors})
            return judged(answer, "setMonitoringResult", "status", ("Accepted",))
        case ["clear"]:
            answer = await at.ask("ClearVariableMonitoring", {"id": args["clear"]})
            return judged(answer, "clearMonitoringResult", "status", ("Accepted",))
        case ["base"]:
            return await at.ask("SetMonitoringBase", {"monitoringBase": args["base"]})
        case ["level"]:
            return await at.ask("SetMonitoringLevel", {"severity": args["level"]})
        case _:
            raise BadArgument("monitors, clear, base, level: exactly one of them")


def _monitor(at: Asker, item: Payload) -> Payload:
    """SetMonitoringDataType."""
    if at.version == "2.0.1" and item["type"] in _NEW_TYPES:
        raise Refused("NotSupported", f"monitors of type {item['type']} came with OCPP 2.1")
    known = {name: item[name] for name in ("type", "value", "severity", "transaction", "id") if name in item}
    return known | {"component": component_2(item), "variable": variable_2(item)}


V16: Table = {Verb.SET_MONITORING: "OCPP 1.6 has no monitors"}
V201: Table = {Verb.SET_MONITORING: _set_monitoring_2}
V21: Table = V201
