"""Certificates in PEM files: what both ends of TLS load, and a listener's, which may be replaced while it listens."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from evcore.errors import ConfigError, MessageError
from evcore.x509 import expiries_of

_TLS_RSA = ("AES128-GCM-SHA256", "AES256-GCM-SHA384")  # RFC 5288; no forward secrecy
_Stamp = tuple[tuple[int, int, int], ...]  # of each file: inode, size, mtime


class ServerCertificates:
    """certificates: (certificate chain, its key), PEM; one RSA and one ECDSA serve every OCPP station (2.0.1 Part 2,
    A00.FR.318; 1.6 security white paper, A00.FR.317). client_ca: who signs stations' certificates (security profile 3).
    clients: "required", or "asked" where a station may show a password instead. legacy_rsa_kx: also the suites TLS_RSA
    of the same rules, for stations that can do nothing better. file, key: how errors name the setting.
    """

    def __init__(
        self,
        certificates: Sequence[tuple[str | Path, str | Path]],
        *,
        key_password: str | bytes | None = None,
        client_ca: str | Path | None = None,
        clients: Literal["required", "asked"] = "required",
        legacy_rsa_kx: bool = False,
        file: str = "ServerCertificates",
        key: str = "certificates",
    ) -> None:
        if not certificates:
            raise ConfigError(file, key, "a certificate and its key", "none")
        self._chains = [(Path(certificate), Path(key)) for certificate, key in certificates]
        self._password, self._client_ca = key_password, None if client_ca is None else Path(client_ca)
        self._clients, self._legacy_rsa_kx = clients, legacy_rsa_kx
        self._file, self._key = file, key
        self._loaded: _Stamp = ()
        self._seen: _Stamp = ()
        self.expiries: list[tuple[str, int]] = []

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        if self._client_ca is None:
            return ssl.CERT_NONE
        return ssl.CERT_REQUIRED if self._clients == "required" else ssl.CERT_OPTIONAL

    @property
    def files(self) -> list[Path]:
        found = [path for chain in self._chains for path in chain]
        return found if self._client_ca is None else [*found, self._client_ca]

    def load(self) -> ssl.SSLContext:
        """A new context of what the files hold now: TLS 1.2 or newer, without compression (A00.FR.312, A00.FR.320).
        `expiries` is then (file, notAfter in seconds since 1970). Raises ConfigError."""
        self._loaded = self._seen = self._stamp()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION
        for certificate, key in self._chains:
            load_chain(context, certificate, key, self._password, file=self._file, where=self._key)
        if self._client_ca is not None:
            load_authorities(context, self._client_ca, file=self._file, where=f"{self._key}.client_ca")
            context.verify_mode = self.verify_mode
        if self._legacy_rsa_kx:
            usual = [suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"]
            context.set_ciphers(":".join(["@SECLEVEL=2", *usual, *_TLS_RSA]))
        self.expiries = self._read_expiries()
        return context

    def changed(self) -> bool:
        """Are the files others than at the last `load`, and the same as at the last look (so nobody is writing)?"""
        before, self._seen = self._seen, self._stamp()
        return self._seen == before != self._loaded

    def _stamp(self) -> _Stamp:
        found = []
        for path in self.files:
            try:
                stat = os.stat(path)
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)

    def _read_expiries(self) -> list[tuple[str, int]]:
        """Of each file the certificate that ends first."""
        found = []
        for path in dict.fromkeys(
            [chain[0] for chain in self._chains] + ([self._client_ca] if self._client_ca else [])
        ):
            try:
                ends = expiries_of(path.read_bytes())
            except (OSError, MessageError) as error:
                got = f"{path}: {error}"[:200]
                raise ConfigError(self._file, self._key, "PEM certificates", got) from None
            if ends:
                found.append((str(path), min(ends)))
        return found


def load_chain(
    context: ssl.SSLContext,
    certificate: Path,
    key: Path | None,
    password: str | bytes | None,
    *,
    file: str,
    where: str,
) -> None:
    """The certificate that this side shows. key: None where it is in the same file. file, where: for ConfigError."""
    try:
        # Without a password OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password=password or "")
    except (OSError, ssl.SSLError) as error:
        got = f"{certificate}, {key or certificate}: {_reason(error)}"
        raise ConfigError(file, where, "a PEM certificate and its key", got) from None


def load_authorities(context: ssl.SSLContext, path: Path, *, file: str, where: str) -> None:
    """Whose certificates the other side may show. file, where: for ConfigError."""
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(file, where, "PEM certificates", f"{path}: {_reason(error)}") from None


def _reason(error: OSError | ssl.SSLError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
