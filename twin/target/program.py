"""Programs that a command starts and reads: they end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

STOP_SECONDS = 5.0
"""Time between SIGTERM and SIGKILL."""


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a program; it is ended when the block is left, also by Ctrl-C.

    Args:
        command: program and arguments.
        options: of `subprocess.Popen`; with `start_new_session` everything that the program started ends with it.

    Yields:
        The process; its `stdout` has both outputs as text.

    Raises:
        OSError: the program cannot be started.
    """
    process: subprocess.Popen[str] | None = None
    try:
        with _interrupt_delayed():
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options
            )
        yield process
    finally:
        if process is not None:
            _end(process, whole_group=bool(options.get("start_new_session")))


@contextmanager
def _interrupt_delayed() -> Iterator[None]:
    """Raise the KeyboardInterrupt of a Ctrl-C at the end of the block.

    Raised inside of Popen, between the start of the process and its assignment, it would leave the process behind.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    received: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if received:
        raise KeyboardInterrupt


def _end(process: subprocess.Popen[str], *, whole_group: bool) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number) if whole_group else process.send_signal(number)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
