"""The number that begins an OCPP-J message (1.6, 4.1.3; 2.1 Part 4, 4.1.3), and which of an action's schemas judges its
payload."""

from __future__ import annotations

from evcore.ocpp.schemas import Kind

CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND = 2, 3, 4, 5, 6
KINDS: dict[int | None, Kind] = {CALL: "request", CALLRESULT: "response", SEND: "send"}
