"""Free ports on the loopback address."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from pathlib import Path

from localcloud.errors import LocalCloudError

LOOPBACK = "127.0.0.1"
FIRST = 20_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
USUAL_EPHEMERAL_START = 32_768
FEWEST = 1_000
TRIES = 100


def free_port() -> int:
    """A port of the loopback address that nobody listens on now; see `free_ports`."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback address that nobody listens on now.

    They lie below those that the system gives to outgoing connections: one of these, however short, could otherwise
    have the port by the time that it is listened on.

    Raises:
        LocalCloudError: when this user cannot listen there.
    """
    with contextlib.ExitStack() as probes:
        try:
            return [_take(probes.enter_context(socket.socket())) for _ in range(count)]
        except OSError as error:
            raise LocalCloudError(f"No port of {LOOPBACK} can be taken: {error.strerror}.") from None


def is_taken(port: int) -> bool:
    """Whether somebody listens on this port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _take(probe: socket.socket) -> int:
    end = _ephemeral_start()
    candidates = random.sample(range(FIRST, end), TRIES) if end - FIRST >= FEWEST else []
    if not any(_binds(probe, port) for port in candidates):
        probe.bind((LOOPBACK, 0))  # any port, the best that is left
    return int(probe.getsockname()[1])


def _binds(probe: socket.socket, port: int) -> bool:
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
        return int(EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return USUAL_EPHEMERAL_START
