"""Free ports on the loopback address."""

from __future__ import annotations

import socket

from localcloud.errors import LocalCloudError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of the loopback address that nobody listens on now.

    Raises:
        LocalCloudError: when this user cannot listen there.
    """
    try:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise LocalCloudError(f"No port of {LOOPBACK} can be taken: {error.strerror}.") from None


def is_taken(port: int) -> bool:
    """Whether somebody listens on this port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
