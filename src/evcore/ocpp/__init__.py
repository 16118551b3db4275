"""OCPP-J: what the bytes mean. Sans-I/O, but for websocket.py."""

from .codec import Codec, Frame, Limits
from .session import Session

__all__ = ["Codec", "Frame", "Limits", "Session"]
