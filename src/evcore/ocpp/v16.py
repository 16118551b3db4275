"""OCPP 1.6: `ChargePoint` as in `ocpp.v16`, and that package's own dataclasses and enums."""

from ocpp.v16 import call, call_result, datatypes, enums

from evcore.ocpp import charge_point

__all__ = ["ChargePoint", "call", "call_result", "datatypes", "enums"]


class ChargePoint(charge_point.ChargePoint):
    """See `evcore.ocpp.charge_point.ChargePoint`."""

    _call = call
    _call_result = call_result
    _ocpp_version = "1.6"
