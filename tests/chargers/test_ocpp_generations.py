"""A model of one identity's connections: whatever order they open, end and answer in, only the newest one serves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evcore.chargers import OcppServer
from evcore.local import LocalHub
from evcore.model import Answer, Command, Station, Verb
from evcore.ocpp.upgrade import Upgrade


class Socket:
    """The server's end of a connection, without a network: what it sends, and whether it said good-bye."""

    def __init__(self, link: Any) -> None:
        self.link, self.sent, self.is_open = link, [], True
        self.opened = self.ended = False
        self.asked: list[tuple[str, asyncio.Task[Answer]]] = []  # calls on the wire, with the command's task

    def send(self, data: bytes) -> None:
        if self.is_open:
            self.sent.append(json.loads(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.is_open = False

    def abort(self, reason: str = "") -> None:
        self.is_open = False


class Generations(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.hub = LocalHub()
        self.server = OcppServer(port=0, registered=["CP1"])
        self.running = self.loop.create_task(self.server.run(self.hub))
        self.loop.run_until_complete(self.server.started.wait())
        self.sockets: list[Socket] = []
        self.newest: Socket | None = None
        self.number = 0

    def teardown(self) -> None:
        for socket in self.sockets:
            if socket.opened and not socket.ended:
                self._end(socket, 1006, "lost")
        self.running.cancel()
        self.loop.run_until_complete(asyncio.gather(self.running, return_exceptions=True))
        assert not asyncio.all_tasks(self.loop)
        self.loop.close()

    def tick(self) -> None:
        """Whatever is ready runs."""
        for _ in range(10):
            self.loop.run_until_complete(asyncio.sleep(0))

    def one_of(self, data: st.DataObject, sockets: list[Socket]) -> Socket:
        return data.draw(st.sampled_from(sockets))

    @property
    def live(self) -> list[Socket]:
        return [socket for socket in self.sockets if socket.opened and not socket.ended]

    @rule()
    def a_handshake_is_accepted(self) -> None:
        async def accept() -> Any:
            return self.server._accept(Upgrade("/CP1", "CP1", ("ocpp1.6",)), "ocpp1.6")

        self.sockets.append(Socket(self.loop.run_until_complete(accept())))

    @precondition(lambda self: any(not socket.opened for socket in self.sockets))
    @rule(data=st.data())
    def one_opens(self, data: st.DataObject) -> None:
        """In any order: a handshake may overtake another."""
        socket = self.one_of(data, [socket for socket in self.sockets if not socket.opened])

        async def opened() -> None:
            socket.link.opened(socket)

        before, socket.opened, self.newest = self.newest, True, socket
        self.loop.run_until_complete(opened())
        self.tick()
        if before is not None and not before.ended:
            assert not before.is_open, "the one before was told to go"
            assert all(task.done() for _, task in before.asked)

    def _end(self, socket: Socket, code: int, reason: str) -> None:
        async def closed() -> None:
            socket.is_open = False
            socket.link.closed(code, reason)

        socket.ended = True
        self.loop.run_until_complete(closed())
        self.tick()

    @precondition(lambda self: self.live)
    @rule(data=st.data(), reason=st.sampled_from(["peer", "lost", "silent", "slow"]))
    def one_ends(self, data: st.DataObject, reason: str) -> None:
        """However late: an old one may end long after it was replaced."""
        socket = self.one_of(data, self.live)
        self._end(socket, 1006, reason)
        assert all(task.done() for _, task in socket.asked)
        if socket is self.newest:
            self.newest = None

    @rule()
    def a_command_is_asked(self) -> None:
        task = self.loop.create_task(self.hub.command(Command("CP1", Verb.CLEAR_CACHE)))
        self.tick()
        if self.newest is None:
            assert task.result().status == "Offline"
        else:
            assert not task.done()
            self.newest.asked.append(("", task))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), mine=st.booleans())
    def an_answer_comes(self, data: st.DataObject, mine: bool) -> None:
        """On any connection, for its own call or for another's: only the serving one's own counts."""
        socket = self.one_of(data, self.live)
        asker = socket if mine else self.one_of(data, self.live)
        calls = [message[1] for message in asker.sent if message[0] == 2]
        if not calls or not socket.is_open:
            return  # nobody reads what a closing connection says, see Connection.on_ws_frame
        waiting = [task for _, task in socket.asked if not task.done()]
        others = [task for other in self.live if other is not socket for _, task in other.asked if not task.done()]
        self._receive(socket, [3, calls[-1], {"status": "Accepted"}])
        assert not any(task.done() for task in others), "no answer crosses over"
        if asker is not socket:
            assert not any(task.done() for task in waiting)
        elif waiting:
            assert waiting[0].result().status == "Accepted"

    @precondition(lambda self: self.newest is not None)
    @rule()
    def the_station_asks(self) -> None:
        assert self.newest is not None
        self.number += 1
        id = f"heartbeat-{self.number}"
        self._receive(self.newest, [2, id, "Heartbeat", {}])
        said = [socket for socket in self.sockets for message in socket.sent if message[:2] == [3, id]]
        assert said == [self.newest], "answered there, and only there"

    def _receive(self, socket: Socket, message: Any) -> None:
        async def received() -> None:
            socket.link.received(json.dumps(message).encode())

        self.loop.run_until_complete(received())
        self.tick()

    @invariant()
    def only_the_newest_serves(self) -> None:
        assert set(self.server.connected) == ({"CP1"} if self.newest is not None else set())
        known = self.hub.last("charger/CP1")
        assert (isinstance(known, Station) and known.online) == (self.newest is not None)
        if self.newest is not None:
            assert self.server._links["CP1"] is self.newest.link
            assert self.newest.is_open
        for socket in self.sockets:
            if socket is not self.newest:
                assert not any(not task.done() for _, task in socket.asked), "nobody waits for one that is gone"


Generations.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestGenerations = Generations.TestCase
