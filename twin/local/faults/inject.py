"""Faults of processes on this machine, each undone when its block is left, also by Ctrl-C."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import psutil

from localcloud import lifecycle
from localcloud.state import State
from twin.local.faults.promises import PARTS, Fault
from twin.target.errors import TwinError
from twin.target.paths import STATE_ROOT

STOPPED_SECONDS, RUNNING_SECONDS = 0.08, 0.02
"""Duty cycle of a slow process: it gets a fifth of its time."""
KINDS = {"rag": "ecs", "llm": "sagemaker"}
"""Kind of the processes of a part in the state file; the others are platform processes of the part's name."""


def state() -> State:
    """The local cloud as it is now.

    Raises:
        TwinError: it does not run.
    """
    found = lifecycle.status(STATE_ROOT)
    if found is None:
        raise TwinError("The local cloud is not running any more: start it with `make local-start`.")
    return found


def processes(part: str, found: State) -> list[psutil.Process]:
    """The running processes of a part, with their children; the SageMaker runtime's is the supervisor alone.

    Raises:
        TwinError: none is healthy.
    """
    if part == "runtime":
        return [psutil.Process(found.pid)]
    kind, name = (KINDS[part], "") if part in KINDS else ("platform", part)
    pids = [p.pid for p in found.processes if p.kind == kind and name in ("", p.name) and p.status == "healthy"]
    running: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            running += [process, *process.children(recursive=True)]
    if not running:
        raise TwinError(f"{PARTS[part]} has no healthy process: see .local/state.json, or start the stage anew.")
    return running


def available(fault: Fault) -> bool:
    """Whether this system can do it: limits of running processes exist on Linux only."""
    return fault != "disk full" or hasattr(psutil, "RLIMIT_FSIZE")


def injected(fault: Fault, targets: Sequence[psutil.Process]) -> AbstractContextManager[None]:
    """The fault, for the length of a block. A killed process is started again by the supervisor."""
    kinds: dict[Fault, Callable[[Sequence[psutil.Process]], AbstractContextManager[None]]] = {
        "kill": _killed,
        "hang": _suspended,
        "slow": _slowed,
        "disk full": _without_disk,
    }
    return kinds[fault](targets)


@contextmanager
def _killed(targets: Sequence[psutil.Process]) -> Iterator[None]:
    _each(targets, psutil.Process.kill)
    yield


@contextmanager
def _suspended(targets: Sequence[psutil.Process]) -> Iterator[None]:
    try:
        _each(targets, psutil.Process.suspend)
        yield
    finally:
        _each(targets, psutil.Process.resume)


@contextmanager
def _slowed(targets: Sequence[psutil.Process]) -> Iterator[None]:
    done = threading.Event()

    def stop_and_go() -> None:
        while not done.wait(RUNNING_SECONDS):
            with _suspended(targets):
                done.wait(STOPPED_SECONDS)

    thread = threading.Thread(target=stop_and_go, name="slow")
    try:
        thread.start()
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def _without_disk(targets: Sequence[psutil.Process]) -> Iterator[None]:
    """Every write to a file fails with EFBIG, as it fails with ENOSPC on a full disk; sockets and pipes are untouched.

    Python ignores the signal that comes with it (SIGXFSZ), so that programs see the error of the write.
    """
    before: list[tuple[psutil.Process, tuple[int, int]]] = []
    try:
        for process in targets:
            with contextlib.suppress(psutil.NoSuchProcess):
                soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
                before.append((process, (soft, hard)))
                process.rlimit(psutil.RLIMIT_FSIZE, (0, hard))
        yield
    finally:
        for process, limits in before:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, limits)


def _each(targets: Sequence[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    # psutil compares start times: a process that has taken over the id of one that ended is left alone.
    for process in targets:
        with contextlib.suppress(psutil.NoSuchProcess):
            act(process)
