"""GB/T 27930: what a DC charger and a car say to each other on CAN.

`decode` and `encode` are the messages, `Observer` the listener to both sides. Source: GB/T 27930-2015; GB/T 27930-2023
category A where it only refines it.
"""

from evcore.can.gbt27930.codec import decode, encode, frame, frame_id, length_fault
from evcore.can.gbt27930.events import (
    CarIdentified,
    CarLimits,
    Charged,
    ChargerLimits,
    Demand,
    Event,
    Fault,
    Measured,
    Output,
    Stage,
    StageChanged,
    Stopped,
    Temperatures,
    Timeouts,
    Violation,
)
from evcore.can.gbt27930.messages import CAR, CHARGER, MESSAGES
from evcore.can.gbt27930.observer import Observer

__all__ = [
    "CAR",
    "CHARGER",
    "MESSAGES",
    "CarIdentified",
    "CarLimits",
    "Charged",
    "ChargerLimits",
    "Demand",
    "Event",
    "Fault",
    "Measured",
    "Observer",
    "Output",
    "Stage",
    "StageChanged",
    "Stopped",
    "Temperatures",
    "Timeouts",
    "Violation",
    "decode",
    "encode",
    "frame",
    "frame_id",
    "length_fault",
]
