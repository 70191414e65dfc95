"""Programs that a command starts end with it, whatever ends the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests.sigint import restore_sigint
from twin.target.paths import ROOT
from twin.target.program import running

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
SILENT = [sys.executable, "-c", "import time; time.sleep(60)"]
"""Prints nothing: a program that writes to a reader who is gone ends by itself."""


@pytest.mark.parametrize("own_session", [False, True])
def test_a_program_ends_when_its_block_is_left(own_session: bool) -> None:
    with running(SLEEP, start_new_session=own_session) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        assert process.poll() is None
    assert process.poll() == -signal.SIGTERM


def test_what_a_program_started_ends_with_it_in_a_session_of_its_own() -> None:
    parent = [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEP!r})"]
    with running(parent, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        (child,) = psutil.Process(process.pid).children()
    assert child.wait(timeout=10) is None or not child.is_running()


@pytest.mark.parametrize("own_session", [False, True])
def test_ctrl_c_while_a_program_starts_leaves_none_behind(own_session: bool, tmp_path: Path) -> None:
    """The child sends the signal before it becomes its program: its parent is inside of Popen then."""
    script = textwrap.dedent(
        f"""
        import os, pathlib, signal, sys
        from twin.target.program import running

        def interrupt():
            pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
            os.kill(os.getppid(), signal.SIGINT)

        with running({SILENT!r}, preexec_fn=interrupt, start_new_session={own_session}) as process:
            sys.exit("the block is not entered")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=restore_sigint,
    )
    assert "KeyboardInterrupt" in done.stderr and "not entered" not in done.stderr
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the program still runs"
        time.sleep(0.05)
