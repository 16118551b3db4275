"""The asyncio door of OCPP, both roles, on picows: handshake, joining, deflate, ping, closing."""

from evcore.certificates import ServerCertificates
from evcore.ocpp.websocket.arrival import Arrival
from evcore.ocpp.websocket.client import CertificateRefused, HandshakeRefused, connect
from evcore.ocpp.websocket.connection import Connection, Receiver
from evcore.ocpp.websocket.link import Handler, Link
from evcore.ocpp.websocket.server import GUESSING, Closing, Listening, listen
from evcore.ocpp.websocket.serving import Serving, serve
from evcore.ocpp.websocket.station_client import StationClient
from evcore.ocpp.websocket.stream import ConnectionClosed, Stream, open_stream
from evcore.ocpp.websocket.watch import Watch

__all__ = [
    "GUESSING",
    "Arrival",
    "CertificateRefused",
    "Closing",
    "Connection",
    "ConnectionClosed",
    "Handler",
    "HandshakeRefused",
    "Link",
    "Listening",
    "Receiver",
    "ServerCertificates",
    "Serving",
    "StationClient",
    "Stream",
    "Watch",
    "connect",
    "listen",
    "open_stream",
    "serve",
]
