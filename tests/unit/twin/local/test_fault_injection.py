"""Faults of a real process: each takes effect, and is undone when its block ends by an error."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from twin.local.faults.inject import available, injected
from twin.local.faults.promises import Fault

WRITER = """
import sys, time
with open(sys.argv[1], "ab", buffering=0) as file:
    while True:
        try:
            file.write(b"x")
        except OSError:
            print("full", flush=True)
            time.sleep(0.1)
        time.sleep(0.002)
"""


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "file")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while written(tmp_path) == 0:
            time.sleep(0.01)
        yield process
        process.kill()


def written(folder: Path) -> int:
    with suppress(FileNotFoundError):
        return (folder / "file").stat().st_size
    return 0


def growth(folder: Path, seconds: float) -> int:
    before = written(folder)
    time.sleep(seconds)
    return written(folder) - before


@pytest.mark.parametrize("fault", ["hang", "slow", "disk full"])
def test_a_fault_takes_effect_and_ends_with_its_block(
    fault: Fault, writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    if not available(fault):
        pytest.skip("limits of a running process are Linux's")
    process = psutil.Process(writer.pid)
    usual = growth(tmp_path, 0.5)
    with pytest.raises(Interrupted), injected(fault, [process]):
        time.sleep(0.1)
        during = growth(tmp_path, 0.5)
        raise Interrupted
    assert during < usual * (0.6 if fault == "slow" else 0.02)
    assert process.status() != psutil.STATUS_STOPPED
    assert growth(tmp_path, 0.5) > usual * 0.3
    if fault == "disk full":
        assert writer.stdout is not None
        assert writer.stdout.readline() == "full\n"
        assert process.rlimit(psutil.RLIMIT_FSIZE)[0] == psutil.RLIM_INFINITY


@pytest.mark.parametrize("later", ["kill", "hang", "slow", "disk full"])
def test_a_killed_process_is_gone_and_no_error_for_a_later_fault(later: Fault, writer: subprocess.Popen[str]) -> None:
    process = psutil.Process(writer.pid)
    with injected("kill", [process]):
        assert writer.wait(10) < 0
    if available(later):
        with injected(later, [process]):
            assert not process.is_running()
