"""One station of a fleet: as little Python as a message can cost, so that the server is what saturates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from evcore.sim.fleet_words import BROKEN, CONSENT, WORDS_2, WORDS_16

if TYPE_CHECKING:
    from evcore.sim.fleet import Fleet

_TEXT = WSMsgType.TEXT
_METER_WH = 11  # between two meter values


class FleetStation(WSListener):
    """Boots, then charges again and again: Authorize, start, `plan.meters` meter values, stop; one CALL at a time.

    awaited: id of the CALL under way, "" for none. booted: accepted. paused: not to be used until it may boot again.
    drops: connections that it broke by itself.
    """

    __slots__ = (
        "_action",
        "_energy",
        "_fleet",
        "_numbers",
        "_seq",
        "_status_told",
        "_step",
        "_token",
        "_transaction",
        "_two",
        "_words",
        "awaited",
        "booted",
        "drops",
        "identity",
        "paused",
        "sent_at",
        "subprotocol",
        "transport",
    )

    def __init__(self, fleet: Fleet, identity: str, version: str) -> None:
        self._fleet, self.identity, self.subprotocol = fleet, identity, f"ocpp{version}"
        self._two = version != "1.6"
        self._words = WORDS_2 if self._two else WORDS_16
        self._token = fleet.plan.token.encode()
        self.booted = self.paused = self._status_told = False
        self.drops = self._step = self._numbers = self._seq = self._energy = 0
        self._transaction = b""
        self._action = ""
        self.awaited = ""
        self.sent_at = 0
        self.transport: WSTransport | None = None

    @property
    def ready(self) -> bool:
        """May it send its next CALL?"""
        return self.transport is not None and not self.awaited and not self.paused and self._fleet.sending

    # Sending

    def send_next(self) -> None:
        """The next CALL, or in its place a fault."""
        fleet = self._fleet
        if not self.booted:
            self._call("BootNotification", self._words.boot % self._id())
            return
        if fleet.plan.faults and fleet.chance() < fleet.plan.faults:
            self._misbehave()
            return
        stamp = fleet.stamp
        if not self._status_told:
            self._status_told = True
            self._call("StatusNotification", self._words.status % (self._id(), stamp))
            return
        step, self._step = self._step, self._step + 1
        if step == 0:
            self._call("Authorize", self._words.authorize % (self._id(), self._token))
        elif step == 1:
            self._seq = 0
            self._start(stamp)
        elif step <= fleet.plan.meters + 1 or not fleet.plan.meters:
            self._energy += _METER_WH
            if self._two:
                self._call("TransactionEvent", self._words.meter % self._event(stamp))
            else:
                self._call("MeterValues", self._words.meter % (self._id(), self._transaction, stamp, self._energy))
        else:
            self._step = 0
            if self._two:
                self._call("TransactionEvent", self._words.stop % self._event(stamp))
            else:
                values = (self._id(), self._energy, stamp, self._transaction)
                self._call("StopTransaction", self._words.stop % values)

    def _start(self, stamp: bytes) -> None:
        if self._two:
            self._transaction = b"%s-%d" % (self._fleet.run_id, self._numbers)
            self._call("TransactionEvent", self._words.start % (*self._event(stamp), self._token))
        else:
            self._transaction = b"0"
            self._call("StartTransaction", self._words.start % (self._id(), self._token, self._energy, stamp))

    def _event(self, stamp: bytes) -> tuple[bytes, bytes, int, bytes, bytes, int]:
        seq, self._seq = self._seq, self._seq + 1
        return self._id(), stamp, seq, self._transaction, stamp, self._energy

    def _id(self) -> bytes:
        """Of a message: unlike any other of this station, over its connections and runs."""
        self._numbers += 1
        return b"%s-%d" % (self._fleet.run_id, self._numbers)

    def _call(self, action: str, message: bytes) -> None:
        transport = self.transport
        if transport is None:
            return
        self.awaited = f"{self._fleet.run_text}-{self._numbers}"
        self._action = action
        self.sent_at = time.monotonic_ns()
        self._fleet.report.sent(action)
        transport.send(_TEXT, message)

    def _misbehave(self) -> None:
        """A broken frame, whose answer nobody waits for, or a connection that breaks."""
        fleet, transport = self._fleet, self.transport
        which = int(fleet.chance() * (len(BROKEN) + 1))
        if transport is None or which == len(BROKEN):
            fleet.report.drops += 1
            self.drops += 1
            if transport is not None:
                transport.disconnect(False)
            return
        fleet.report.broken += 1
        transport.send(_TEXT, BROKEN[which] % (b"broken-" + self._id()))
        fleet.step_on(self)

    # Receiving, for picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport, self.awaited = transport, ""
        self.booted = self.booted and not self._fleet.plan.reboot
        self._fleet.step_on(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.transport = None
        if self.awaited:  # what was not answered is said again: nothing of it is remembered as done
            self.awaited = ""
            self._fleet.report.cut += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self._fleet.report.closings[str(frame.get_close_code())] += 1
            transport.disconnect()
            return
        if frame.msg_type != _TEXT:
            return
        now = time.monotonic_ns()
        try:
            message = orjson.loads(frame.get_payload_as_memoryview())
            kind, id, *rest = message
        except ValueError:
            self._fleet.report.nonsense += 1
            return
        if kind in (3, 4) and id == self.awaited:
            self.awaited = ""
            self._fleet.report.answered(self._action, now - self.sent_at, kind == 3)
            if kind == 3:
                self._answered(rest[0])
            else:
                self._refused(rest[0])
            self._fleet.step_on(self)
        elif kind == 4:
            self._fleet.report.broken_refused += 1
        elif kind == 2:
            self._asked(transport, id, rest[0])
        else:
            self._fleet.report.nonsense += 1

    def _answered(self, answer: Any) -> None:
        if self._action == "BootNotification":
            self.booted = answer.get("status") == "Accepted"
            if not self.booted:
                self._fleet.pause(self, float(answer.get("interval") or 10))
        elif self._action == "StartTransaction":
            self._transaction = b"%d" % answer["transactionId"]
        about_token = answer.get("idTokenInfo") or answer.get("idTagInfo")
        if about_token and about_token.get("status") != "Accepted":
            self._fleet.report.denied[self._action] += 1

    def _refused(self, code: Any) -> None:
        if code == "SecurityError":
            self.booted = False
        elif self._action in ("StartTransaction", "Authorize"):
            self._step = 0

    def _asked(self, transport: WSTransport, id: str, action: str) -> None:
        """The CSMS calls."""
        self._fleet.report.asked += 1
        answer = CONSENT.get(action)
        if answer is None:
            transport.send(_TEXT, orjson.dumps([4, id, "NotSupported", "", {}]))
        else:
            transport.send(_TEXT, b"[3,%s,%s]" % (orjson.dumps(id), answer))
        if action == "TriggerMessage":
            self.booted = False  # what a CSMS asks for that forgot us
            self._fleet.step_on(self)
