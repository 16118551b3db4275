"""Wire names (`idTag`) and the snake names of Python (`id_tag`).

Only what a schema names is renamed: the content of customData, the free `data` of a 2.x DataTransfer and members that
no schema knows pass untouched. Names that would be one in snake case (`soC`, `soc`) never meet in one object, so every
name comes back as it was. The tables of `core.ocpp_schema` hold both, object by object.
"""

from __future__ import annotations

import functools
import re

# A word begins at a capital after a small letter or digit (not at the last character: soC is one word), and at the last
# capital of a run that small letters follow (certificateSNList: certificate, sn, list).
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z].)|(?<=[A-Za-z0-9])(?=[A-Z][a-z])")

# Where the rule would cut a word that is one.
_IRREGULAR = {
    "evMaxV2XEnergyRequest": "ev_max_v2x_energy_request",
    "evMinV2XEnergyRequest": "ev_min_v2x_energy_request",
    "prioritizedEMAIDs": "prioritized_emaids",
}


@functools.cache
def snake(wire: str) -> str:
    """The snake name of a wire name: `evseId` -> `evse_id`."""
    if wire.islower():
        return wire
    return _IRREGULAR.get(wire) or _BOUNDARY.sub("_", wire).lower()
