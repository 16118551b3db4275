"""The parts of `evcore.ocpp.charge_point`."""
