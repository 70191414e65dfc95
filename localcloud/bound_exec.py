"""Execution of a command that is killed when its parent ends: `python bound_exec.py PARENT_PID COMMAND...`.

The binding works on Linux only; elsewhere the command runs without it. The file imports nothing of ours and is run with
-S -E, so that it starts in milliseconds.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process by the command, after Linux was told to kill it when its parent ends.

    Exits with 1 when the parent has ended already. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):
            sys.exit(1)  # the parent ended before the call above
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command comes from the supervisor


if __name__ == "__main__":
    main()
