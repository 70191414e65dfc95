"""Calls functions in a process of their own, with a limit of time and memory for each call."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from services.rag.ingest.documents import IngestError, Unreadable
from services.rag.ingest.limits import LIMITS, MEBIBYTE, Limits

P = ParamSpec("P")
T = TypeVar("T")

PROGRAM = "services.rag.ingest.worker"
START_SECONDS = 60.0
# A process may have been ended from outside, or may hold the remains of earlier documents: the second one does not.
ATTEMPTS = 2
OUT_OF_MEMORY = 12
"""Exit status of the process, like the number of the system's error."""


class Isolated:
    """A process that reads documents. It starts with the first call, stays for the next, and is replaced when it ends.

    It ends with this process, however that ends, and does not get its Ctrl-C. Calls come from one thread; `close` may
    come from another.
    """

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._worker: _Worker | None = None
        self._closed = False
        self._replacing = threading.Lock()
        self._calling = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; a call that is running in it fails."""
        with self._replacing:
            self._closed = True
            if self._worker:
                self._worker.process.kill()
        with self._calling:
            self._drop()

    def run(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """What the function returns for the arguments. All must be picklable, the function by its name.

        Raises:
            Unreadable: it said so, failed, or reached a limit.
            IngestError: the process does not start, or was closed.
        """
        call = pickle.dumps((function, arguments, options))
        with self._calling:
            seconds = self._limits.seconds
            for _ in range(ATTEMPTS):
                worker = self._started()
                began = time.monotonic()
                try:
                    result: T = worker.answer(call, began + seconds)
                    return result
                except TimeoutError:
                    self._drop()
                    raise Unreadable(f"took longer than {self._limits.seconds:g} s") from None
                except EOFError:
                    problem = self._why(worker.process.wait())
                self._drop()
                # Both attempts together have the document's time; a start is no part of it.
                seconds -= time.monotonic() - began
            raise Unreadable(problem)

    def _why(self, status: int) -> str:
        """The reason for which a document is skipped whose process ended with this status."""
        if status == OUT_OF_MEMORY:
            return f"needs more than {self._limits.memory_bytes // MEBIBYTE} MB of memory"
        ended = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"the process that read it ended ({ended})"

    def _started(self) -> _Worker:
        with self._replacing:
            if self._closed:
                raise IngestError("The ingest was stopped.")
            if self._worker:
                return self._worker
            worker = self._worker = _Worker.start(self._limits)
        try:
            worker.receive(time.monotonic() + START_SECONDS)
        except (EOFError, TimeoutError):
            self._drop()
            raise IngestError(f"The process that reads documents does not start: python -m {PROGRAM}.") from None
        return worker

    def _drop(self) -> None:
        with self._replacing:
            worker, self._worker = self._worker, None
        if worker:
            worker.end()


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]
    calls: Connection

    @classmethod
    def start(cls, limits: Limits) -> _Worker:
        here, there = Pipe()
        with there:
            process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, *map(str, (there.fileno(), limits.seconds, limits.memory_bytes))],
                pass_fds=[there.fileno()],
                # Never written to: it is closed when this process ends.
                stdin=subprocess.PIPE,
                # Ours is the report's.
                stdout=subprocess.DEVNULL,
                # Reading needs none of our keys.
                env={"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                start_new_session=True,
            )
        return cls(process, here)

    def answer(self, call: bytes, deadline: float) -> Any:
        """The result of a call; `deadline` by the monotonic clock.

        Raises:
            Unreadable, TimeoutError: the call's failure.
            EOFError: the process has ended.
        """
        try:
            self.calls.send_bytes(call)
        except OSError:
            raise EOFError from None
        result, error = self.receive(deadline)
        if error:
            raise error
        return result

    def receive(self, deadline: float) -> Any:
        """The next message, before the deadline."""
        try:
            if not self.calls.poll(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            return pickle.loads(self.calls.recv_bytes())  # noqa: S301 - from our own process
        except ConnectionError:
            raise EOFError from None

    def end(self) -> None:
        """Kill the process, if it runs, and free what it holds."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        self.calls.close()
