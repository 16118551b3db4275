"""Tariffs and the grid, which came with OCPP 2.1. The station charges only, so controls of an inverter are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evcore.sim.answers.frame import Payload, Table, fixed, places, status

if TYPE_CHECKING:
    from evcore.sim.station import SimStation

_NOT_SUPPORTED = fixed({"status": "NotSupported"})


def _set_default(station: SimStation, asked: Payload) -> Payload:
    """2.1 Part 2, I07: of an EVSE, or for 0 of all; the newest counts."""
    chosen, tariff, kept = places(station, asked["evseId"]), asked["tariff"], station.memory.tariffs
    if not chosen:
        return status(False)
    for place in chosen:
        for key in [key for key in kept if key[0] == place.id]:
            del kept[key]
        kept[place.id, tariff["tariffId"]] = tariff
    return status(True)


def _get(station: SimStation, asked: Payload) -> Payload:
    chosen = {place.id for place in places(station, asked["evseId"])}
    if not chosen:
        return status(False)
    evses: dict[str, list[int]] = {}
    for evse, id in station.memory.tariffs:
        if evse in chosen:
            evses.setdefault(id, []).append(evse)
    found = [{"tariffId": id, "tariffKind": "DefaultTariff", "evseIds": on} for id, on in evses.items()]
    return status(True) | {"tariffAssignments": found} if found else {"status": "NoTariff"}


def _clear(station: SimStation, asked: Payload) -> Payload:
    """All of them where none is named, of all EVSEs where no EVSE is."""
    kept, wanted = station.memory.tariffs, asked.get("tariffIds")
    found = [(evse, id) for evse, id in kept if asked.get("evseId") in (None, 0, evse) and id in (wanted or (id,))]
    for key in found:
        del kept[key]
    gone = {id for _, id in found}
    results = [{"tariffId": id} | status(id in gone, "NoTariff") for id in wanted or sorted(gone)]
    return {"clearTariffsResult": results or [{"status": "NoTariff"}]}


def _change(station: SimStation, asked: Payload) -> Payload:
    """ChangeTransactionTariff (I11)."""
    evse = station.transaction(asked["transactionId"])
    if evse is None:
        return {"status": "TxNotFound"}
    now = [tariff for (place, _), tariff in station.memory.tariffs.items() if place == evse.id]
    same = all(tariff["currency"] == asked["tariff"]["currency"] for tariff in now)
    return status(same, "NoCurrencyChange")


def _energy_transfer(station: SimStation, asked: Payload) -> Payload:
    return status(station.transaction(asked["transactionId"]) is not None)


V16: Table = {}
V201: Table = {}
V21: Table = {
    "SetDefaultTariff": _set_default,
    "GetTariffs": _get,
    "ClearTariffs": _clear,
    "ChangeTransactionTariff": _change,
    "NotifyAllowedEnergyTransfer": _energy_transfer,
    "AFRRSignal": fixed({"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedRequest"}}),
    "SetDERControl": _NOT_SUPPORTED,
    "GetDERControl": _NOT_SUPPORTED,
    "ClearDERControl": _NOT_SUPPORTED,
}
