"""Every action that a CSMS may send has an answer of the simulated station that its schema allows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from ocpp_cases import Cases

from evcore.chargers.ocpp_v2 import Dialect2
from evcore.chargers.ocpp_v16 import Dialect16
from evcore.errors import CallError
from evcore.ocpp import Codec
from evcore.ocpp.events import Called
from evcore.ocpp.schemas import schemas_of
from evcore.sim import SimStation
from evcore.sim.answers import TABLES, answer
from evcore.sim.charging_profiles import KeptProfile, limits

VERSIONS = ("1.6", "2.0.1", "2.1")
OF_STATIONS = {"1.6": Dialect16, "2.0.1": Dialect2, "2.1": Dialect2}
EACH = 60


def asked_of_a_station(version: str) -> list[str]:
    """The actions of a version that stations do not send themselves."""
    said = {*OF_STATIONS[version].HANDLERS, *OF_STATIONS[version].NOTICES} - {"DataTransfer"}
    return sorted(action for kind, action in schemas_of(version).messages if kind == "request" and action not in said)


@pytest.fixture
async def station(request: pytest.FixtureRequest) -> AsyncIterator[SimStation]:
    made = SimStation("ws://127.0.0.1:9", "CP1", version=request.param, evses=2, speed=100, backoff_s=60)
    life = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    yield made
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tables_have_every_action_and_no_other(version: str) -> None:
    assert sorted(TABLES[version]) == asked_of_a_station(version)


@pytest.mark.parametrize("station", VERSIONS, indirect=True)
async def test_whatever_is_asked_the_answer_and_what_follows_it_fit_their_schemas(station: SimStation) -> None:
    version, told = station.version, list[tuple[str, Any]]()
    codec, schemas = Codec(version, formats=True), schemas_of(station.version)
    station.tell = lambda action, payload: told.append((action, payload))  # type: ignore[method-assign]
    answered = 0
    for action in asked_of_a_station(version):
        schema = schemas.get("request", action)
        assert schema is not None
        cases = Cases(schema, 7)
        for _ in range(EACH):
            case = cases.valid()
            payload = json.loads(case.text)
            called: Any = Called("1", action, payload, case.text, None, 0)  # type: ignore[arg-type]
            with suppress(CallError):  # only a text that is no time may be refused
                codec.encode_result("1", action, answer(station, called))
                answered += 1
            for one in told:
                codec.encode_call("1", *one)
            told.clear()
    assert answered > EACH * len(TABLES[version]) // 2
    await asyncio.sleep(0.1)  # for what goes on about files
    for one in told:
        codec.encode_call("1", *one)


def profile(
    purpose: str, periods: Any = ((0, 7),), *, stack: int = 0, kind: str = "Absolute", schedule: Any = None, **more: Any
) -> KeptProfile:
    """Of EVSE 1, kept since 5000 s; its schedule starts at 1000 s."""
    times = {
        "chargingRateUnit": "W",
        "startSchedule": "1970-01-01T00:16:40Z",
        "chargingSchedulePeriod": [{"startPeriod": start, "limit": limit} for start, limit in periods],
    }
    head = {"stackLevel": stack, "chargingProfilePurpose": purpose, "chargingProfileKind": kind}
    return KeptProfile(stack, 1, head | {"chargingSchedule": times | (schedule or {})} | more, since=5000.0)


DEFAULT = "TxDefaultProfile"
TWO = {"purpose": DEFAULT, "periods": ((0, 9), (60, 5))}


@pytest.mark.parametrize(
    ("kept", "at", "began", "expected"),
    [
        ([TWO], 999, None, {}),
        ([TWO], 1000, None, {DEFAULT: 9}),
        ([TWO], 1060, None, {DEFAULT: 5}),
        ([TWO | {"schedule": {"duration": 30}}], 1030, None, {}),
        ([TWO, {"purpose": DEFAULT, "stack": 1}], 2000, None, {DEFAULT: 7}),
        ([TWO, {"purpose": DEFAULT, "stack": 1, "schedule": {"duration": 1}}], 2000, None, {DEFAULT: 5}),
        ([{"purpose": "TxProfile"}], 2000, None, {}),
        ([TWO, {"purpose": "TxProfile"}], 2000, 1500, {"TxProfile": 7, DEFAULT: 5}),
        ([TWO | {"kind": "Relative"}], 8059, 8000, {DEFAULT: 9}),
        ([TWO | {"kind": "Relative"}], 8060, 8000, {DEFAULT: 5}),
        ([TWO | {"kind": "Relative"}], 5061, None, {DEFAULT: 5}),
        ([TWO | {"kind": "Recurring", "recurrencyKind": "Daily"}], 86_400 * 3 + 1059, None, {DEFAULT: 9}),
        ([TWO | {"kind": "Recurring", "recurrencyKind": "Weekly"}], 86_400 * 3 + 1059, None, {DEFAULT: 5}),
        ([TWO | {"validTo": "1970-01-01T00:20:00Z"}], 1200, None, {}),
        ([TWO | {"validFrom": "1970-01-01T00:20:00Z"}], 1199, None, {}),
    ],
)
def test_the_limit_that_holds(kept: list[Any], at: float, began: float | None, expected: dict[str, float]) -> None:
    profiles = [profile(**one) for one in kept]
    assert limits(profiles, 1, at, began) == {purpose: (limit, "W") for purpose, limit in expected.items()}
