"""Runs a command that dies with its parent: `python bound_exec.py PARENT_PID COMMAND...`. Linux only.

A file of its own, run with -S -E, so that it starts in milliseconds and is replaced by the command.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):
            sys.exit(1)  # the parent died before the request above
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command comes from the supervisor


if __name__ == "__main__":
    main()
