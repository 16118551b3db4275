"""Where a device is:

tcp://HOST[:502]    rtu+tcp://HOST:PORT    tls://HOST[:802]?ca=FILE&cert=FILE&key=FILE&hostname=NAME
rtu:///dev/ttyUSB0?baudrate=9600&parity=N&stopbits=1&rs485=1&echo=1
through pymodbus:   ascii:///dev/ttyUSB0?bytesize=7   ascii+tcp://HOST:PORT   udp://HOST[:502]   rtu+udp://HOST:PORT
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from evcore.errors import ConfigError
from evcore.modbus.client import Framing

_SCHEMES: dict[str, Framing] = {
    "tcp": "tcp",
    "tls": "tcp",
    "rtu": "rtu",
    "rtu+tcp": "rtu+tcp",
    # pymodbus does the framing of these; the master sees RTU frames, since there are no transaction ids to trust
    "ascii": "rtu+tcp",
    "ascii+tcp": "rtu+tcp",
    "udp": "rtu+tcp",
    "rtu+udp": "rtu+tcp",
}
_TLS = frozenset(("ca", "cert", "key", "hostname"))
_SERIAL = frozenset(("baudrate", "parity", "stopbits"))


@dataclass(frozen=True, slots=True)
class Address:
    """framing: of the master. host, port: of TCP and UDP. device, baudrate, parity, stopbits, bytesize: of a
    serial port. rs485: the driver switches the direction (RTS). echo: the adapter repeats what is sent; None: to
    be found out. ca, cert, key: files of TLS, hostname: that the peer's certificate must have, where it is not host."""

    framing: Framing
    host: str = ""
    port: int = 502
    device: str = ""
    baudrate: int = 9600
    parity: str = "N"
    stopbits: int = 1
    bytesize: int = 8
    scheme: str = "tcp"
    rs485: bool = False
    echo: bool | None = None
    ca: str = ""
    cert: str = ""
    key: str = ""
    hostname: str = ""

    @property
    def foreign(self) -> bool:
        """Does pymodbus do the framing?"""
        return self.scheme in ("ascii", "ascii+tcp", "udp", "rtu+udp")


def parse(url: str) -> Address:
    """Raises ConfigError (the url, which part, expected, got)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(url, "", "a url", str(error)) from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme in ("rtu", "ascii"):
        return _serial(url, parts.scheme, parts.path, options)
    if parts.scheme not in _SCHEMES:
        raise ConfigError(url, "scheme", ", ".join(_SCHEMES), parts.scheme or "none")
    if not host:
        raise ConfigError(url, "host", "a host name or address", "none")
    if parts.path not in ("", "/") or (parts.query and parts.scheme != "tls"):
        raise ConfigError(url, "path", "nothing after the port", parts.path + parts.query)
    _known(url, options, _TLS)
    if "key" in options and not options.get("cert"):
        raise ConfigError(url, "cert", "a certificate to the key", "none")
    usual = 802 if parts.scheme == "tls" else 502  # 802: MODBUS/TCP Security v21, 7
    return Address(
        _SCHEMES[parts.scheme],
        host=host,
        port=usual if port is None else port,
        scheme=parts.scheme,
        ca=options.get("ca", ""),
        cert=options.get("cert", ""),
        key=options.get("key", ""),
        hostname=options.get("hostname", ""),
    )


def _known(url: str, options: dict[str, str], known: frozenset[str]) -> None:
    if unknown := options.keys() - known:
        raise ConfigError(url, min(unknown), ", ".join(sorted(known)), "another option")


def _serial(url: str, scheme: str, device: str, options: dict[str, str]) -> Address:
    if not device:
        raise ConfigError(url, "path", "a device such as /dev/ttyUSB0", "none")
    _known(url, options, _SERIAL | ({"bytesize"} if scheme == "ascii" else {"rs485", "echo"}))
    baudrate, stopbits = options.get("baudrate", "9600"), options.get("stopbits", "1")
    parity = options.get("parity", "N").upper()
    if not baudrate.isdecimal() or not 50 <= int(baudrate) <= 4_000_000:
        raise ConfigError(url, "baudrate", "50 to 4000000", baudrate)
    if parity not in ("N", "E", "O"):
        raise ConfigError(url, "parity", "N, E or O", parity)
    if stopbits not in ("1", "2"):
        raise ConfigError(url, "stopbits", "1 or 2", stopbits)
    bytesize = options.get("bytesize", "7" if scheme == "ascii" else "8")  # Serial Line V1.02, 2.5.2
    if bytesize not in ("7", "8"):
        raise ConfigError(url, "bytesize", "7 or 8", bytesize)
    for name in ("rs485", "echo"):
        if options.get(name, "0") not in ("0", "1"):
            raise ConfigError(url, name, "0 or 1", options[name])
    return Address(
        _SCHEMES[scheme],
        device=device,
        baudrate=int(baudrate),
        parity=parity,
        stopbits=int(stopbits),
        bytesize=int(bytesize),
        scheme=scheme,
        rs485=options.get("rs485") == "1",
        echo=options["echo"] == "1" if "echo" in options else None,
    )
