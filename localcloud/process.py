"""One child process: its own process group, its own log, bound to the supervisor's life."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

LOG_LIMIT_BYTES = 10 * 1024**2
ROOT_MARKER = "LOCALCLOUD_ROOT"
"""Variable that marks every process of a local cloud with its folder, so that orphans can be found."""
BOUND_EXEC = Path(__file__).with_name("bound_exec.py")
REPOSITORY = Path(__file__).resolve().parent.parent
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
"""What a child gets of the developer's environment; nothing else may leak into what a template declares."""


def base_environment(root: Path) -> dict[str, str]:
    """The environment that every child starts from."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", ROOT_MARKER: str(root)}


class Child:
    """A running child process.

    Raises:
        OSError: when it cannot be started or its log cannot be written.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        self.log = log
        self.started = time.monotonic()
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(BOUND_EXEC), str(os.getpid()), *command],
                cwd=REPOSITORY,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The log line of this run that best says why it ended."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        named = [line for line in lines if line.startswith("Configuration error:")]
        return (named or lines or ["it printed nothing"])[-1][:500]

    def terminate(self) -> None:
        """Ask the whole group to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group now, and reap it."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, grace_seconds: float) -> None:
        """Ask, wait up to `grace_seconds`, then end the whole group."""
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def answers(url: str, timeout: float = 1.0) -> bool:
    """Whether a GET of `url`, which is plain HTTP, succeeds.

    Asked ten times a second while a process starts: a client of httpx would load the system's certificates each time.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status // 100 == HTTPStatus.OK // 100
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
