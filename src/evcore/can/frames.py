"""One CAN frame, as the protocol code passes it around. Identifiers and flags are those of SocketCAN (linux/can.h)."""

from __future__ import annotations

from typing import NamedTuple

EXTENDED = 0x8000_0000  # the identifier has 29 bits
REMOTE = 0x4000_0000  # a request for data; carries none
ERROR = 0x2000_0000  # not a frame but what the controller reports of the bus
ID_MASK = 0x1FFF_FFFF
STANDARD_MAX = 0x7FF

BITRATE_SWITCH = 0x01  # flags, CAN FD
ERROR_STATE = 0x02
FD = 0x04


_FAULTS = {
    0x001: "transmission timed out",
    0x002: "arbitration lost",
    0x004: "controller in trouble",
    0x008: "protocol violation",
    0x010: "transceiver in trouble",
    0x020: "nobody acknowledges",
    0x040: "bus off",
    0x080: "bus error",
    0x100: "controller restarted",
}


class Frame(NamedTuple):
    """id: SocketCAN identifier with EXTENDED, REMOTE and ERROR. data: 0..8 bytes, CAN FD 0..64. flags: of CAN FD.

    time_ns: nanoseconds since 1970 UTC as the interface or the log tells, 0 where nobody does.
    """

    id: int
    data: bytes
    flags: int = 0
    time_ns: int = 0

    @property
    def is_extended(self) -> bool:
        return bool(self.id & EXTENDED)

    @property
    def is_error(self) -> bool:
        return bool(self.id & ERROR)

    @property
    def is_remote(self) -> bool:
        return bool(self.id & REMOTE)

    @property
    def fault(self) -> str:
        """What an error frame reports, in words (linux/can/error.h); "" for others."""
        if not self.is_error:
            return ""
        return ", ".join(text for bit, text in _FAULTS.items() if self.id & bit) or "error"

    def __str__(self) -> str:
        number = f"{self.id & ID_MASK:08X}" if self.is_extended else f"{self.id & STANDARD_MAX:03X}"
        return f"{number}#{self.data.hex().upper()}"
