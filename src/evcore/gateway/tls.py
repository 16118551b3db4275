"""TLS settings of the configuration as SSL contexts."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

from evcore.errors import ConfigError
from evcore.gateway.config import ClientTls, ServerTls
from evcore.gateway.secret import Secret
from evcore.ocpp.certificates import ServerCertificates


def server_certificates(
    tls: ServerTls, file: str = "(config)", key: str = "tls", *, clients: Literal["required", "asked"] = "required"
) -> ServerCertificates:
    """For a listener that takes over replaced files. Raises ConfigError where they cannot be used now."""
    certificates = ServerCertificates(
        list(zip(tls.certificate, tls.key, strict=True)),
        key_password=tls.key_password.reveal() if tls.key_password else None,
        client_ca=tls.client_ca,
        clients=clients,
        legacy_rsa_kx=tls.legacy_rsa_kx,
        file=file,
        key=key,
    )
    certificates.load()
    return certificates


def server_context(tls: ServerTls, file: str = "(config)", key: str = "tls") -> ssl.SSLContext:
    """For a listener: TLS 1.2 or newer; with client_ca, nobody without a certificate of it. file, key: for ConfigError.

    OCPP 1.6 security white paper, A00.FR.312 and A00.FR.403 (profiles 2 and 3).
    """
    return server_certificates(tls, file, key).load()


def client_context(tls: ClientTls | None, file: str = "(config)", key: str = "tls") -> ssl.SSLContext:
    """Towards a server: TLS 1.2 or newer, the server's name and chain are always checked."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls is None:
        return context
    if tls.ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load_ca(context, tls.ca, file, f"{key}.ca")
    if tls.certificate is not None:
        _load_chain(context, tls.certificate, tls.key, tls.key_password, file, key)
    return context


def _load_ca(context: ssl.SSLContext, path: Path, file: str, key: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(file, key, "PEM certificates", f"{path}: {_reason(error)}") from None


def _load_chain(
    context: ssl.SSLContext, certificate: Path, key: Path | None, password: Secret | None, file: str, where: str
) -> None:
    try:
        # Without a password OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password=password.reveal() if password else "")
    except (OSError, ssl.SSLError) as error:
        got = f"{certificate}, {key or certificate}: {_reason(error)}"
        raise ConfigError(file, where, "a PEM certificate and its key", got) from None


def _reason(error: OSError | ssl.SSLError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
