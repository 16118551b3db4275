"""TLS as a url describes it: MODBUS/TCP Security, that is Modbus TCP inside TLS, usually on port 802."""

from __future__ import annotations

import ssl

from evcore.errors import ConfigError
from evcore.modbus.url import Address


def context(url: str, address: Address) -> ssl.SSLContext:
    """The peer's certificate is always checked: against `ca`, or the system's roots where there is none. cert, key: our
    own, which most Modbus/TLS devices ask for. Raises ConfigError (which file)."""
    try:
        made = ssl.create_default_context(cafile=address.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(url, "ca", "a file of certificates (PEM)", f"{address.ca}: {error}") from None
    if address.cert:
        try:
            made.load_cert_chain(address.cert, address.key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(url, "cert", "a certificate and its key (PEM)", f"{address.cert}: {error}") from None
    return made
