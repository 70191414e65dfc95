"""SIGINT in programs that tests start."""

from __future__ import annotations

import signal


def restore_sigint() -> None:
    """Let Ctrl-C end a program, as its `preexec_fn`: what a shell starts in the background ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
