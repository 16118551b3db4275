"""The CALLs of a ChargePoint itself, as code written for mobilityhouse makes them."""

from __future__ import annotations

import asyncio
import json

import pytest
from ocpp.exceptions import GenericError, OCPPError, UnknownCallErrorCodeError

from evcore.errors import CallError, LinkError
from evcore.ocpp import v16, v201


def make(connection, version=v16):
    return version.ChargePoint("CP", connection, response_timeout=5)


async def calling(point, connection, answer, payload=None, **options):
    """The end of a call that is answered so; UNIQUE stands for its id."""
    number = len(connection.sent) + 1
    asking = asyncio.ensure_future(point.call(payload or v16.call.ClearCache(), **options))
    sent = await connection.next_sent(number)
    await point.route_message(json.dumps(answer).replace("UNIQUE", sent[1]))
    return await asking


async def test_a_call_error_is_none_unless_it_is_wanted(connection):
    point, refusal = make(connection), [4, "UNIQUE", "GenericError", "why", {"a": 1}]
    assert await calling(point, connection, refusal) is None
    with pytest.raises(GenericError) as raised:
        await calling(point, connection, refusal, suppress=False)
    assert (raised.value.description, raised.value.details) == ("why", {"a": 1})
    assert isinstance(raised.value.__cause__, CallError)


@pytest.mark.parametrize("code", ["RpcFrameworkError", "MessageTypeNotSupported", "OccurenceConstraintViolation"])
async def test_every_code_of_the_texts_has_its_exception(connection, code):
    with pytest.raises(OCPPError) as raised:
        await calling(make(connection), connection, [4, "UNIQUE", code, "", {}], suppress=False)
    assert raised.value.code == code


async def test_a_code_of_no_text_raises_what_it_raises_in_theirs(connection):
    with pytest.raises(UnknownCallErrorCodeError):
        await calling(make(connection), connection, [4, "UNIQUE", "Bogus", "", {}], suppress=False)


async def test_an_answer_that_breaks_its_schema_costs_that_call_and_is_raised(connection):
    point = make(connection)
    with pytest.raises(OCPPError) as raised:
        await calling(point, connection, [3, "UNIQUE", {"status": "Perhaps"}])
    assert "/status" in raised.value.details["cause"]
    assert (await calling(point, connection, [3, "UNIQUE", {"status": "Accepted"}])).status == "Accepted"


async def test_an_answer_can_be_had_with_dataclasses_inside(connection):
    payload = v16.call.GetConfiguration()
    entry = {"key": "K", "readonly": True, "value": "V"}
    answer = [3, "UNIQUE", {"configurationKey": [entry]}]
    plain = await calling(make(connection), connection, answer, payload)
    assert plain.configuration_key == [entry]
    point = make(connection, v201)
    variables = v201.call.GetVariables([v201.datatypes.GetVariableDataType({"name": "C"}, {"name": "V"})])
    result = {"attributeStatus": "Accepted", "component": {"name": "C"}, "variable": {"name": "V"}}
    typed = await calling(point, connection, [3, "UNIQUE", {"getVariableResult": [result]}], variables, typed=True)
    assert isinstance(typed.get_variable_result[0].component, v201.datatypes.ComponentType)


async def test_ids_come_from_the_generator_or_the_caller(connection):
    point = make(connection)
    point._unique_id_generator = lambda: 1337
    await calling(point, connection, [3, "UNIQUE", {"status": "Accepted"}])
    await calling(point, connection, [3, "UNIQUE", {"status": "Accepted"}], unique_id="mine")
    assert [message[1] for message in connection.sent] == ["1337", "mine"]


async def test_no_answer_in_time_is_a_timeout_and_the_lock_is_free_again(connection):
    point = v16.ChargePoint("CP", connection, response_timeout=0.05)
    with pytest.raises(asyncio.TimeoutError):
        await point.call(v16.call.ClearCache())
    assert not point._call_lock.locked()


async def test_calls_take_turns_and_no_more_than_64_wait(connection):
    point = make(connection)
    asking = [asyncio.ensure_future(point.call(v16.call.ClearCache())) for _ in range(64)]
    await connection.next_sent()
    with pytest.raises(LinkError):
        await point.call(v16.call.ClearCache())
    for number in range(1, 65):
        id = (await connection.next_sent(number))[1]
        assert len(connection.sent) == number
        await point.route_message(json.dumps([3, id, {"status": "Accepted"}]))
    assert all(answer.status == "Accepted" for answer in await asyncio.gather(*asking))


async def test_a_call_that_is_given_up_does_not_hold_the_next(connection):
    point = make(connection)
    asking = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="1"))
    await connection.next_sent()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    following = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="2"))
    await asyncio.sleep(0)
    await point.route_message('[3,"1",{"status":"Rejected"}]')
    assert (await connection.next_sent(2))[1] == "2"
    await point.route_message('[3,"2",{"status":"Accepted"}]')
    assert (await following).status == "Accepted"


async def test_a_call_that_is_given_up_and_never_answered_holds_the_next_until_its_time_is_over(connection):
    point = v16.ChargePoint("CP", connection, response_timeout=0.2)
    asking = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="1"))
    await connection.next_sent()
    asking.cancel()
    await asyncio.sleep(0.05)
    following = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="2"))
    assert (await connection.next_sent(2))[1] == "2"
    await point.route_message('[3,"2",{"status":"Accepted"}]')
    assert (await following).status == "Accepted"


@pytest.mark.parametrize(
    ("payload", "got"),
    [
        (None, "got None"),
        ({}, "got dict"),
        ({"action": "Heartbeat"}, "got dict"),
        ("Heartbeat", "got str"),
        (object(), "got object"),
        (v16.call.Heartbeat, "got the class Heartbeat itself"),
        (v201.call.Heartbeat(), "got ocpp.v201.call.Heartbeat"),
        (v201.call.GetVariables([]), "got ocpp.v201.call.GetVariables"),
        (v16.call_result.Heartbeat("2026-11-23T18:00:00Z"), "got ocpp.v16.call_result.Heartbeat"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"skip_schema_validation": True, "unique_id": "x", "suppress": False}])
async def test_a_payload_that_is_none_of_this_version_is_a_type_error_and_nothing_goes_out(
    connection, running, payload, got, more
):
    point = v16.ChargePoint("CP", connection)
    running(point)
    with pytest.raises(TypeError, match="^payload: expected .*ocpp.v16.call.*" + got):
        await point.call(payload, **more)
    assert connection.sent == []
    assert point._exchange()._waiting == {}
    assert (point._calls_waiting, point._exchange().codec.calls) == (0, set())
    asked = asyncio.create_task(point.call(v16.call.ClearCache(), unique_id="x"))
    assert (await connection.next_sent())[2] == "ClearCache"
    connection.say([3, "x", {"status": "Accepted"}])
    assert (await asked).status == "Accepted"


async def test_a_dataclass_of_the_users_own_and_one_made_of_that_of_the_version_are_payloads(connection, running):
    class ClearCache(v16.call.ClearCache):
        pass

    point = v16.ChargePoint("CP", connection)
    running(point)
    asked = asyncio.create_task(point.call(ClearCache(), unique_id="x"))
    assert (await connection.next_sent())[2] == "ClearCache"
    connection.say([3, "x", {"status": "Accepted"}])
    assert (await asked).status == "Accepted"
