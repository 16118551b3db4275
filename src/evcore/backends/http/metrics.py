"""The Prometheus text format, rendered on scrape from what the hub counts and knows.

Names by prometheus.io/docs/practices/naming; no label holds a charger's id, so that a scrape stays small.
"""

from __future__ import annotations

import asyncio
import math
import platform
import re
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping

import evcore
from evcore.model import Evse, Health, Meter, Payment, Session, Station, Vehicle
from evcore.ports import Hub

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
HEALTH_STATES = ("starting", "up", "degraded", "down", "stopped")

HELP = {
    "evcore_build_info": "Version of evcore and of Python.",
    "evcore_messages_total": "Messages by protocol and direction.",
    "evcore_message_errors_total": "Messages refused as broken.",
    "evcore_connections": "Connected chargers by protocol.",
    "evcore_meters_online": "Meters that answer.",
    "evcore_vehicles": "Cars heard on a bus.",
    "evcore_charger_status": "EVSEs by status.",
    "evcore_sessions_active": "Charging sessions that have not ended.",
    "evcore_payments": "Payments by state.",
    "evcore_connector_health": "1 for the state that a connector is in.",
    "evcore_feed_clients": "Connected clients of the live feed.",
    "evcore_loop_lag_seconds": "Longest delay of the event loop in the last half minute.",
    "process_cpu_seconds_total": "CPU time used by the process.",
    "process_resident_memory_bytes": "Resident memory of the process.",
}

Sample = tuple[Mapping[str, str], float]


class LoopLag:
    """How late the event loop runs what is due."""

    def __init__(self, period_s: float = 0.5, window: int = 60) -> None:
        self._period, self._seen = period_s, deque([0.0], maxlen=window)

    @property
    def worst(self) -> float:
        return max(self._seen)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._period
            await asyncio.sleep(self._period)
            self._seen.append(max(0.0, loop.time() - due))


def render(hub: Hub, *, feed_clients: int, loop_lag: float) -> str:
    """The whole page."""
    families: list[tuple[str, str, list[Sample]]] = [
        ("evcore_build_info", "gauge", [({"version": evcore.__version__, "python": platform.python_version()}, 1)]),
        *_traffic(hub),
        *_states(hub),
        ("evcore_feed_clients", "gauge", [({}, feed_clients)]),
        ("evcore_loop_lag_seconds", "gauge", [({}, loop_lag)]),
        *_counters(hub),
        *_process(),
    ]
    return "".join(line for family in families for line in _family(*family))


def _traffic(hub: Hub) -> Iterable[tuple[str, str, list[Sample]]]:
    messages: list[Sample] = []
    errors: list[Sample] = []
    for protocol, traffic in sorted(hub.all_traffic().items()):
        messages.append(({"protocol": protocol, "direction": "received"}, traffic.received))
        messages.append(({"protocol": protocol, "direction": "sent"}, traffic.sent))
        errors.append(({"protocol": protocol}, traffic.errors))
    yield "evcore_messages_total", "counter", messages
    yield "evcore_message_errors_total", "counter", errors


def _states(hub: Hub) -> Iterable[tuple[str, str, list[Sample]]]:
    connections: Counter[str] = Counter()
    evses: Counter[str] = Counter()
    payments: Counter[str] = Counter()
    active = meters = vehicles = 0
    health: list[Sample] = []
    for prefix in ("charger/", "evse/", "session/", "payment/", "meter/", "vehicle/", "health/"):
        for item in hub.snapshot(prefix):
            match item:
                case Station(online=True):
                    connections[item.protocol] += 1
                case Evse():
                    evses[item.status] += 1
                case Session(state="active"):
                    active += 1
                case Payment():
                    payments[item.state] += 1
                case Meter(online=True):
                    meters += 1
                case Vehicle():
                    vehicles += 1
                case Health():
                    health += [({"connector": item.connector, "state": s}, s == item.state) for s in HEALTH_STATES]
    yield "evcore_connections", "gauge", [({"protocol": name}, n) for name, n in sorted(connections.items())]
    yield "evcore_charger_status", "gauge", [({"status": name}, n) for name, n in sorted(evses.items())]
    yield "evcore_sessions_active", "gauge", [({}, active)]
    yield "evcore_payments", "gauge", [({"state": name}, n) for name, n in sorted(payments.items())]
    yield "evcore_meters_online", "gauge", [({}, meters)]
    yield "evcore_vehicles", "gauge", [({}, vehicles)]
    yield "evcore_connector_health", "gauge", health


def _counters(hub: Hub) -> Iterable[tuple[str, str, list[Sample]]]:
    by_name: dict[str, list[Sample]] = {}
    for (name, labels), n in sorted(hub.counters().items()):
        if NAME.fullmatch(name) and name not in HELP:
            by_name.setdefault(name, []).append((dict(labels), n))
    for name, samples in by_name.items():
        yield name, "counter", samples


def _process() -> Iterable[tuple[str, str, list[Sample]]]:
    yield "process_cpu_seconds_total", "counter", [({}, time.process_time())]
    try:
        import resource

        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
        yield "process_resident_memory_bytes", "gauge", [({}, pages * resource.getpagesize())]
    except (ImportError, OSError):
        return  # not Linux: the line is left out


def _family(name: str, kind: str, samples: list[Sample]) -> Iterable[str]:
    if name in HELP:
        yield f"# HELP {name} {HELP[name]}\n"
    yield f"# TYPE {name} {kind}\n"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items() if LABEL.fullmatch(label))
        yield f"{name}{{{inside}}} {_number(value)}\n" if inside else f"{name} {_number(value)}\n"


def _escape(text: str) -> str:
    return str(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    return str(int(value)) if value == int(value) else repr(float(value))
