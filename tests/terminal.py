"""A program on a pseudo-terminal, as a person sees and answers it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

CTRL_C = "\x03"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A running program whose input and output are a terminal.

    Attributes:
        said: everything so far, without colours.
    """

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._own, other = pty.openpty()
        self.said = ""
        self._seen = 0
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(other)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
        os.close(self._own)

    def expect(self, pattern: str, seconds: float = 120) -> str:
        """Wait for text after what was expected before; returns it.

        Raises:
            AssertionError: it does not come in time, or the program ends without.
        """
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.said[self._seen :])) is None:
            assert time.monotonic() < deadline, f"no {pattern!r} within {seconds} s of:\n{self.said[-3000:]}"
            assert self._read(), f"it ended without {pattern!r}:\n{self.said[-3000:]}"
        self._seen += found.end()
        return found[0]

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._own, text.encode())

    def wait(self, seconds: float = 240) -> int:
        """The exit code; what is still said is read.

        Raises:
            AssertionError: the program does not end in time.
        """
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, f"not over within {seconds} s:\n{self.said[-3000:]}"
        return self._process.wait(20)

    def _read(self) -> bool:
        """Read what there is, for a short while; False at the end."""
        if not select.select([self._own], [], [], 0.5)[0]:
            return True
        try:
            data = os.read(self._own, 65536)
        except OSError:
            return False
        self.said += ESCAPES.sub("", data.decode(errors="replace")).replace("\r", "")
        return bool(data)


def _take_terminal() -> None:
    """Make the terminal the program's own, so that Ctrl-C reaches it."""
    import fcntl
    import signal
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
