"""How the device model of OCPP 2.x names its variables, and what a list of results comes to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evcore.chargers.commands.frame import Payload
from evcore.model import Answer


def component_2(item: Payload) -> Payload:
    """ComponentType of {component, component_instance?, evse?, connector?}."""
    component: Payload = {"name": item["component"]}
    if "component_instance" in item:
        component["instance"] = item["component_instance"]
    if "evse" in item:
        component["evse"] = {"id": item["evse"]}
        if "connector" in item:
            component["evse"]["connectorId"] = item["connector"]
    return component


def variable_2(item: Payload) -> Payload:
    """VariableType of {variable, variable_instance?}."""
    instance = {"instance": item["variable_instance"]} if "variable_instance" in item else {}
    return {"name": item["variable"]} | instance


def judged(answer: Answer, list_name: str, status_name: str, good: tuple[str, ...]) -> Answer:
    """One status for a list of results: the first that is not good, else the last that is more than Accepted."""
    results: Any = answer.data.get(list_name) if answer.ok else None
    if not results:
        return answer
    words = [result.get(status_name, "") for result in results]
    bad = [word for word in words if word not in good]
    more = [word for word in words if word != "Accepted"]
    return replace(answer, status=(bad or more or words)[0], ok=not bad)
