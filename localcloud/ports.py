"""Free ports on the loopback address."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from pathlib import Path

from localcloud.errors import LocalCloudError

LOOPBACK = "127.0.0.1"
FIRST_PORT = 20_000
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
DEFAULT_EPHEMERAL_START = 32_768
MIN_CANDIDATES = 1_000
TRIES = 100


def free_port() -> int:
    """One port of the loopback address that is free now; see `free_ports`."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback address that are free now.

    They lie below the range that the system gives to outgoing connections, since a connection, however short, could
    otherwise take a port between this call and the moment at which a server listens on it.

    Raises:
        LocalCloudError: this user may not listen there.
    """
    with contextlib.ExitStack() as probes:
        try:
            return [_bind_free_port(probes.enter_context(socket.socket())) for _ in range(count)]
        except OSError as error:
            raise LocalCloudError(f"No port of {LOOPBACK} can be taken: {error.strerror}.") from None


def is_taken(port: int) -> bool:
    """Whether a process listens on this port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _bind_free_port(probe: socket.socket) -> int:
    end = _ephemeral_start()
    candidates = random.sample(range(FIRST_PORT, end), TRIES) if end - FIRST_PORT >= MIN_CANDIDATES else []
    if not any(_try_bind(probe, port) for port in candidates):
        probe.bind((LOOPBACK, 0))  # any free port of the system
    return int(probe.getsockname()[1])


def _try_bind(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((LOOPBACK, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    return True


def _ephemeral_start() -> int:
    """First port for outgoing connections (ip(7), `ip_local_port_range`); macOS and others have a later one."""
    try:
        return int(EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return DEFAULT_EPHEMERAL_START
