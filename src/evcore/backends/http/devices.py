"""Chargers, meters and vehicles: what the hub knows of them, and commands to chargers."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from evcore.backends.http.call import Call, Context, Reply
from evcore.backends.http.models import CommandBody, EnergyQuery, PageQuery
from evcore.backends.http.moments import nearest_ns
from evcore.backends.http.paging import paged
from evcore.backends.http.problem import ProblemError
from evcore.backends.http.tables import samples_reply
from evcore.model import Evse, Meter, Sample, Station, Vehicle, wire
from evcore.ports import Hub, KeyReused

DAY_NS = 86_400 * 1_000_000_000


async def list_chargers(at: Context, call: Call) -> Reply:
    """All chargers by id, each with its EVSEs."""
    query: PageQuery = call.query
    stations = sorted((item for item in at.hub.snapshot("charger/") if isinstance(item, Station)), key=lambda s: s.id)
    rest = [station for station in stations if query.after is None or station.id > query.after]
    evses = _evses(at.hub, "evse/")
    page = rest[: query.limit]
    more = page[-1].id if len(rest) > len(page) else None
    return paged(call, [wire(station) | {"evses": evses[station.id]} for station in page], more)


async def get_charger(at: Context, call: Call) -> Reply:
    """One charger with its EVSEs and the latest value of everything it measures."""
    id = call.path["id"]
    station = at.hub.last(f"charger/{id}")
    if not isinstance(station, Station):
        raise ProblemError(404, f"no charger {id!r}")
    evses = _evses(at.hub, f"evse/{id}/")[id]
    return Reply(wire(station) | {"evses": evses, "samples": _samples(at.hub, f"sample/{id}/")[id]})


_FAILED = {
    "Offline": (409, "charger-offline"),
    "Invalid": (422, "command-invalid"),
    "Timeout": (504, "charger-timeout"),
    "Error": (502, "charger-error"),
}


async def command_charger(at: Context, call: Call) -> Reply:
    """Ask something of a charger and wait for its own answer.

    200 is the charger's answer, also when it is a no (`ok` false: Rejected, NotSupported, ...): the answer is what was
    asked for. 409: it is not connected, nothing was asked. 504: asked, but no answer in time; it may still act. 502: it
    answered with an error. 422: an argument is missing or wrong, nothing was asked. A repeat with the same
    Idempotency-Key within ten minutes gets the first answer; 422 if it is for another command.
    """
    id = call.path["id"]
    body: CommandBody = call.body
    try:
        answer = await at.commands.run(id, body.verb, body.args, call.key)
    except KeyReused as error:
        raise ProblemError(422, str(error), kind="key-reused") from None
    if answer.status == "Offline" and at.hub.last(f"charger/{id}") is None:
        raise ProblemError(404, f"no charger {id!r}")
    if not answer.ok and answer.status in _FAILED:
        status, kind = _FAILED[answer.status]
        raise ProblemError(status, answer.reason or answer.status, kind=kind, answer=wire(answer))
    return Reply(wire(answer))


async def list_meters(at: Context, call: Call) -> Reply:
    """All meters with their latest values."""
    return _with_samples(at.hub, [item for item in at.hub.snapshot("meter/") if isinstance(item, Meter)])


async def get_meter_energy(at: Context, call: Call) -> Reply:
    """Energy registers of a meter over time, oldest first, at most 10 000; as JSON or CSV."""
    id = call.path["id"]
    query: EnergyQuery = call.query
    to_ns = time.time_ns() if query.to is None else nearest_ns(query.to)
    from_ns = to_ns - DAY_NS if query.from_ is None else nearest_ns(query.from_)
    if from_ns >= to_ns:
        raise ProblemError(400, "`from` is not before `to`", kind="malformed")
    samples = await at.site.energy(id, from_ns, to_ns)
    if not samples and at.hub.last(f"meter/{id}") is None:
        raise ProblemError(404, f"no meter {id!r}")
    return await samples_reply(call, samples, f"energy-{id}")


async def list_vehicles(at: Context, call: Call) -> Reply:
    """All cars that are heard on a bus, with their latest values."""
    return _with_samples(at.hub, [item for item in at.hub.snapshot("vehicle/") if isinstance(item, Vehicle)])


def _with_samples(hub: Hub, items: list[Meter] | list[Vehicle]) -> Reply:
    samples = _samples(hub, "sample/") if items else {}
    return Reply({"items": [wire(item) | {"samples": samples.get(item.id, [])} for item in items]})


def _evses(hub: Hub, prefix: str) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    evses = (item for item in hub.snapshot(prefix) if isinstance(item, Evse))
    for evse in sorted(evses, key=lambda evse: evse.id):
        found[evse.station].append(wire(evse))
    return found


def _samples(hub: Hub, prefix: str) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in hub.snapshot(prefix):
        if isinstance(item, Sample):
            found[item.source].append(wire(item))
    return found
