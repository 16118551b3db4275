"""When certificates end, and what names them: read from PEM, warned of in time. Sans-I/O.

Source: RFC 5280, 4.1 (Certificate), 4.1.2.5 (Validity); RFC 7468 (PEM). `ssl` tells this only of a peer's certificate.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from evcore.errors import MessageError

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.S)
_SEQUENCE, _INTEGER, _VERSION, _UTC, _GENERALIZED = 0x30, 0x02, 0xA0, 0x17, 0x18
DAYS = (90, 30, 7)  # before the end, when a warning is due


def expiries_of(pem: bytes) -> list[int]:
    """The notAfter of each certificate in a PEM file, seconds since 1970. Raises MessageError."""
    found = []
    for body in _PEM.findall(pem):
        try:
            found.append(not_after(binascii.a2b_base64(body)))
        except (binascii.Error, IndexError, ValueError) as error:
            raise MessageError(f"no certificate: {error}") from None
    return found


def not_after(der: bytes) -> int:
    """Of one certificate, seconds since 1970. Raises ValueError, IndexError."""
    tbs = _inside(_inside(der, 0), 0)
    at = _after(tbs, 0, _VERSION) if tbs[0] == _VERSION else 0
    at = _after(tbs, at, _INTEGER)  # serialNumber
    at = _after(tbs, at, _SEQUENCE)  # signature
    at = _after(tbs, at, _SEQUENCE)  # issuer
    validity = _inside(tbs, at)
    at = _length(validity, 0)[1]
    start, end = _length(validity, at)
    text = validity[start:end].decode("ascii")
    if validity[at] == _UTC:  # years 1950 to 2049
        text = ("20" if text < "5" else "19") + text
    elif validity[at] != _GENERALIZED:
        raise ValueError(f"notAfter has tag {validity[at]:#x}")
    return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Issued:
    """What names a certificate in OCPP: the DER of its issuer's name, its own public key (the bit string), its serial
    number (RFC 6960, 4.1.1)."""

    issuer: bytes
    key: bytes
    serial: int


def issued_of(pem: bytes) -> Issued:
    """Of the first certificate of a PEM text. Raises MessageError."""
    found = _PEM.search(pem)
    if found is None:
        raise MessageError("no certificate")
    try:
        tbs = _inside(_inside(binascii.a2b_base64(found[1]), 0), 0)
        at = _after(tbs, 0, _VERSION) if tbs[0] == _VERSION else 0
        serial = _length(tbs, at)
        name = _after(tbs, _after(tbs, at, _INTEGER), _SEQUENCE)
        validity = _after(tbs, name, _SEQUENCE)
        spki = _inside(tbs, _after(tbs, _after(tbs, validity, _SEQUENCE), _SEQUENCE))
        key = _length(spki, _after(spki, 0, _SEQUENCE))
        return Issued(tbs[name:validity], spki[key[0] + 1 : key[1]], int.from_bytes(tbs[slice(*serial)], "big"))
    except (binascii.Error, IndexError, ValueError) as error:
        raise MessageError(f"no certificate: {error}") from None


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Where the value at `at` begins and ends (X.690, 8.1.3)."""
    size, start = data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("a length of no certificate")
        size, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + size > len(data):
        raise ValueError("it is cut off")
    return start, start + size


def _after(data: bytes, at: int, tag: int) -> int:
    if data[at] != tag:
        raise ValueError(f"expected tag {tag:#x}, got {data[at]:#x}")
    return _length(data, at)[1]


def _inside(data: bytes, at: int) -> bytes:
    end = _after(data, at, _SEQUENCE)
    return data[_length(data, at)[0] : end]


class ExpiryWatch:
    """Says 90, 30 and 7 days ahead, and when it has happened, that a file's certificate ends."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], int] = {}  # file, notAfter -> the smallest limit told

    def due(self, expiries: Iterable[tuple[str, int]], now_s: float) -> list[tuple[str, int]]:
        """expiries: (file, notAfter). (file, whole days that are left, negative once it is over), each limit once."""
        due, told = [], {}
        for file, end in expiries:
            left = end - now_s
            passed = [limit for limit in (*DAYS, 0) if left <= limit * 86_400]
            known = self._told.get((file, end))
            if passed:
                told[file, end] = passed[-1]
                if known is None or passed[-1] < known:
                    due.append((file, int(left // 86_400)))
        self._told = told  # files that are gone are forgotten
        return due
