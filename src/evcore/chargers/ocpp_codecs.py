"""Which codec a station gets: one for each version and policy, shared by all stations that have both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from evcore.model import Station
from evcore.ocpp import Codec, Limits
from evcore.ocpp.policy import Policy

log = logging.getLogger("evcore.chargers.ocpp")

PolicyFor: TypeAlias = Callable[[Station], Policy]
"""A station, as far as it is known -> how its messages are judged. Asked when it connects, and again when its
BootNotification has told vendor and model; before its first one these are empty."""

_MONEY_2_1 = ("exclTax", "inclTax", "tax", "maxCost", "settlementAmount", "energyFee", "priceFixed", "priceKwh")
# What a bill is made of, registers and money: read with the digits received. 1.6 has its registers in strings.
EXACT = {
    "1.6": (),
    "2.0.1": ("value", "totalCost"),
    "2.1": ("value", "totalCost", *_MONEY_2_1, "priceMinute"),
}
_MOST = 64  # codecs kept; a function that makes ever new policies costs time, not memory


class Codecs:
    """policy: of every station, or a function that says whose is what. limits: of every codec. Dates and URIs are
    judged too."""

    def __init__(self, policy: Policy | PolicyFor, limits: Limits) -> None:
        self._policy, self._limits = policy, limits
        self._made: dict[tuple[str, Policy], Codec] = {}

    def of(self, version: str, station: Station) -> Codec:
        """The codec of a station. A function that fails means the strict policy; it is logged."""
        policy = self._policy if isinstance(self._policy, Policy) else self._ask(self._policy, station)
        codec = self._made.get((version, policy))
        if codec is None:
            codec = Codec(version, policy=policy, exact=EXACT[version], formats=True, limits=self._limits)
            if len(self._made) >= _MOST:
                self._made.clear()
            self._made[version, policy] = codec
        return codec

    def _ask(self, policy_for: PolicyFor, station: Station) -> Policy:
        try:
            policy = policy_for(station)
        except Exception:
            log.exception("no policy for %s", station.id)
            return Policy()
        if isinstance(policy, Policy):
            return policy
        log.error("no policy for %s: expected a Policy, got %s", station.id, type(policy).__name__)
        return Policy()
