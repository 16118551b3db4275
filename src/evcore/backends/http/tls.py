"""TLS for the HTTP port."""

from __future__ import annotations

import ssl
from pathlib import Path

from evcore.certificates import ServerCertificates


def server_context(certificate: str | Path, key: str | Path, *, password: str | None = None) -> ssl.SSLContext:
    """A server's context of TLS 1.2 and newer. certificate: PEM, the chain with the server's own first. key: PEM.

    Raises ConfigError for a file that is missing, is not PEM, or a key that does not belong to the certificate.
    """
    files = ServerCertificates([(certificate, key)], key_password=password, file=str(certificate), key="")
    return files.load()
