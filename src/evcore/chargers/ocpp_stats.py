"""What an `OcppServer` has seen and done, as a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evcore.ports import Hub

_UPGRADE = "upgrade_"


@dataclass(frozen=True, slots=True)
class ServerStats:
    """Counted since the hub began; docs/ocpp-server.md lists the reasons, which /metrics shows too.

    connected: stations that serve now. opening: connections whose peer is not known yet. known: stations of which
    something is kept. received, sent: OCPP messages, of all servers of this hub. opened: connections that were let in.
    refused: handshakes that came to nothing, by reason. closed: connections that ended, by reason. errors: messages
    that were refused, malformed, late, unasked for or dropped, by reason; also what ended a connection (websocket_...).
    repaired: what the lenient mode mended in what stations sent, by repair; repaired_out: in what was sent to them.
    """

    connected: int = 0
    opening: int = 0
    known: int = 0
    received: int = 0
    sent: int = 0
    opened: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    closed: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    repaired_out: Mapping[str, int] = field(default_factory=dict)


def stats_of(hub: Hub, server: str, *, connected: int, opening: int, known: int) -> ServerStats:
    """Of the server with this name."""
    counted: dict[str, dict[str, int]] = {}
    for (name, labels), n in hub.counters().items():
        by = dict(labels)
        if name.startswith("evcore_ocpp_") and by.get("server") == server:
            reasons = counted.setdefault(f"{name}_out" if by.get("direction") == "out" else name, {})
            reason = by.get("reason") or by.get("repair") or ""
            reasons[reason] = reasons.get(reason, 0) + n
    errors = counted.get("evcore_ocpp_errors_total", {})
    traffic = hub.traffic("ocpp")
    return ServerStats(
        connected=connected,
        opening=opening,
        known=known,
        received=traffic.received,
        sent=traffic.sent,
        opened=counted.get("evcore_ocpp_opened_total", {}).get("", 0),
        refused={reason.removeprefix(_UPGRADE): n for reason, n in errors.items() if reason.startswith(_UPGRADE)},
        closed=counted.get("evcore_ocpp_closed_total", {}),
        errors={reason: n for reason, n in errors.items() if not reason.startswith(_UPGRADE)},
        repaired=counted.get("evcore_ocpp_repairs_total", {}),
        repaired_out=counted.get("evcore_ocpp_repairs_total_out", {}),
    )
