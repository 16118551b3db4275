"""Subclasses that reach inside, as those of lbbrhzn/ocpp, EVerest's tests and others; and other connections."""

from __future__ import annotations

import asyncio
import json

import pytest
from ocpp.exceptions import GenericError, NotSupportedError
from ocpp.messages import Call, CallError, CallResult, unpack

from evcore.errors import LinkError
from evcore.ocpp import v16, v201
from evcore.ocpp.routing import on

NOW = "2026-11-23T18:00:00Z"
HEARTBEAT = '[2,"7","Heartbeat",{}]'
ANSWER = [3, "7", {"currentTime": NOW}]
BOOT = {"chargePointModel": "M", "chargePointVendor": "V"}


class Point(v16.ChargePoint):
    @on("Heartbeat")
    async def on_heartbeat(self, **payload):
        return v16.call_result.Heartbeat(current_time=NOW)


async def test_handle_call_may_be_overridden_and_gets_their_call_with_wire_names(connection):
    seen = []

    class Watching(Point):
        async def _handle_call(self, msg):
            seen.append((type(msg).__mro__[1], msg.unique_id, msg.action, msg.payload, msg.message_type_id))
            try:
                await super()._handle_call(msg)
            except NotSupportedError as error:
                await self._send(msg.create_call_error(error).to_json())

    point = Watching("CP", connection)
    await point.route_message(json.dumps([2, "6", "BootNotification", BOOT]))
    await point.route_message(HEARTBEAT)
    assert seen == [(Call, "6", "BootNotification", BOOT, 2), (Call, "7", "Heartbeat", {}, 2)]
    assert connection.sent[0][:3] == [4, "6", "NotSupported"]
    assert connection.sent[1:] == [ANSWER]
    for number in range(100):  # what was answered by other means holds no place in the session
        await point.route_message(json.dumps([2, f"b{number}", "BootNotification", BOOT]))
    assert {answer[2] for answer in connection.sent[2:]} == {"NotSupported"}


async def test_an_override_that_fails_costs_that_call_only(connection):
    class Failing(Point):
        async def _handle_call(self, msg):
            await asyncio.sleep(0)
            raise ValueError("oops")

    point = Failing("CP", connection)
    await point.route_message(HEARTBEAT)
    await point.settle()
    assert [answer[:3] for answer in connection.sent] == [[4, "7", "InternalError"]]


async def test_an_overridden_route_message_may_unpack_by_itself(connection):
    class Unpacking(Point):
        async def route_message(self, raw_msg):
            await self._handle_call(unpack(raw_msg))

    await Unpacking("CP", connection).route_message(HEARTBEAT)
    assert connection.sent == [ANSWER]


async def test_get_specific_response_may_raise_what_was_refused(connection):
    class Raising(Point):
        async def _get_specific_response(self, unique_id, timeout):
            response = await super()._get_specific_response(unique_id, timeout)
            assert isinstance(response, CallError | CallResult)
            if isinstance(response, CallError):
                raise response.to_exception()
            assert response.payload == {"configurationKey": []}
            return response

    point = Raising("CP", connection)
    asking = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="1"))
    await connection.next_sent()
    await point.route_message('[4,"1","GenericError","why",{}]')
    with pytest.raises(GenericError):
        await asking
    asking = asyncio.ensure_future(point.call(v16.call.GetConfiguration(), unique_id="2"))
    await connection.next_sent(2)
    await point.route_message('[3,"2",{"configurationKey":[]}]')
    assert (await asking).configuration_key == []


async def test_a_call_may_be_sent_by_hand_under_the_lock_and_its_answer_awaited(connection):
    point = Point("CP", connection)
    async with point._call_lock:
        id = str(point._unique_id_generator())
        await point._send(json.dumps([2, id, "ChangeConfiguration", {"key": "K"}]))  # wrong on purpose
        asking = asyncio.ensure_future(point._get_specific_response(id, 5))
        await asyncio.sleep(0)
        await point.route_message(json.dumps([4, id, "FormationViolation", "", {}]))
        assert (await asking).error_code == "FormationViolation"
        with pytest.raises(TimeoutError):
            await point._get_specific_response("never", 0.01)


