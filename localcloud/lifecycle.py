"""Start, stop and ask after the local cloud of a folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from localcloud.errors import LocalCloudError
from localcloud.process import REPOSITORY, ROOT_MARKER
from localcloud.state import State, read_state, state_path

__all__ = ["LocalCloudError", "start", "status", "stop"]

POLL_SECONDS = 0.1
STOP_SECONDS = 20.0
MIB = 1024**2
NEEDED_BYTES = 200 * MIB
"""Logs, databases and synthesized templates of a deployment; less fails half-way, with a worse explanation."""


def status(root: Path) -> State | None:
    """The running local cloud of `root`, or None.

    Raises:
        LocalCloudError: when its state file cannot be read.
    """
    state = read_state(root)
    return state if state is not None and state.ready and _is_supervisor(state.pid, root) else None


def start(root: Path, timeout: float) -> State:
    """The running local cloud of `root`, started when it does not run; leftovers of a killed one are ended first.

    Raises:
        LocalCloudError: when it does not get ready within `timeout` seconds, with the reason.
    """
    running = status(root)
    if running is not None:
        return running
    stop(root)
    _check_disk(root)
    log = root / ".local" / "logs" / "supervisor.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "localcloud", "--root", str(root)],
                cwd=REPOSITORY,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), ROOT_MARKER: str(root)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise LocalCloudError(f"The local cloud cannot be started: {error.strerror} ({error.filename}).") from None
    try:
        return _wait_until_ready(root, supervisor, log, timeout)
    except BaseException:
        stop(root)
        raise


def stop(root: Path) -> None:
    """End the supervisor and whatever else carries the mark of `root`; no state file is left."""
    ours = [process for process in psutil.process_iter() if _is_marked(process, root)]
    supervisors = [process for process in ours if _runs_supervisor(process)]
    for process in supervisors:
        _send(process, signal.SIGTERM)
    psutil.wait_procs(supervisors, timeout=STOP_SECONDS)
    left = [process for process in psutil.process_iter() if _is_marked(process, root)]
    for process in left:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=STOP_SECONDS)
    state_path(root).unlink(missing_ok=True)


def _check_disk(root: Path) -> None:
    free = shutil.disk_usage(root).free
    if free < NEEDED_BYTES:
        raise LocalCloudError(
            f"No space left on device: the local cloud needs {NEEDED_BYTES // MIB} MB, {root} has {free // MIB} MB. "
            "Free some and start again."
        )


def _wait_until_ready(root: Path, supervisor: subprocess.Popen[bytes], log: Path, timeout: float) -> State:
    deadline = time.monotonic() + timeout
    while True:
        state = read_state(root)
        if state is not None and state.ready and state.pid == supervisor.pid:
            return state
        if supervisor.poll() is not None:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            raise LocalCloudError(lines[-1].removeprefix("Error: ") if lines else f"It ended at once (log: {log}).")
        if time.monotonic() > deadline:
            raise LocalCloudError(f"The local cloud is not ready after {timeout:.0f} s (log: {log}).")
        time.sleep(POLL_SECONDS)


def _is_supervisor(pid: int, root: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return _runs_supervisor(process) and _is_marked(process, root)
    except psutil.Error:
        return False


def _runs_supervisor(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return "localcloud" in command and "--root" in command


def _is_marked(process: psutil.Process, root: Path) -> bool:
    try:
        marked = process.environ().get(ROOT_MARKER) == str(root)
        return bool(marked and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, OSError):
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
