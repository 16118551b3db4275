"""TLS settings of the configuration as SSL contexts."""

from __future__ import annotations

import ssl
from typing import Literal

from evcore.certificates import ServerCertificates, load_authorities, load_chain
from evcore.gateway.config import ClientTls, ServerTls


def server_certificates(
    tls: ServerTls, file: str = "(config)", key: str = "tls", *, clients: Literal["required", "asked"] = "required"
) -> ServerCertificates:
    """For a listener that takes over replaced files. Raises ConfigError where they cannot be used now."""
    certificates = _certificates(tls, file, key, clients)
    certificates.load()
    return certificates


def server_context(tls: ServerTls, file: str = "(config)", key: str = "tls") -> ssl.SSLContext:
    """For a listener: TLS 1.2 or newer; with client_ca, nobody without a certificate of it. file, key: for ConfigError.

    OCPP 1.6 security white paper, A00.FR.312 and A00.FR.403 (profiles 2 and 3).
    """
    return _certificates(tls, file, key, "required").load()


def client_context(tls: ClientTls | None, file: str = "(config)", key: str = "tls") -> ssl.SSLContext:
    """Towards a server: TLS 1.2 or newer, the server's name and chain are always checked."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls is None:
        return context
    if tls.ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        load_authorities(context, tls.ca, file=file, where=f"{key}.ca")
    if tls.certificate is not None:
        password = tls.key_password.reveal() if tls.key_password else None
        load_chain(context, tls.certificate, tls.key, password, file=file, where=key)
    return context


def _certificates(tls: ServerTls, file: str, key: str, clients: Literal["required", "asked"]) -> ServerCertificates:
    return ServerCertificates(
        list(zip(tls.certificate, tls.key, strict=True)),
        key_password=tls.key_password.reveal() if tls.key_password else None,
        client_ca=tls.client_ca,
        clients=clients,
        legacy_rsa_kx=tls.legacy_rsa_kx,
        file=file,
        key=key,
    )
