"""TLS contexts of HTTPS clients."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

import httpx


@functools.cache
def authorities() -> ssl.SSLContext:
    """A shared context with the authorities that httpx trusts by default.

    Reading them takes 40 ms, which a client without this context spends each time one is made.
    """
    return httpx.create_ssl_context()


def ssl_context_from(certificates: Path | str) -> ssl.SSLContext:
    """A context that trusts the certificates in a PEM file (a path) or a PEM text (a string), and no others.

    Raises:
        ValueError: it holds no certificate, or the file cannot be read.
    """
    try:
        if isinstance(certificates, Path):
            return ssl.create_default_context(cafile=certificates)
        return ssl.create_default_context(cadata=certificates)
    except OSError as error:
        raise ValueError(f"it holds no usable certificate: {error}") from None