async def test_start_may_be_overridden_and_do_its_own_receiving(connection):
    class Recording(Point):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.history = []

        async def start(self):
            try:
                while True:
                    message = await self._connection.recv()
                    self.history.append(message)
                    await self.route_message(message)
            except ConnectionResetError:
                self.history.append("end")

        async def _send(self, message):
            self.history.append(message)
            await self._connection.send(message)

    point = Recording("CP", connection)
    connection.say(HEARTBEAT)
    connection.end()
    await point.start()
    assert point.history == [HEARTBEAT, json.dumps(ANSWER, separators=(",", ":")), "end"]


async def test_the_version_may_be_set_after_the_constructor_and_validation_turned_off_by_route(connection):
    class Either(Point):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._call, self._call_result, self._ocpp_version = v201.call, v201.call_result, "2.0.1"
            for action in self.route_map:
                self.route_map[action]["_skip_schema_validation"] = True

    point = Either("CP", connection)
    await point.route_message('[2,"7","Heartbeat",{"surplus":1}]')
    asking = asyncio.ensure_future(point.call(v201.call.Reset(type="Immediate"), unique_id="8"))
    await connection.next_sent(2)
    await point.route_message('[3,"8",{"status":"Scheduled"}]')
    assert connection.sent[0] == ANSWER
    assert isinstance(await asking, v201.call_result.Reset)


async def test_one_point_may_start_again_on_another_connection(connection, running):
    other = type(connection)()
    point = Point("CP", connection)
    first = running(point)
    connection.say(HEARTBEAT)
    assert await connection.next_sent() == ANSWER
    asking = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="1"))
    await connection.next_sent(2)
    connection.end()
    with pytest.raises(LinkError):
        await asking
    with pytest.raises(ConnectionResetError):
        await first
    point._connection = other
    running(point)
    other.say('[3,"1",{"status":"Accepted"}]', HEARTBEAT)
    assert await other.next_sent() == ANSWER
    assert point.anomalies == {"unknown_answer": 1}
    asking = asyncio.ensure_future(point.call(v16.call.ClearCache(), unique_id="2"))
    await other.next_sent(2)
    other.say('[3,"2",{"status":"Accepted"}]')
    assert (await asking).status == "Accepted"


async def test_the_old_loop_ends_when_the_connection_was_changed_under_it(connection, running):
    point = Point("CP", connection)
    old = running(point)
    connection.say(HEARTBEAT)
    await connection.next_sent()
    point._connection = type(connection)()
    connection.say('[2,"8","Heartbeat",{}]')
    await old
    assert point._connection.sent == []


async def test_a_handler_of_a_connection_that_ended_goes_on_and_its_answer_goes_nowhere(connection, running):
    gate, done = asyncio.Event(), []

    class Slow(v16.ChargePoint):
        @on("Heartbeat")
        async def on_heartbeat(self):
            await gate.wait()
            done.append(True)
            return {"current_time": NOW}

    point = Slow("CP", connection)
    task = running(point)
    connection.say(HEARTBEAT)
    connection.end()
    with pytest.raises(ConnectionResetError):
        await task
    gate.set()
    await point.settle()
    assert done == [True]
    assert connection.sent == []


@pytest.mark.parametrize(("receive", "send"), [("receive_text", "send_text"), ("receive_str", "send_str")])
async def test_a_connection_may_be_one_of_fastapi_or_aiohttp(connection, running, receive, send):
    """Starlette's WebSocket has a `send` as well, which takes something else."""

    async def wrong(self, message):
        raise AssertionError

    kind = type("Other", (), {receive: lambda self: connection.recv(), send: lambda self, text: connection.send(text)})
    kind.send = wrong
    running(Point("CP", kind()))
    connection.say(HEARTBEAT)
    assert await connection.next_sent() == ANSWER


@pytest.mark.parametrize("message", [b'[2,"7","Heartbeat",{}]', bytearray(b'[2,"7","Heartbeat",{}]'), HEARTBEAT])
async def test_messages_may_be_bytes(connection, message):
    await Point("CP", connection).route_message(message)
    assert connection.sent == [ANSWER]


async def test_half_a_surrogate_pair_is_no_frame(connection):
    point = Point("CP", connection)
    await point.route_message('[2,"7","Heartbeat",{"a":"\ud800"}]')
    assert [answer[:3] for answer in connection.sent] == [[4, "7", "FormationViolation"]]
    assert sum(point.anomalies.values()) == 1


async def test_what_cannot_be_sent_ends_the_reader_with_the_reason(connection, running):
    async def send(text):
        raise ConnectionAbortedError("gone")

    connection.send = send
    task = running(Point("CP", connection))
    connection.say(HEARTBEAT)
    with pytest.raises(ConnectionAbortedError):
        await task
