"""TLS for the HTTP port."""

from __future__ import annotations

import ssl
from pathlib import Path

from evcore.errors import ConfigError


def server_context(certificate: str | Path, key: str | Path, *, password: str | None = None) -> ssl.SSLContext:
    """A server's context of TLS 1.2 and newer. certificate: PEM, the chain with the server's own first. key: PEM.

    Raises ConfigError for a file that is missing, is not PEM, or a key that does not belong to the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        if not Path(path).is_file():
            raise ConfigError(str(path), "", "a PEM file", "no such file")
    try:
        # Never ask at the terminal for a password: an empty one fails instead.
        context.load_cert_chain(certificate, key, password or "")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(str(certificate), "", "a PEM certificate and its key", str(error)) from error
    return context
