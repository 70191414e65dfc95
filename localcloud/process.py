"""Child processes with a process group and a log of their own, which end with the supervisor; delays of restarts."""

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
"""A log above this size is moved to `<name>.log.1` before the next start."""
FIRST_RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 30.0
ROOT_MARKER = "LOCALCLOUD_ROOT"
"""Environment variable that names the folder of a local cloud in each of its processes, so that orphans are found."""
BOUND_EXEC = Path(__file__).with_name("bound_exec.py")
REPOSITORY = Path(__file__).resolve().parent.parent
INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
"""Variables that a child gets from the developer's environment; no other may mix with what a template declares."""


def base_environment(root: Path) -> dict[str, str]:
    """Environment of every child of the local cloud in `root`, before its own variables are added."""
    kept = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", ROOT_MARKER: str(root)}


def restart_delay(crashes: int) -> float:
    """Seconds before the restart after `crashes` crashes in a row: 0.5, 1, 2, ... up to 30; 0 without a crash."""
    if crashes == 0:
        return 0.0
    return float(min(LONGEST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2 ** (crashes - 1)))


class Child:
    """A running child process.

    Args:
        command: program and arguments.
        environment: the whole environment; nothing is inherited.
        log: file that its output is appended to.

    Attributes:
        started: `time.monotonic()` of its start.

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
        """Process id, which is also the id of its process group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Exit code (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def last_log_line(self) -> str:
        """Last log line of this run, or its last `Configuration error:` line, cut to 500 characters."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                text = log.read().decode(errors="replace")
        except OSError as error:
            return f"its log cannot be read: {error.strerror}"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        named = [line for line in lines if line.startswith("Configuration error:")]
        return (named or lines or ["it printed nothing"])[-1][:500]

    def terminate(self) -> None:
        """Send SIGTERM to the whole group."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the whole group, and wait for the process itself."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, grace_seconds: float) -> None:
        """Terminate the group, wait up to `grace_seconds` for the process, then kill what is left of the group."""
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
    """Whether a GET of `url` (plain HTTP) is answered with 2xx within `timeout` seconds.

    It is called ten times a second while a process starts; a client of httpx would load the system's certificates each
    time.
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
