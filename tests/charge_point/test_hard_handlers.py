"""A handler, or a caller that goes away, costs one CALL: never the connection, another CALL or the program's end."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from ocpp.exceptions import GenericError

from evcore.errors import LinkError
from evcore.ocpp import v16, v21
from evcore.ocpp.routing import after, create_route_map, on

NOW = "2026-11-23T18:00:00Z"
STREAM = {"id": 1, "pending": 0, "basetime": NOW, "data": [{"t": 1, "v": "1"}]}


class Stop(BaseException):
    """As test frameworks and other event loops have them."""


class Mute:
    def __str__(self):
        raise RuntimeError("no text")


def make(connection, version=v16, **members):
    return type("Point", (version.ChargePoint,), members)("CP", connection, response_timeout=5)


async def handed_over(self, message):
    await v16.ChargePoint._handle_call(self, message)


@pytest.mark.parametrize(
    "raised", [asyncio.CancelledError(), Stop(), GenericError(Mute())], ids=["cancelled", "base", "mute"]
)
@pytest.mark.parametrize("suspends", [None, False, True])
@pytest.mark.parametrize("members", [{}, {"_handle_call": handed_over}], ids=["own", "overridden"])
async def test_whatever_a_handler_raises_costs_its_call_only(connection, running, raised, suspends, members):
    def plain(self):
        raise raised

    async def coroutine(self):
        if suspends:
            await asyncio.sleep(0)
        raise raised

    handler = on("Heartbeat")(plain if suspends is None else coroutine)
    point = make(connection, on_heartbeat=handler, **members)
    reader = running(point)
    connection.say([2, "1", "Heartbeat", {}], [2, "2", "ClearCache", {}])
    await connection.next_sent(2)
    assert sorted(message[1] for message in connection.sent) == ["1", "2"]
    assert {message[0] for message in connection.sent} == {4}
    assert not reader.done()


@pytest.mark.parametrize("suspends", [False, True])
async def test_whatever_after_raises_costs_nothing(connection, running, suspends):
    async def late(self):
        if suspends:
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    point = make(
        connection, on_it=on("ClearCache")(lambda self: {"status": "Accepted"}), late=after("ClearCache")(late)
    )
    reader = running(point)
    connection.say([2, "1", "ClearCache", {}], [2, "2", "ClearCache", {}])
    await connection.next_sent(2)
    await point.settle()
    assert [message[0] for message in connection.sent] == [3, 3]
    assert not reader.done()


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
async def test_what_ends_the_program_ends_it_from_a_handler_too(connection, end):
    def leave(self):
        raise end

    point = make(connection, on_heartbeat=on("Heartbeat")(leave))
    connection.say([2, "1", "Heartbeat", {}])
    with pytest.raises(end):
        await point.start()


async def test_a_call_that_is_given_up_while_the_connection_is_busy_goes_out_and_its_answer_frees_the_next(
    connection, running
):
    """For the session it was sent when it was made: lost, it would hold the next call until its time is over."""
    free, send = asyncio.Event(), connection.send

    async def slowly(text):
        await free.wait()
        await send(text)

    connection.send = slowly
    point = make(connection)
    running(point)
    connection.say([2, "1", "Heartbeat", {}])  # its answer waits for the wire
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await point.call(v16.call.Reset("Soft"))
    free.set()
    reset = await connection.next_sent(2)
    assert reset[2] == "Reset"
    connection.say([3, reset[1], {"status": "Accepted"}])
    clear = asyncio.ensure_future(point.call(v16.call.ClearCache()))
    connection.say([3, (await connection.next_sent(3))[1], {"status": "Accepted"}])
    assert (await clear).status == "Accepted"


def test_a_peer_that_reads_nothing_does_not_hold_the_end_of_the_program(connection):
    async def stuck(text):
        await asyncio.Event().wait()

    async def slow(self):
        await asyncio.sleep(60)

    async def main():
        connection.send = stuck
        await make(connection, slow=on("Heartbeat")(slow)).route_message('[2,"1","Heartbeat",{}]')

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 5


async def test_sends_whose_handlers_never_end_are_bounded_and_counted(connection):
    async def stuck(self, **stream):
        await asyncio.Event().wait()

    point = make(connection, v21, stuck=on("NotifyPeriodicEventStream")(stuck))
    for number in range(300):
        await point.route_message(json.dumps([6, str(number), "NotifyPeriodicEventStream", STREAM]))
    assert len(point._tasks) == 256
    assert point.anomalies == {"too_many_sends": 44}
    for task in point._tasks:
        task.cancel()
    await point.settle()


async def test_a_send_without_a_handler_takes_no_call_of_its_id_along(connection):
    async def slow(self):
        await asyncio.sleep(0)
        return {"current_time": NOW}

    point = make(connection, v21, slow=on("Heartbeat")(slow))
    await point.route_message('[2,"1","Heartbeat",{}]')
    await point.route_message(json.dumps([6, "1", "NotifyPeriodicEventStream", STREAM]))
    await point.settle()
    assert connection.sent == [[3, "1", {"currentTime": NOW}]]


def test_a_handler_defined_anew_under_an_old_name_is_the_last_definition(connection):
    first = type("First", (v16.ChargePoint,), {"one": on("Heartbeat")(lambda self: 1)})
    second = type("Second", (first,), {"two": on("Heartbeat")(lambda self: 2)})
    third = type("Third", (second,), {"one": on("Heartbeat")(lambda self: 3)})
    assert create_route_map(third("CP", connection))["Heartbeat"]["_on_action"]() == 3


async def test_what_waited_for_a_connection_that_ended_does_not_go_to_the_next_one(connection, running):
    free = asyncio.Event()

    async def stuck(text):
        await free.wait()

    async def slow(self):
        await asyncio.sleep(0)
        return {"current_time": NOW}

    connection.send = stuck
    point = make(connection, slow=on("Heartbeat")(slow))
    reader = running(point)
    connection.say(*([2, str(number), "Heartbeat", {}] for number in range(3)))
    await asyncio.sleep(0.01)
    call = asyncio.ensure_future(point.call(v16.call.ClearCache()))
    await asyncio.sleep(0)
    connection.end()
    await asyncio.wait([reader])
    point._connection = type(connection)()
    running(point)
    await asyncio.sleep(0)
    free.set()
    with pytest.raises(LinkError):
        await call
    await point.settle()
    assert point._connection.sent == []
