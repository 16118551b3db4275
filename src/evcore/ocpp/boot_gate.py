"""Who may send which CALL before BootNotification was accepted, as a table, and the little state that it needs.

OCPP 1.6, 4.2, with errata 3.10 of OCPP-J; 2.0.1 and 2.1 Part 2, use cases B01 to B03.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Role = Literal["csms", "station"]
Passes = Literal["all", "boot", "boot and triggered", "all but remote starts and stops", "none"]
BOOT = "BootNotification"

# (who sends, registration) -> the CALLs that may be sent. Registration None: no BootNotification was answered yet.
BOOT_GATE: Mapping[tuple[Role, str | None], Passes] = {
    ("station", None): "boot and triggered",  # B01.FR.08, B02.FR.02
    ("station", "Pending"): "boot and triggered",  # B02.FR.02
    ("station", "Rejected"): "boot",  # B03.FR.02
    ("station", "Accepted"): "all",
    ("csms", None): "all",
    ("csms", "Pending"): "all but remote starts and stops",  # 1.6, 4.2; B02.FR.05
    ("csms", "Rejected"): "none",  # B03.FR.03
    ("csms", "Accepted"): "all",
}
_REQUESTS = frozenset({"RequestStartTransaction", "RequestStopTransaction"})
REMOTE: Mapping[str, frozenset[str]] = {
    "1.6": frozenset({"RemoteStartTransaction", "RemoteStopTransaction"}),
    "2.0.1": _REQUESTS,
    "2.1": _REQUESTS,
}

# B02.FR.02: what the CSMS may ask an unaccepted station for. The CALL that asks -> the CALL that follows.
REPORTS: Mapping[str, str] = {"GetBaseReport": "NotifyReport", "GetReport": "NotifyReport"}
TRIGGERS = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})
# values of MessageTrigger(Enum) that are no action's name
TRIGGER_NAMES: Mapping[str, str] = dict.fromkeys(
    (
        "SignChargePointCertificate",
        "SignChargingStationCertificate",
        "SignV2GCertificate",
        "SignV2G20Certificate",
        "SignCombinedCertificate",
    ),
    "SignCertificate",
)
# One request brings one of these for every connector, or part of a report; of all others it brings one.
MANY = frozenset({"StatusNotification", "MeterValues", "TransactionEvent", "NotifyReport"})


class BootGate:
    """What one session knows of its station's registration. role: this side's. kept: False lets everything pass."""

    __slots__ = ("_asked", "_kept", "_peer", "registration", "remote", "role")

    def __init__(self, role: Role, version: str, *, accepted: bool, kept: bool = True) -> None:
        self.role, self.remote, self._kept = role, REMOTE[version], kept
        self._peer: Role = "station" if role == "csms" else "csms"
        self.registration: str | None = "Accepted" if accepted or not kept else None
        self._asked: set[str] | None = None  # what the station may send because the CSMS asked for it

    @property
    def is_rejected_station(self) -> bool:
        return self.role == "station" and self.registration == "Rejected"

    def lets_us(self, action: str) -> bool:
        """May this side send it now?"""
        return self._lets(self.role, action)

    def lets_peer(self, action: str) -> bool:
        """May the peer send it now? To a station all is said but remote starts and stops, and those are answered."""
        return self._lets(self._peer, action)

    def we_answered(self, action: str, request: Any, answer: Any) -> None:
        self._answered(self.role, action, request, answer)

    def peer_answered(self, action: str, request: Any, answer: Any) -> None:
        self._answered(self._peer, action, request, answer)

    def we_sent(self, action: str) -> None:
        if self.role == "station":
            self._used(action)

    def peer_sent(self, action: str) -> None:
        if self.role == "csms":
            self._used(action)

    def _answered(self, by: Role, action: str, request: Any, answer: Any) -> None:
        """The CSMS answered a boot, or the station what asks for more: that may be sent from now on."""
        if not self._kept:
            return
        status = _member(answer, "status")
        if by == "csms" and action == BOOT:
            self.registration = status if (by, status) in BOOT_GATE else None
            self._asked = None
        elif by == "station" and self.registration not in ("Accepted", "Rejected") and status == "Accepted":
            wanted = asked_for(action, request)
            if wanted is not None:
                self._asked = {wanted} if self._asked is None else self._asked | {wanted}

    def _used(self, action: str) -> None:
        """What was asked for may come once, where it is not one of `MANY`."""
        if self._asked is not None and action not in MANY:
            self._asked.discard(action)

    def _lets(self, sender: Role, action: str) -> bool:
        passes = BOOT_GATE[sender, self.registration]
        if passes == "all":
            return True
        if passes == "all but remote starts and stops":
            return action not in self.remote
        if passes == "none":
            return False
        return action == BOOT or (passes != "boot" and self._asked is not None and action in self._asked)


def asked_for(action: str, request: Any) -> str | None:
    """The CALL that the CSMS asks the station for by a CALL of its own; None: it asks for none."""
    if action not in TRIGGERS:
        return REPORTS.get(action)
    wanted = _member(request, "requestedMessage", "requested_message")
    if wanted == "CustomTrigger":
        wanted = _member(request, "customTrigger", "custom_trigger")
    return None if wanted is None else TRIGGER_NAMES.get(wanted, wanted)


def _member(payload: Any, *names: str) -> str | None:
    """A string or enum member of a payload: a mapping with wire or snake names, or a dataclass."""
    for name in names:
        value = payload.get(name) if isinstance(payload, Mapping) else getattr(payload, name, None)
        if value is not None:
            return str(getattr(value, "value", value))
    return None
