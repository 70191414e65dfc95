"""`python -m services.rag.ingest.worker`: reads documents for `isolated.py`, one after another.

This process may be stopped at any moment, and may run out of memory. It imports what reading needs, not the embedding
model or the store's client.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import resource
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

# Imported here so that no document pays for it.
from services.rag.ingest import file as _file  # noqa: F401
from services.rag.ingest.documents import Unreadable
from services.rag.ingest.isolated import OUT_OF_MEMORY

# The parent ends a document in time. Should it have died, the kernel does so shortly after.
_ALARM_AFTER_SECONDS = 5.0
# When memory is short, the kernel ends the process with the highest number first.
_EXPENDABLE = "1000"
_WITHOUT_MEMORY = (MemoryError, SystemError)


def main() -> int:
    """Answer calls on the connection whose file descriptor is given, until the parent closes it."""
    descriptor, seconds, memory_bytes = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    _end_with_parent()
    _limit_memory(memory_bytes)
    with Connection(descriptor) as calls:
        calls.send_bytes(pickle.dumps(None))  # ready
        while True:
            try:
                call = calls.recv_bytes()
            except EOFError:
                return 0
            signal.setitimer(signal.ITIMER_REAL, seconds + _ALARM_AFTER_SECONDS)  # SIGALRM ends a process
            try:
                answer = _answer(call)
            except MemoryError:  # on the way to say so
                os._exit(OUT_OF_MEMORY)
            signal.setitimer(signal.ITIMER_REAL, 0)
            calls.send_bytes(answer)


def _answer(call: bytes) -> bytes:
    """The result of a call, or its error."""
    try:
        function, arguments, options = pickle.loads(call)  # noqa: S301 - from our own process
        return pickle.dumps((function(*arguments, **options), None))
    except Unreadable as problem:
        return pickle.dumps((None, Unreadable(str(problem))))
    except Exception as failed:  # noqa: BLE001 - whatever a library does with one document, the others are read
        _end_without_memory(failed)
        return pickle.dumps((None, Unreadable(f"cannot be parsed: {type(failed).__name__}")))


def _end_without_memory(failed: BaseException | None) -> None:
    """End at once when an error came of a lack of memory, since what holds it is only free once the error is handled.

    C code may report it as SystemError, and libraries as an error of their own.
    """
    while failed is not None:
        if isinstance(failed, _WITHOUT_MEMORY):
            os._exit(OUT_OF_MEMORY)
        failed = failed.__context__


def _end_with_parent() -> None:
    """End when the parent does: standard input is a pipe that it never writes to, and that is closed with it."""
    with contextlib.suppress(OSError):
        # SIGIO, sent by the kernel, ends a process on Linux even while a function does not let other threads run.
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    os.read(0, 1)
    os._exit(0)


def _limit_memory(more_bytes: int) -> None:
    """Let this process allocate that much more than now. Elsewhere than on Linux there is no such limit."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE)
    status = Path("/proc/self/status")
    if not status.exists():
        return
    sizes = dict(line.split(":", 1) for line in status.read_text().splitlines())
    now = int(sizes["VmData"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (now + more_bytes, now + more_bytes))


if __name__ == "__main__":
    sys.exit(main())
