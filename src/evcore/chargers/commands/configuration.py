"""Settings: get_config set_config get_variables set_variables. Keys of 1.6 or variables of the device model, whichever
the station speaks: what both have is translated (`keys`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evcore.arguments import BadArgument
from evcore.chargers.commands.frame import Args, Asker, Payload, Refused, Table
from evcore.chargers.commands.keys import Place, key_16, key_of, place_2
from evcore.chargers.commands.reports import base_report
from evcore.chargers.commands.variables import component_2, judged, variable_2
from evcore.model import Answer, Verb

_WRITTEN = ("Accepted", "RebootRequired")


async def _get_config_16(at: Asker, args: Args) -> Answer:
    """GetConfiguration"""
    return await _read_16(at, [key_16(key) for key in args.get("keys", ())])


async def _get_config_2(at: Asker, args: Args) -> Answer:
    """GetVariables; without keys GetBaseReport (ConfigurationInventory) with its NotifyReports"""
    keys = args.get("keys")
    if not keys:
        return await base_report(at, "ConfigurationInventory", wait_s=25)
    return await _read(at, [_at(_place(key)) for key in keys])


async def _set_config_16(at: Asker, args: Args) -> Answer:
    """ChangeConfiguration"""
    return await _change_16(at, key_16(args["key"]), args["value"])


async def _set_config_2(at: Asker, args: Args) -> Answer:
    """SetVariables"""
    return await _write(at, [_at(_place(args["key"])) | {"attributeValue": args["value"]}])


async def _get_variables_16(at: Asker, args: Args) -> Answer:
    """GetConfiguration, for variables that 1.6 has keys for"""
    return await _read_16(at, [_key(item) for item in args["variables"]])


async def _get_variables_2(at: Asker, args: Args) -> Answer:
    """GetVariables"""
    return await _read(at, [_at_item(item) for item in args["variables"]])


async def _set_variables_16(at: Asker, args: Args) -> Answer:
    """ChangeConfiguration for each variable that 1.6 has a key for, in order, until one is refused"""
    wanted = [(_key(item), item["value"]) for item in args["variables"]]
    results: list[dict[str, str]] = []
    answer = Answer("Accepted", True)
    for key, value in wanted:
        answer = await _change_16(at, key, value)
        results.append({"key": key, "status": answer.status})
        if not answer.ok:
            break
    reboot = answer.ok and any(result["status"] == "RebootRequired" for result in results)
    return replace(answer, status="RebootRequired" if reboot else answer.status, data={"results": results})


async def _set_variables_2(at: Asker, args: Args) -> Answer:
    """SetVariables"""
    return await _write(at, [_at_item(item) | {"attributeValue": item["value"]} for item in args["variables"]])


async def _read_16(at: Asker, keys: list[str]) -> Answer:
    answer = await at.ask("GetConfiguration", {"key": keys} if keys else {})
    unknown = answer.data.get("unknownKey") if answer.ok else None
    if not unknown:
        return answer
    return replace(
        answer, status="UnknownKey", ok=False, reason=f"the station does not know {', '.join(unknown)}"[:300]
    )


async def _change_16(at: Asker, key: str, value: str) -> Answer:
    if len(value) > 500 or len(key) > 50:  # CiString500Type, CiString50Type; some schemas do not say it
        raise BadArgument("value: OCPP 1.6 has room for 500 characters, for 50 of a key")
    return await at.ask("ChangeConfiguration", {"key": key, "value": value}, ok=_WRITTEN)


def _key(item: Payload) -> str:
    """Raises Refused: 1.6 has no key for this variable."""
    place = Place(item["component"], item["variable"], item.get("variable_instance", ""))
    key = key_of(place)
    if key is None or item.get("attribute", "Actual") != "Actual" or "evse" in item or "component_instance" in item:
        name = f"{place.component}.{place.variable}"
        raise Refused("NotSupported", f"OCPP 1.6 has no key for {name}; get_config and set_config take any key")
    return key


def _place(key: str) -> Place:
    place = place_2(key)
    if place is None:
        raise BadArgument(f"key {key[:50]}: expected Component.Variable or a key that OCPP 1.6 and 2.x both have")
    return place


def _at(place: Place) -> Payload:
    variable = {"name": place.variable} | ({"instance": place.instance} if place.instance else {})
    return {"component": {"name": place.component}, "variable": variable}


def _at_item(item: Payload) -> Payload:
    where = {"component": component_2(item), "variable": variable_2(item)}
    return where | ({"attributeType": item["attribute"]} if "attribute" in item else {})


async def _read(at: Asker, wanted: Sequence[Payload]) -> Answer:
    answer = await at.ask("GetVariables", {"getVariableData": wanted})
    return judged(answer, "getVariableResult", "attributeStatus", ("Accepted",))


async def _write(at: Asker, wanted: Sequence[Payload]) -> Answer:
    answer = await at.ask("SetVariables", {"setVariableData": wanted})
    return judged(answer, "setVariableResult", "attributeStatus", _WRITTEN)


V16: Table = {
    Verb.GET_CONFIG: _get_config_16,
    Verb.SET_CONFIG: _set_config_16,
    Verb.GET_VARIABLES: _get_variables_16,
    Verb.SET_VARIABLES: _set_variables_16,
}
V201: Table = {
    Verb.GET_CONFIG: _get_config_2,
    Verb.SET_CONFIG: _set_config_2,
    Verb.GET_VARIABLES: _get_variables_2,
    Verb.SET_VARIABLES: _set_variables_2,
}
V21: Table = V201
