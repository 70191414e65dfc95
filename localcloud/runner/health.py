"""HTTP health checks of a process that do not block the caller's loop."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from localcloud.ports import LOOPBACK

WAIT_SECONDS = 0.3
"""Longest time that one call of `Probe.poll` blocks, since the supervisor's loop serves all processes."""


@dataclass(frozen=True)
class HealthCheck:
    """Health check as a target group declares it.

    Attributes:
        path: requested by GET; any 2xx answer is healthy.
        timeout_seconds: a check without an answer by then has failed.
        unhealthy_after: failed checks in a row after which a healthy process counts as unhealthy.
    """

    path: str
    timeout_seconds: float = 5.0
    unhealthy_after: int = 3


class Probe:
    """Checks of one process, one at a time.

    Args:
        port: port of the loopback address that the process listens on.
        check: what to request and how long to wait.
    """

    def __init__(self, port: int, check: HealthCheck) -> None:
        self._port = port
        self._check = check
        self._deadline = 0.0
        self._connection: HTTPConnection | None = None

    def poll(self) -> bool | None:
        """Whether the current check passed, or None while its answer may still come; the next call continues it."""
        try:
            connection = self._connection or self._send_request()
            if self._has_answer(connection):
                passed = connection.getresponse().status // 100 == HTTPStatus.OK // 100
            elif time.monotonic() < self._deadline:
                return None
            else:
                passed = False
        except (OSError, HTTPException):
            passed = False
        self.close()
        return passed

    def close(self) -> None:
        """Abandon the check in progress."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send_request(self) -> HTTPConnection:
        self._deadline = time.monotonic() + self._check.timeout_seconds
        self._connection = HTTPConnection(LOOPBACK, self._port, timeout=WAIT_SECONDS)
        self._connection.request("GET", self._check.path)
        return self._connection

    @staticmethod
    def _has_answer(connection: HTTPConnection) -> bool:
        with contextlib.suppress(TimeoutError):
            connection.sock.recv(1, socket.MSG_PEEK)
            return True
        return False
