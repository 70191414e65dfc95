"""Health checks of a process: how often one may be late, and asking without being held up."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from localcloud.ports import LOOPBACK

WAIT_SECONDS = 0.3
"""What one look takes at most: the supervisor's loop serves every other process too."""


@dataclass(frozen=True)
class HealthCheck:
    """What a process must answer, as a target group declares it.

    Attributes:
        path: asked by GET; any 2xx is healthy.
        timeout_seconds: an answer that takes longer has failed.
        unhealthy_after: failed checks in a row that make a healthy process unhealthy.
    """

    path: str
    timeout_seconds: float = 5.0
    unhealthy_after: int = 3


class Probe:
    """The checks of one process, one at a time."""

    def __init__(self, port: int, check: HealthCheck) -> None:
        self._port = port
        self._check = check
        self._deadline = 0.0
        self._connection: HTTPConnection | None = None

    def poll(self) -> bool | None:
        """Whether the check passed, or None when the answer may still come; the next call goes on waiting for it."""
        try:
            connection = self._connection or self._ask()
            if self._is_answering(connection):
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
        """Give up the check that is under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self) -> HTTPConnection:
        self._deadline = time.monotonic() + self._check.timeout_seconds
        self._connection = HTTPConnection(LOOPBACK, self._port, timeout=WAIT_SECONDS)
        self._connection.request("GET", self._check.path)
        return self._connection

    @staticmethod
    def _is_answering(connection: HTTPConnection) -> bool:
        with contextlib.suppress(TimeoutError):
            connection.sock.recv(1, socket.MSG_PEEK)
            return True
        return False
