"""The device model in reports: get_report. The station tells them in parts, which are waited for and put together."""

from __future__ import annotations

import time
from dataclasses import replace

from evcore.arguments import BadArgument
from evcore.chargers.commands.frame import Args, Asker, Payload, Refused, Table, drawn_number, with_data
from evcore.chargers.commands.variables import component_2, variable_2
from evcore.chargers.ocpp_reports import AT_ONCE, Report
from evcore.model import Answer, Verb

_LONGEST_S = 32.0  # a command's answer is waited for 35 s (ports.Hub.command): what came is given before
_CRITERIA = {
    "Variables": ("componentCriteria", ("Active", "Available", "Enabled", "Problem")),
    "Monitors": ("monitoringCriteria", ("ThresholdMonitoring", "DeltaMonitoring", "PeriodicMonitoring")),
}


async def base_report(at: Asker, base: str, *, wait_s: float) -> Answer:
    """GetBaseReport, and what it brings within wait_s."""
    return await _collected(at, "GetBaseReport", {"reportBase": base}, wait_s)


async def _get_report_2(at: Asker, args: Args) -> Answer:
    """GetBaseReport; for Variables GetReport, for Monitors GetMonitoringReport; with their NotifyReports"""
    kind = args["report"]
    if kind not in _CRITERIA:
        if "variables" in args or "criteria" in args:
            raise BadArgument("variables, criteria: for the reports Variables and Monitors only")
        return await base_report(at, kind, wait_s=args["wait_s"])
    member, words = _CRITERIA[kind]
    payload: Payload = {}
    if "criteria" in args:
        if not set(args["criteria"]) <= set(words):
            raise BadArgument(f"criteria: for {kind} expected {', '.join(words)}")
        payload[member] = args["criteria"]
    if "variables" in args:
        payload["componentVariable"] = [
            {"component": component_2(item)} | ({"variable": variable_2(item)} if "variable" in item else {})
            for item in args["variables"]
        ]
    return await _collected(at, "GetReport" if kind == "Variables" else "GetMonitoringReport", payload, args["wait_s"])


async def _collected(at: Asker, action: str, payload: Payload, wait_s: float) -> Answer:
    """The answer with all parts of its report: `report`, and whether they are `complete`."""
    reports = at.state.reports
    if len(reports) >= AT_ONCE:
        raise Refused("Rejected", f"{AT_ONCE} reports of this station are under way already")
    request, deadline = drawn_number(), time.monotonic() + _LONGEST_S
    report = reports[request] = Report()  # before it is asked for: the first part may overtake us
    try:
        answer = with_data(await at.ask(action, payload | {"requestId": request}), requestId=request)
        if answer.ok and wait_s > 0:
            await report.wait(min(wait_s, deadline - time.monotonic()))
            answer = with_data(answer, report=report.items, complete=report.complete)
            if not report.complete:
                why = "the report is too long" if report.cut else f"not all of it came within {wait_s:g} s"
                answer = replace(answer, reason=f"{why}; each part is an event too")
        return answer
    finally:
        del reports[request]


_NONE_16 = "OCPP 1.6 has no device model; get_config without keys lists what there is"
V16: Table = {Verb.GET_REPORT: _NONE_16}
V201: Table = {Verb.GET_REPORT: _get_report_2}
V21: Table = V201
