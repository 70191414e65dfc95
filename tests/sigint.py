"""Programs that Ctrl-C reaches, whatever this process was started with."""

from __future__ import annotations

import signal


def heed_interrupts() -> None:
    """As `preexec_fn`: a shell that starts the tests in the background has them, and all they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
