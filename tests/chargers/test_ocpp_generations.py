"""A model of one identity's connections: whatever order they open, go silent, end and answer in, at most one serves.

With passwords the newest serves. Without, the first stays as long as it lives, and a silent one yields.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evcore.chargers import OcppServer
from evcore.local import LocalHub
from evcore.model import Answer, Command, Station, Verb
from evcore.ocpp.upgrade import Upgrade

PASSWORD = "a-password-of-16+"


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes when the test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now


class Socket:
    """The server's end of a connection, without a network: what it sends, and whether it said good-bye. lives: a peer
    is there, and answers pings."""

    peer, peer_certificate = "192.0.2.1", None

    def __init__(self, arrival: Any) -> None:
        self.arrival = self.receiver = arrival
        self.sent: list[Any] = []
        self.is_open = self.lives = True
        self.opened = self.ended = False
        self.last_seen = 0
        self.asked: list[asyncio.Task[Answer]] = []  # commands whose calls went out here

    def hand_over(self, receiver: Any, held: Sequence[bytes]) -> None:
        self.receiver = receiver
        receiver.opened(self)
        for message in held:
            receiver.received(message)

    @property
    def is_held(self) -> bool:
        return self.receiver is self.arrival

    def ping(self) -> None:
        self.last_seen += self.lives

    def send(self, data: bytes) -> None:
        if self.is_open:
            self.sent.append(json.loads(data))

    def settle(self) -> None: ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.is_open = False

    def abort(self, reason: str = "") -> None:
        self.is_open = False


class Generations(RuleBasedStateMachine):
    options: dict[str, Any]
    password: bytes | None

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.hub = LocalHub()
        self.server = OcppServer(port=0, registered=["CP1"], **self.options)
        self.running = self.loop.create_task(self.server.run(self.hub))
        while not self.server.started.is_set():
            self.tick()
        self.sockets: list[Socket] = []
        self.serving: Socket | None = None
        self.challenger: tuple[Socket, Socket, bool] | None = None  # who, whom, and did that one answer the ping
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

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.loop.now += 0.1
            self.tick()

    def one_of(self, data: st.DataObject, sockets: list[Socket]) -> Socket:
        return data.draw(st.sampled_from(sockets))

    @property
    def live(self) -> list[Socket]:
        return [socket for socket in self.sockets if socket.opened and not socket.ended]

    @rule()
    def a_handshake_is_accepted(self) -> None:
        upgrade = Upgrade("/CP1", "CP1", ("ocpp1.6",), "CP1", self.password, peer="192.0.2.1")

        async def accept() -> Any:
            assert self.server._reception is not None
            return self.server._reception.accept(upgrade, "ocpp1.6")

        self.sockets.append(Socket(self.loop.run_until_complete(accept())))

    @precondition(lambda self: any(not socket.opened for socket in self.sockets))
    @rule(data=st.data(), says=st.integers(0, 3))
    def one_opens(self, data: st.DataObject, says: int) -> None:
        """In any order: a handshake may overtake another. It may speak at once."""
        socket = self.one_of(data, [socket for socket in self.sockets if not socket.opened])

        async def opened() -> None:
            socket.arrival.opened(socket)

        before, socket.opened = self.serving, True
        self.loop.run_until_complete(opened())
        self.tick()
        if before is not None and self.password is None:
            if self.challenger is not None:
                assert not self.challenger[0].is_open, "a newer challenger takes the place of an older one"
            self.challenger = socket, before, before.lives
            assert before.is_open
        else:
            self.serving = socket
            if before is not None:
                assert not before.is_open, "the one before was told to go"
                assert all(task.done() for task in before.asked)
        for n in range(says):
            self._receive(socket, [2, f"first-{self.number}-{n}", "Heartbeat", {}])
        self.number += 1
        self.pass_time(0.1)
        self.settle_duel(lasted=False)

    def settle_duel(self, *, lasted: bool) -> None:
        """What must have come of a challenge. lasted: duel_s has passed."""
        if self.challenger is None:
            return
        who, whom, answered = self.challenger
        if who.ended or (whom.ended and self.serving not in (None, whom)):
            self.challenger = None
        elif whom.ended or (lasted and not answered):
            self.challenger, self.serving = None, who
            assert not who.is_held
            assert not whom.is_open
        elif answered:
            assert not who.is_open, "the older connection lives and stays"
            self.challenger = None

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def one_goes_silent(self, data: st.DataObject) -> None:
        """Half open: nobody is told."""
        self.one_of(data, self.live).lives = False

    @rule(lasted=st.booleans())
    def time_passes(self, lasted: bool) -> None:
        self.pass_time(6.0 if lasted else 0.2)
        self.settle_duel(lasted=lasted)

    def _end(self, socket: Socket, code: int, reason: str) -> None:
        async def closed() -> None:
            socket.is_open = False
            socket.receiver.closed(code, reason)

        socket.ended = True
        self.loop.run_until_complete(closed())
        self.tick()

    @precondition(lambda self: self.live)
    @rule(data=st.data(), reason=st.sampled_from(["peer", "lost", "silent", "slow"]))
    def one_ends(self, data: st.DataObject, reason: str) -> None:
        """However late: an old one may end long after it was replaced."""
        socket = self.one_of(data, self.live)
        self._end(socket, 1006, reason)
        assert all(task.done() for task in socket.asked)
        if socket is self.serving:
            self.serving = None
        self.pass_time(0.1)
        self.settle_duel(lasted=False)

    @rule()
    def a_command_is_asked(self) -> None:
        task = self.loop.create_task(self.hub.command(Command("CP1", Verb.CLEAR_CACHE), timeout=1e6))
        self.tick()
        if self.serving is None:
            assert task.result().status == "Offline"
        else:
            self.serving.asked.append(task)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), mine=st.booleans())
    def an_answer_comes(self, data: st.DataObject, mine: bool) -> None:
        """On any connection, for its own call or for another's: only the serving one's own counts."""
        socket = self.one_of(data, self.live)
        asker = socket if mine else self.one_of(data, self.live)
        calls = [message[1] for message in asker.sent if message[0] == 2]
        waiting = [task for task in socket.asked if not task.done()]
        if not calls or not socket.is_open or not socket.lives:
            return  # nobody reads what a closing connection says, see Connection.on_ws_frame
        others = [task for other in self.live if other is not socket for task in other.asked if not task.done()]
        self._receive(socket, [3, calls[-1], {"status": "Accepted"}])
        assert not any(task.done() for task in others), "no answer crosses over"
        if asker is not socket:
            assert not any(task.done() for task in waiting)
        elif waiting:
            assert waiting[0].result().status == "Accepted"

    @precondition(lambda self: self.serving is not None and self.serving.lives)
    @rule()
    def the_station_asks(self) -> None:
        assert self.serving is not None
        self.number += 1
        id = f"heartbeat-{self.number}"
        self._receive(self.serving, [2, id, "Heartbeat", {}])
        said = [socket for socket in self.sockets for message in socket.sent if message[:2] == [3, id]]
        assert said == [self.serving], "answered there, and only there"

    def _receive(self, socket: Socket, message: Any) -> None:
        async def received() -> None:
            if socket.is_open:
                socket.last_seen += 1
                socket.receiver.received(json.dumps(message).encode())

        self.loop.run_until_complete(received())
        self.tick()

    @invariant()
    def only_one_serves(self) -> None:
        assert set(self.server.connected) == ({"CP1"} if self.serving is not None else set())
        known = self.hub.last("charger/CP1")
        assert (isinstance(known, Station) and known.online) == (self.serving is not None)
        if self.serving is not None:
            assert self.server._roster is not None
            assert self.server._roster.links["CP1"] is self.serving.receiver
            assert self.serving.is_open
            answered = [message[1] for message in self.serving.sent if str(message[1]).startswith("first-")]
            assert answered == sorted(answered), "what was held is answered in order"
        for socket in self.sockets:
            if socket is not self.serving:
                assert not any(not task.done() for task in socket.asked), "nobody waits for one that is gone"
            if socket.is_held:
                assert socket.sent == [], "nobody hears an arrival"


class Proven(Generations):
    options, password = {"passwords": {"CP1": PASSWORD}}, PASSWORD.encode()


class Unproven(Generations):
    options, password = {}, None


Proven.TestCase.settings = Unproven.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestProven = Proven.TestCase
TestUnproven = Unproven.TestCase
