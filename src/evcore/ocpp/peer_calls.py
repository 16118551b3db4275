"""The CALLs of the peer: those that are in work, and the last one that was answered."""

from __future__ import annotations

from evcore.ocpp.boot_gate import BOOT
from evcore.ocpp.events import Called
from evcore.ocpp.result_ids import ResultIds

_KEPT = 4096  # bytes: a longer CALL is not kept to be answered again
# Their answers tell the time, and some chargers have one id for all their heartbeats: never answered from memory.
_ANSWERED_ANEW = ("Heartbeat", BOOT)


class PeerCalls:
    """waiting: those in work, by id. results: ids of our answers, where the version lets the peer refuse them."""

    __slots__ = ("_last_answer", "_last_data", "last_id", "results", "waiting")

    def __init__(self, results: ResultIds | None) -> None:
        self.results = results
        self.waiting: dict[str, Called] = {}
        self.last_id, self._last_data, self._last_answer = "", b"", b""

    def answered(self, called: Called, answer: bytes) -> None:
        """A CALLRESULT goes out. (A CALLERROR is not kept: who sends its CALL again wants another try.)"""
        if len(called.data) <= _KEPT:
            self.last_id, self._last_data, self._last_answer = called.id, called.data, answer
        if self.results is not None:
            self.results.add(called.id, called.action)

    def answer_again(self, id: str, action: str, data: bytes) -> bytes | None:
        """The answer that this very message got, if it was the last one; None: it is to be handled."""
        same = id == self.last_id and data == self._last_data and action not in _ANSWERED_ANEW
        return self._last_answer if same else None
