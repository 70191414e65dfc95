"""Start, stop and status of the local cloud of a folder."""

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
"""Space for logs, databases and synthesized templates of a deployment, checked before the start."""


def status(root: Path) -> State | None:
    """State of the local cloud of `root`, or None when it is not running and ready.

    Raises:
        LocalCloudError: its state file cannot be read.
    """
    state = read_state(root)
    return state if state is not None and state.ready and _is_supervisor(state.pid, root) else None


def start(root: Path, timeout: float) -> State:
    """State of the local cloud of `root`, which is started when it is not running.

    Processes that a killed supervisor left behind are ended first.

    Args:
        root: folder whose `.local` holds state, data and logs.
        timeout: seconds until it must be ready.

    Raises:
        LocalCloudError: it cannot be started or is not ready in time; the message has the reason.
    """
    running = status(root)
    if running is not None:
        return running
    stop(root)
    _check_disk(root)
    _keep_private(root / ".local")
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
    """End the supervisor and every other process that `ROOT_MARKER` marks with `root`; removes the state file.

    The supervisor gets `STOP_SECONDS` to stop its processes; what is left then is killed.
    """
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


def data_folder(root: Path) -> Path:
    """Folder of what a stopped local cloud keeps: documents, traces, samples, messages, deployed stacks."""
    return root / ".local" / "data"


def remove_data(root: Path) -> None:
    """Stop the local cloud and remove all that it keeps."""
    stop(root)
    shutil.rmtree(data_folder(root), ignore_errors=True)


def _keep_private(folder: Path) -> None:
    """Traces, documents and keys in it are this user's."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


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
