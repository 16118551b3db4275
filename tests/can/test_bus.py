"""The door to python-can: nothing blocks the loop or waits without bound, and a broken bus is heard of."""

from __future__ import annotations

import asyncio
import threading

import can
import pytest

from evcore.can.bus import CanBus, frame_of, message_of
from evcore.can.frames import BITRATE_SWITCH, EXTENDED, FD, REMOTE, Frame
from evcore.errors import LinkError


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x1826F456 | EXTENDED, b"\x01\x01\x00"),
        Frame(0x7FF, b""),
        Frame(0x123 | REMOTE, b""),
        Frame(0x123 | EXTENDED, bytes(64), FD | BITRATE_SWITCH),
    ],
)
def test_a_frame_survives_python_can(frame):
    assert frame_of(message_of(frame)) == frame


async def test_frames_cross_a_bus_in_order_and_both_ways():
    async with CanBus("virtual", "bus-1", transmit=True) as one, CanBus("virtual", "bus-1", transmit=True) as two:
        sent = [Frame(0x100, bytes([i])) for i in range(100)]
        for frame in sent:
            one.send(frame)
        heard = []
        async with asyncio.timeout(10):
            while len(heard) < 100:
                heard += await two.receive()
            two.send(Frame(0x200, b"\xff"))
            (answer,) = await one.receive()
        assert [(frame.id, frame.data) for frame in heard] == [(frame.id, frame.data) for frame in sent]
        assert answer.id == 0x200
        assert answer.time_ns > 1_600_000_000 * 10**9


async def test_what_waits_too_long_is_dropped_from_the_front_and_counted():
    async with CanBus("virtual", "bus-2", limit=10) as ear:
        with can.Bus(interface="virtual", channel="bus-2") as mouth:
            for i in range(50):
                mouth.send(can.Message(arbitration_id=i, is_extended_id=False))
        async with asyncio.timeout(10):
            while ear.dropped < 40:
                await asyncio.sleep(0.01)
        assert [frame.id for frame in await ear.receive()] == list(range(40, 50))


async def test_a_listener_cannot_send_and_a_closed_bus_neither():
    async with CanBus("virtual", "bus-3") as ear:
        with pytest.raises(PermissionError):
            ear.send(Frame(1, b""))
    bus = CanBus("virtual", "bus-3", transmit=True)
    with pytest.raises(LinkError, match="closed"):
        bus.send(Frame(1, b""))


async def test_what_was_heard_before_the_bus_broke_is_still_delivered(monkeypatch):
    async with CanBus("virtual", "bus-4") as ear:
        with can.Bus(interface="virtual", channel="bus-4") as mouth:
            mouth.send(can.Message(arbitration_id=7, is_extended_id=False))

        def gone(self, timeout):
            raise can.CanOperationError("pulled out")

        async with asyncio.timeout(10):
            while not ear.waiting:
                await asyncio.sleep(0.01)
            monkeypatch.setattr("can.interfaces.virtual.VirtualBus._recv_internal", gone)
            while ear._fault is None:
                await asyncio.sleep(0.01)
            assert [frame.id for frame in await ear.receive()] == [7]
            with pytest.raises(LinkError, match="pulled out"):
                await ear.receive()


async def test_an_interface_that_is_not_there_is_a_link_error():
    with pytest.raises(LinkError, match="no-such"):
        async with CanBus("no-such", "x"):
            pass


async def test_cancelling_while_it_opens_or_receives_leaves_nothing_open():
    from can.interfaces.virtual import channels

    async def listen():
        async with CanBus("virtual", "bus-5") as ear:
            await ear.receive()

    for wait in (0, 0, 0.05):
        task = asyncio.create_task(listen())
        await asyncio.sleep(wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(10):
        while channels.get("bus-5"):
            await asyncio.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "can-reader"]
