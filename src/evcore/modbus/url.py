"""Where a device is: tcp://HOST[:502], rtu+tcp://HOST:PORT, rtu:///dev/ttyUSB0?baudrate=9600&parity=N&stopbits=1."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from evcore.errors import ConfigError
from evcore.modbus.client import Framing


@dataclass(frozen=True, slots=True)
class Address:
    """host, port: of TCP. device, baudrate, parity, stopbits: of a serial port, always 8 data bits."""

    framing: Framing
    host: str = ""
    port: int = 502
    device: str = ""
    baudrate: int = 9600
    parity: str = "N"
    stopbits: int = 1


def parse(url: str) -> Address:
    """Raises ConfigError (the url, which part, expected, got)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(url, "", "a url", str(error)) from None
    if parts.scheme == "rtu":
        return _serial(url, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
    if parts.scheme not in ("tcp", "rtu+tcp"):
        raise ConfigError(url, "scheme", "tcp, rtu+tcp or rtu", parts.scheme or "none")
    if not host:
        raise ConfigError(url, "host", "a host name or address", "none")
    if parts.path not in ("", "/") or parts.query:
        raise ConfigError(url, "path", "nothing after the port", parts.path + parts.query)
    return Address("tcp" if parts.scheme == "tcp" else "rtu+tcp", host=host, port=502 if port is None else port)


def _serial(url: str, device: str, options: dict[str, str]) -> Address:
    if not device:
        raise ConfigError(url, "path", "a device such as /dev/ttyUSB0", "none")
    unknown = options.keys() - {"baudrate", "parity", "stopbits"}
    if unknown:
        raise ConfigError(url, min(unknown), "baudrate, parity or stopbits", "another option")
    baudrate, stopbits = options.get("baudrate", "9600"), options.get("stopbits", "1")
    parity = options.get("parity", "N").upper()
    if not baudrate.isdecimal() or not 50 <= int(baudrate) <= 4_000_000:
        raise ConfigError(url, "baudrate", "50 to 4000000", baudrate)
    if parity not in ("N", "E", "O"):
        raise ConfigError(url, "parity", "N, E or O", parity)
    if stopbits not in ("1", "2"):
        raise ConfigError(url, "stopbits", "1 or 2", stopbits)
    return Address("rtu", device=device, baudrate=int(baudrate), parity=parity, stopbits=int(stopbits))
