"""What code written for mobilityhouse's ChargePoint relies on, and what ours has beside it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from ocpp.exceptions import GenericError, InternalError, OCPPError
from ocpp.routing import after as their_after
from ocpp.routing import on as their_on

from evcore.errors import CallError
from evcore.ocpp import CallContext, Codec, v16, v201
from evcore.ocpp.routing import after, create_route_map, on

NOW = "2026-11-23T18:00:00Z"
HEARTBEAT = '[2,"7","Heartbeat",{}]'
ANSWER = [3, "7", {"currentTime": NOW}]
VALUES = {
    "connectorId": 1,
    "meterValue": [{"timestamp": NOW, "sampledValue": [{"value": "1.5", "measurand": "Voltage", "unit": "V"}]}],
}


def heartbeat(self, **payload):
    return v16.call_result.Heartbeat(current_time=NOW)


def make(connection, *, version=v16, **members):
    return type("Point", (version.ChargePoint,), members)("CP", connection, response_timeout=5)


async def answered(point, connection, message):
    connection.sent.clear()
    await point.route_message(message if isinstance(message, str) else json.dumps(message))
    return connection.sent


# Handlers


@pytest.mark.parametrize("mark", [on, their_on])
async def test_handlers_are_found_whoever_marked_them(connection, mark):
    assert await answered(make(connection, on_heartbeat=mark("Heartbeat")(heartbeat)), connection, HEARTBEAT) == [
        ANSWER
    ]


@pytest.mark.parametrize("mark", [after, their_after])
async def test_after_runs_when_the_answer_is_out(connection, mark):
    seen = []

    async def follow(self, **payload):
        seen.append(list(connection.sent))
        await asyncio.sleep(0)
        seen.append("end")

    follow.__name__ = "after_heartbeat"
    point = make(connection, on_heartbeat=on("Heartbeat")(heartbeat), after_heartbeat=mark("Heartbeat")(follow))
    await point.route_message(HEARTBEAT)
    await point.settle()
    assert seen == [[ANSWER], "end"]


async def test_after_does_not_run_when_the_call_was_refused_or_its_answer_could_not_be_made(connection):
    ran = []
    for answer in ({"surplus": 1}, InternalError()):

        def fails(self, answer=answer, **payload):
            if isinstance(answer, Exception):
                raise answer
            return answer

        point = make(
            connection,
            on_heartbeat=on("Heartbeat")(fails),
            after_heartbeat=after("Heartbeat")(lambda self, **payload: ran.append(payload)),
        )
        assert (await answered(point, connection, HEARTBEAT))[0][:3] == [4, "7", "InternalError"]
    assert ran == []


async def test_after_gets_the_answer_where_it_asks_for_it_and_its_faults_cost_nothing(connection, caplog):
    seen = []

    def follow(self, call_response, **payload):
        seen.append(call_response)
        raise RuntimeError("after")

    mark = after("Heartbeat", inject_response=True)
    point = make(connection, on_heartbeat=on("Heartbeat")(heartbeat), after_heartbeat=mark(follow))
    assert await answered(point, connection, HEARTBEAT) == [ANSWER]
    assert seen == [{"current_time": NOW}]
    assert "after" in caplog.text


async def test_a_handler_gets_the_message_id_only_if_it_names_it(connection):
    seen = []

    class Point(v16.ChargePoint):
        @on("Heartbeat")
        def on_heartbeat(self, call_unique_id, **payload):
            seen.append((call_unique_id, payload))
            return v16.call_result.Heartbeat(current_time=NOW)

        @after("Heartbeat")
        def after_heartbeat(self, **payload):
            seen.append(payload)

    await Point("CP", connection).route_message(HEARTBEAT)
    assert seen == [("7", {}), {}]


async def test_a_handler_that_takes_not_all_members_gets_those_it_takes(connection):
    seen = []

    def on_values(self, connector_id):
        seen.append(connector_id)

    point = make(connection, on_values=on("MeterValues")(on_values))
    assert await answered(point, connection, [2, "7", "MeterValues", VALUES]) == [[3, "7", {}]]
    assert seen == [1]


async def test_nested_values_are_dataclasses_and_enums_where_they_are_wanted(connection):
    seen = []

    class Point(v16.ChargePoint):
        @on("MeterValues", typed=True)
        def on_values(self, meter_value: list[v16.datatypes.MeterValue], **payload):
            seen.append((meter_value, payload))

    await Point("CP", connection).route_message(json.dumps([2, "7", "MeterValues", VALUES]))
    [([value], rest)] = seen
    assert isinstance(value, v16.datatypes.MeterValue)
    assert value.sampled_value[0].measurand is v16.enums.Measurand.voltage
    assert value.sampled_value[0].phase is None
    assert rest == {"connector_id": 1}


async def test_typed_goes_by_the_dataclass_of_the_action_where_the_handler_says_nothing(connection):
    seen = []

    class Point(v201.ChargePoint):
        @on("BootNotification", typed=True)
        def on_boot(self, charging_station, reason, context: CallContext):
            seen.append((charging_station, reason))
            return v201.call_result.BootNotification(current_time=NOW, interval=1, status="Accepted")

        @after("BootNotification", typed=True)
        def after_boot(self, charging_station: dict, **payload):
            seen.append(charging_station)

    boot = {"chargingStation": {"model": "M", "vendorName": "V", "modem": {"iccid": "1"}}, "reason": "PowerUp"}
    await Point("CP", connection).route_message(json.dumps([2, "7", "BootNotification", boot]))
    (station, reason), plain = seen
    assert isinstance(station.modem, v201.datatypes.ModemType)
    assert reason is v201.enums.BootReasonEnumType.power_up
    assert plain == {"model": "M", "vendor_name": "V", "modem": {"iccid": "1"}}


async def test_a_value_that_an_enum_of_theirs_lacks_stays_a_string(connection):
    seen = []

    class Point(v16.ChargePoint):
        @on("StatusNotification", typed=True, skip_schema_validation=True)
        def on_status(self, status: v16.enums.ChargePointStatus, timestamp: datetime, **payload):
            seen.append((status, timestamp))

    status = {"connectorId": 1, "errorCode": "NoError", "status": "Sleeping", "timestamp": NOW}
    await Point("CP", connection).route_message(json.dumps([2, "7", "StatusNotification", status]))
    assert seen == [("Sleeping", datetime(2026, 11, 23, 18, tzinfo=UTC))]


async def test_the_context_says_where_the_arguments_come_from(connection):
    contexts = []

    class Point(v16.ChargePoint):
        @on("Heartbeat")
        def on_heartbeat(self, where: CallContext):
            contexts.append(where)
            return {"current_time": NOW}

        @after("Heartbeat")
        def after_heartbeat(self, context):
            contexts.append(context)

    began = time.monotonic_ns()
    await Point("CP", connection).route_message(HEARTBEAT)
    first, second = contexts
    assert (first.id, first.action, first.version, first.station) == ("7", "Heartbeat", "1.6", "CP")
    assert first.raw == HEARTBEAT.encode()
    assert first.repairs == ()
    assert first.answered_ns is None
    assert began <= first.received_ns <= second.answered_ns <= time.monotonic_ns()
    assert abs(first.received - datetime.now(UTC)) < timedelta(seconds=60)
    assert dataclasses.replace(second, answered_ns=None, received=first.received) == first


@pytest.mark.parametrize(
    ("raised", "code", "description"),
    [
        (GenericError("why"), "GenericError", "why"),
        (CallError("SecurityError", "no"), "SecurityError", "no"),
        (KeyError("secret"), "InternalError", "An unexpected error occurred."),
        (asyncio.CancelledError(), "InternalError", "An unexpected error occurred."),
    ],
)
@pytest.mark.parametrize("suspends", [False, True])
async def test_what_a_handler_raises_is_the_callerror(connection, raised, code, description, suspends):
    async def on_heartbeat(self, **payload):
        if suspends:
            await asyncio.sleep(0)
        raise raised

    point = make(connection, on_heartbeat=on("Heartbeat")(on_heartbeat))
    await point.route_message(HEARTBEAT)
    await point.settle()
    assert connection.sent == [[4, "7", code, description, {}]]


async def test_handlers_that_never_end_are_bounded_and_cost_no_answer_of_others(connection):
    stuck = asyncio.Event()

    async def on_heartbeat(self, **payload):
        await stuck.wait()
        return v16.call_result.Heartbeat(current_time=NOW)

    point = make(connection, on_heartbeat=on("Heartbeat")(on_heartbeat))
    for number in range(300):
        await point.route_message(json.dumps([2, f"h{number}", "Heartbeat", {}]))
    assert len(connection.sent) == 300 - 64
    assert {(answer[0], answer[2]) for answer in connection.sent} == {(4, "InternalError")}
    connection.sent.clear()
    stuck.set()
    await point.settle()
    assert {answer[0] for answer in connection.sent} == {3}


async def test_a_handler_that_takes_too_long_is_cancelled_and_its_call_refused(connection):
    ended = []

    async def on_heartbeat(self, **payload):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    kind = type("Point", (v16.ChargePoint,), {"on_heartbeat": on("Heartbeat")(on_heartbeat)})
    point = kind("CP", connection, handler_timeout=0.01)
    await point.route_message(HEARTBEAT)
    await point.settle()
    assert ended == [True]
    assert [answer[:3] for answer in connection.sent] == [[4, "7", "InternalError"]]


async def test_tasks_of_after_are_bounded_too(connection):
    stuck = asyncio.Event()

    async def follow(self, **payload):
        await stuck.wait()

    members = {"on_heartbeat": on("Heartbeat")(heartbeat), "after_heartbeat": after("Heartbeat")(follow)}
    point = make(connection, **members)
    for number in range(300):
        await point.route_message(json.dumps([2, f"h{number}", "Heartbeat", {}]))
    assert [answer[0] for answer in connection.sent].count(3) == 256
    stuck.set()
    await point.settle()


def test_a_route_map_takes_the_last_definition_and_reads_no_property():
    class Base(v16.ChargePoint):
        on_heartbeat = on("Heartbeat")(heartbeat)

        @property
        def trap(self):
            raise RuntimeError

    class Point(Base):
        @on("Heartbeat", skip_schema_validation=True)
        def on_heartbeat(self, **payload): ...

    class Without(Base):
        on_heartbeat = None

    assert create_route_map(Base("CP", None))["Heartbeat"]["_skip_schema_validation"] is False
    point = Point("CP", None)
    assert point.route_map == {"Heartbeat": {"_on_action": point.on_heartbeat, "_skip_schema_validation": True}}
    assert Without("CP", None).route_map == {}


# Without validation


async def test_a_call_and_an_answer_that_are_wrong_pass_where_nobody_wants_them_judged(connection):
    seen = []

    class Point(v16.ChargePoint):
        @on("BootNotification", skip_schema_validation=True)
        def on_boot(self, **payload):
            seen.append(payload)
            return v16.call_result.BootNotification(current_time=NOW, interval=1, status="Yolo")

    point = Point("CP", connection)
    wrong = {"firmwareVersion": "1", "vendorThing": {"subKey": 1}}
    assert await answered(point, connection, [2, "7", "BootNotification", wrong]) == [
        [3, "7", {"currentTime": NOW, "interval": 1, "status": "Yolo"}]
    ]
    assert seen == [{"firmware_version": "1", "vendor_thing": {"sub_key": 1}}]
    point.route_map["BootNotification"]["_skip_schema_validation"] = False  # as some users do, after all is made
    assert (await answered(point, connection, [2, "8", "BootNotification", wrong]))[0][0] == 4


async def test_an_action_that_no_schema_knows_can_be_handled_and_called(connection):
    class Point(v16.ChargePoint):
        @on("VendorAction", skip_schema_validation=True)
        def on_vendor(self, some_value):
            return {"otherValue": some_value}

    @dataclasses.dataclass
    class VendorAction:
        some_value: int
        not_set: str | None = None

    point = Point("CP", connection)
    message = [2, "7", "VendorAction", {"someValue": 5}]
    assert await answered(point, connection, message) == [[3, "7", {"otherValue": 5}]]
    asking = asyncio.ensure_future(point.call(VendorAction(5), unique_id="8", skip_schema_validation=True))
    assert await connection.next_sent(2) == [2, "8", "VendorAction", {"someValue": 5}]
    await point.route_message('[3,"8",{"otherValue":6}]')
    assert await asking == {"other_value": 6}
    with pytest.raises(OCPPError):
        await point.call(VendorAction(5))


async def test_an_answer_without_its_required_fields_has_them_as_none_where_it_is_not_judged(connection):
    point = make(connection)
    asking = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="1", skip_schema_validation=True))
    await connection.next_sent()
    await point.route_message('[3,"1",{}]')
    assert await asking == v16.call_result.ClearCache(status=None)


# Options


async def test_before_boot_all_passes_unless_a_role_is_given(connection):
    for role, kind in ((None, 3), ("csms", 4)):
        point = type("Point", (v16.ChargePoint,), {"on_heartbeat": on("Heartbeat")(heartbeat)})
        sent = await answered(point("CP", connection, role=role), connection, HEARTBEAT)
        assert sent[0][0] == kind


async def test_a_codec_of_ones_own_is_used(connection):
    point = make(connection, on_heartbeat=on("Heartbeat")(heartbeat))
    point._codec = Codec("1.6", mode="off")
    assert await answered(point, connection, '[2,"7","Heartbeat",{"surplus":1}]') == [ANSWER]
