"""The defects of mobilityhouse 2.1.0 that its users meet: each is shown there, and is not here.

The numbers are those of docs/moving-from-mobilityhouse.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from ocpp import routing as their_routing
from ocpp.exceptions import NotImplementedError as TheirNotImplementedError
from ocpp.exceptions import OCPPError

from evcore.ocpp import routing
from evcore.ocpp.schemas import schemas_of

HEARTBEAT = [2, "7", "Heartbeat", {}]
VERSIONS = ("1.6", "2.0.1", "2.1")


def point_of(module, on, **handlers):
    """A ChargePoint of either library with these handlers, action -> function of (self, **payload)."""
    made = {}
    for action, function in handlers.items():
        function.__name__ = f"on_{action}"  # theirs goes by it
        made[function.__name__] = on(action)(function)
    return type("Point", (module.ChargePoint,), made)


def heartbeat(module):
    def on_heartbeat(self, **payload):
        return module.call_result.Heartbeat(current_time="2026-11-23T18:00:00Z")

    return on_heartbeat


@pytest.fixture
def both(ours, theirs):
    """both(version): ours then theirs, as (module, on)."""
    return lambda version: ((ours(version), routing.on), (theirs(version), their_routing.on))


async def test_1_a_handler_may_call_the_peer_while_its_own_call_is_open(both, connection, running):
    for module, on in both("1.6"):

        async def on_heartbeat(self, module=module, **payload):
            answer = await self.call(module.call.ClearCache())
            return module.call_result.Heartbeat(current_time=answer.status)

        point = point_of(module, on, Heartbeat=on_heartbeat)("CP", connection, response_timeout=0.2)
        task = running(point)
        connection.sent.clear()
        connection.say(HEARTBEAT)
        asked = await connection.next_sent(1)
        assert asked[2] == "ClearCache"
        connection.say([3, asked[1], {"status": "Accepted"}])
        answer = await connection.next_sent(2)
        if on is routing.on:
            assert answer == [3, "7", {"currentTime": "Accepted"}]
        else:  # its reader waits for the handler, and so never sees the answer
            assert answer[:3] == [4, "7", "InternalError"]
        task.cancel()


async def test_1_a_slow_handler_does_not_keep_answers_from_others(ours, connection, running):
    module, released = ours("1.6"), asyncio.Event()

    async def on_heartbeat(self, **payload):
        await released.wait()
        return module.call_result.Heartbeat(current_time="2026-11-23T18:00:00Z")

    point = point_of(module, routing.on, Heartbeat=on_heartbeat)("CP", connection)
    running(point)
    connection.say(HEARTBEAT)
    asking = asyncio.ensure_future(point.call(module.call.ClearCache()))
    asked = await connection.next_sent(1)
    connection.say([3, asked[1], {"status": "Accepted"}])
    assert (await asking).status == "Accepted"
    released.set()
    assert (await connection.next_sent(2))[:2] == [3, "7"]


async def test_2_answers_that_nobody_asked_for_cost_the_next_call_nothing(both, connection):
    for module, _ in both("1.6"):
        point = module.ChargePoint("CP", connection, response_timeout=5)
        connection.sent.clear()
        for number in range(2000):
            await point.route_message(json.dumps([3, f"stray {number}", {}]))
        asking = asyncio.ensure_future(point.call(module.call.ClearCache(), unique_id="1"))
        if module is both("1.6")[0][0]:
            await connection.next_sent(1)
            await point.route_message('[3,"1",{"status":"Accepted"}]')
            assert (await asking).status == "Accepted"
            assert point.anomalies["unknown_answer"] == 2000
        else:
            with pytest.raises(RecursionError):
                await asking


@pytest.mark.parametrize("answer", [{"current_time": "2026-11-23T18:00:00Z"}, {"currentTime": "2026-11-23T18:00:00Z"}])
async def test_3_a_handler_may_return_a_mapping_with_either_names(both, connection, answer):
    for module, on in both("1.6"):
        point = point_of(module, on, Heartbeat=lambda self, **payload: answer)("CP", connection)
        connection.sent.clear()
        if on is routing.on:
            await point.route_message(json.dumps(HEARTBEAT))
            assert connection.sent == [[3, "7", {"currentTime": "2026-11-23T18:00:00Z"}]]
        else:
            with pytest.raises(TypeError):
                await point.route_message(json.dumps(HEARTBEAT))


@pytest.mark.parametrize("nonsense", [7, "text", None, object(), {"current_time": object()}, [1], {1: 2}])
async def test_3_nonsense_from_a_handler_costs_that_call_only(ours, connection, running, nonsense):
    module = ours("1.6")
    point = point_of(module, routing.on, Heartbeat=lambda self, **payload: nonsense)("CP", connection)
    task = running(point)
    connection.say(HEARTBEAT, [2, "8", "Heartbeat", {}])
    assert (await connection.next_sent(1))[:3] == [4, "7", "InternalError"]
    assert (await connection.next_sent(2))[:3] == [4, "8", "InternalError"]
    assert not task.done()


@pytest.mark.parametrize("version", VERSIONS)
async def test_4_what_has_no_handler_is_answered_in_every_version(both, connection, version):
    for module, on in both(version):
        connection.sent.clear()
        point = module.ChargePoint("CP", connection)
        await point.route_message(json.dumps(HEARTBEAT))
        await point.route_message('[2,"8","NoSuchAction",{}]')
        silent = on is their_routing.on and version == "2.1"
        assert len(connection.sent) == (0 if silent else 2)


async def test_5_types_5_and_6_are_taken_and_sent(both, connection, ours):
    """The stream of 2.1 is a SEND: it has a handler, and no answer."""
    stream = {"id": 1, "pending": 0, "basetime": "2026-11-23T18:00:00Z", "data": [{"t": 0, "v": "1"}]}
    for module, on in both("2.1"):
        got = []
        handlers = {"NotifyPeriodicEventStream": lambda self, got=got, **payload: got.append(payload)}
        point = point_of(module, on, **handlers)("CP", connection)
        await point.route_message(json.dumps([6, "1", "NotifyPeriodicEventStream", stream]))
        await point.route_message('[5,"2","FormatViolation","no",{}]')
        assert got == ([stream] if on is routing.on else [])
    assert connection.sent == []
    stream_class = type("NotifyPeriodicEventStream", (dict,), {})
    assert await ours("2.1").ChargePoint("CP", connection).call(stream_class(stream)) is None
    assert connection.sent[0][0] == 6
    assert connection.sent[0][2:] == ["NotifyPeriodicEventStream", stream]


@pytest.mark.parametrize("broken", ["{", "[]", "7", '{"a":1}', '[2,"1"]', '[9,"1",{}]', '[2,"1","Heartbeat",{},{}]'])
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_6_what_is_no_frame_is_answered_where_the_version_has_an_answer(both, connection, version, broken):
    for module, on in both(version):
        connection.sent.clear()
        await module.ChargePoint("CP", connection).route_message(broken)
        if on is their_routing.on:
            assert connection.sent == []
        elif version == "2.0.1":
            assert connection.sent[0][0] == 4
            assert connection.sent[0][1] in ("-1", "1")


@pytest.mark.parametrize("id", [7, "x" * 200])
async def test_7_an_id_that_is_none_is_not_taken(both, connection, id):
    for module, on in both("2.0.1"):
        connection.sent.clear()
        point = point_of(module, on, Heartbeat=heartbeat(module))("CP", connection)
        await point.route_message(json.dumps([2, id, "Heartbeat", {}]))
        [answer] = connection.sent
        assert answer[:2] == ([4, "-1"] if on is routing.on else [3, id])


@pytest.mark.parametrize("version", VERSIONS)
async def test_8_a_payload_of_null_is_an_empty_one(both, connection, version):
    for module, on in both(version):
        connection.sent.clear()
        point = point_of(module, on, Heartbeat=heartbeat(module))("CP", connection)
        await point.route_message('[2,"7","Heartbeat",null]')
        assert connection.sent[0][0] == (3 if on is routing.on else 4)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_9_not_implemented_is_unknown_and_not_supported_is_known(both, connection, version):
    for module, on in both(version):
        connection.sent.clear()
        point = module.ChargePoint("CP", connection)
        await point.route_message('[2,"1","NoSuchAction",{}]')
        await point.route_message(json.dumps(HEARTBEAT))
        codes = [answer[2] for answer in connection.sent]
        right = ["NotImplemented", "NotSupported"]
        assert codes == (right if on is routing.on else right[::-1])


async def test_10_1_6_gets_the_spelling_of_its_own_table(both, connection):
    for module, on in both("1.6"):
        connection.sent.clear()
        point = point_of(module, on, Heartbeat=heartbeat(module))("CP", connection)
        await point.route_message('[2,"7","Heartbeat",{"surplus":1}]')
        assert connection.sent[0][2] == ("FormationViolation" if on is routing.on else "FormatViolation")


def test_11_every_field_of_the_2_1_dataclasses_goes_out_by_the_name_of_its_schema(ours):
    """`limit_l2` is `limit_L2` on the wire, and so on; 41 fields of 2.1 cannot be sent by mobilityhouse at all."""
    from ocpp.charge_point import snake_to_camel_case

    from evcore.ocpp.names import snake

    mangled, datatypes = set(), ours("2.1").datatypes

    def walk(node):
        for wire, member in node.get("properties", node.get("items", {}).get("properties", {})).items():
            if wire not in snake_to_camel_case({snake(wire): 0}):
                mangled.add(wire)
            walk(member)

    for key in schemas_of("2.1").messages:  # that all of them come back is tested with the codec
        walk(schemas_of("2.1").get(*key).root)
    assert len(mangled) > 20
    assert datatypes.ChargingSchedulePeriodType(start_period=0, limit_l2=1.0).limit_l2 == 1.0


async def test_11_a_limit_of_a_phase_arrives_under_its_name(both, connection):
    for module, on in both("2.1"):
        connection.sent.clear()
        types = module.datatypes
        schedule = types.ChargingScheduleType(
            id=1,
            charging_rate_unit="A",
            charging_schedule_period=[types.ChargingSchedulePeriodType(start_period=0, limit=6.0, limit_l2=7.0)],
        )
        profile = types.ChargingProfileType(
            id=1,
            stack_level=0,
            charging_profile_purpose="TxDefaultProfile",
            charging_profile_kind="Relative",
            charging_schedule=[schedule],
        )
        asking = module.ChargePoint("CP", connection, response_timeout=0.05).call(
            module.call.SetChargingProfile(evse_id=1, charging_profile=profile)
        )
        if on is routing.on:
            with pytest.raises(TimeoutError):
                await asking
            [period] = connection.sent[0][3]["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
            assert period == {"startPeriod": 0, "limit": 6.0, "limit_L2": 7.0}
        else:
            with pytest.raises(OCPPError):
                await asking


async def test_12_the_inside_of_custom_data_passes_untouched(both, connection):
    custom = {"vendorId": "V", "MyKEYName": {"aB": 1}}
    for module, on in both("2.0.1"):
        connection.sent.clear()
        got = []

        def on_heartbeat(self, module=module, got=got, **payload):
            got.append(payload["custom_data"])
            return module.call_result.Heartbeat(current_time="2026-11-23T18:00:00Z", custom_data=custom)

        point = point_of(module, on, Heartbeat=on_heartbeat)("CP", connection)
        await point.route_message(json.dumps([2, "7", "Heartbeat", {"customData": custom}]))
        assert (got[0] == custom) is (on is routing.on)
        if on is routing.on:
            assert connection.sent[0][2]["customData"] == custom


async def test_13_an_answer_with_a_surplus_field_is_taken_when_it_need_not_be_valid(both, connection):
    for module, on in both("1.6"):
        point = module.ChargePoint("CP", connection, response_timeout=5)
        connection.sent.clear()
        asking = asyncio.ensure_future(point.call(module.call.ClearCache(), unique_id="1", skip_schema_validation=True))
        await connection.next_sent(1)
        await point.route_message('[3,"1",{"status":"Accepted","surplus":1}]')
        if on is routing.on:
            assert (await asking).status == "Accepted"
        else:
            with pytest.raises(TypeError):
                await asking


async def test_14_a_short_callerror_ends_its_call_at_once(both, connection):
    for module, on in both("1.6"):
        point = module.ChargePoint("CP", connection, response_timeout=0.3 if on is their_routing.on else 60)
        connection.sent.clear()
        asking = asyncio.ensure_future(point.call(module.call.ClearCache(), unique_id="1"))
        await connection.next_sent(1)
        await point.route_message('[4,"1","GenericError"]')
        with pytest.raises(OCPPError if on is routing.on else TimeoutError):
            await asking


async def test_15_the_report_of_a_violation_is_short_and_quotes_no_payload(both, connection):
    payload = {"connectorId": 1, "errorCode": "Wrong", "status": "Available", "vendorId": "secret" * 30}
    for module, on in both("1.6"):
        connection.sent.clear()
        handlers = {"StatusNotification": lambda self, **payload: None}
        with contextlib.suppress(TypeError):  # theirs may not even be able to make JSON of it
            await point_of(module, on, **handlers)("CP", connection).route_message(
                json.dumps([2, "7", "StatusNotification", payload])
            )
        report = json.dumps(connection.sent)
        assert ("secretsecret" in report or not connection.sent) is (on is their_routing.on)
        if on is routing.on:
            assert len(report) < 400
            assert connection.sent[0][2] == "PropertyConstraintViolation"
            assert "/errorCode" in report


def test_their_exceptions_are_the_ones_we_raise():
    assert issubclass(TheirNotImplementedError, OCPPError)
