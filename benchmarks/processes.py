"""Processes of a benchmark: start, cores, processor time, memory, stop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from benchmarks.load import LoadResult, Plan
from localcloud.process import REPOSITORY, Child, answers, base_environment

RESULTS = REPOSITORY / ".local" / "benchmarks"
WORK = RESULTS / "work"
START_SECONDS = 90.0
STOP_SECONDS = 8.0


class BenchmarkError(RuntimeError):
    """A benchmark cannot be run; the message says why."""


def cores() -> list[int]:
    """Cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def server_core() -> list[int]:
    """Core of the server under test."""
    return cores()[:1]


def other_cores() -> list[int]:
    """Cores of everything else; the server's core when the machine has only one."""
    return cores()[1:] or cores()


def pinned(command: Sequence[str], where: Sequence[int]) -> list[str]:
    """Command that runs on these cores only, where `taskset` exists; otherwise the command itself."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", ",".join(map(str, where)), *command] if taskset else list(command)


class Server:
    """A server process and its resource use."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        ready_url: str,
        where: Sequence[int],
    ) -> None:
        """Start the server and wait until it is ready.

        Args:
            name: name in messages and of the log file.
            command: program and arguments.
            environment: variables beside those that every process gets.
            ready_url: address whose 2xx answer means that it is ready.
            where: cores that it runs on.

        Raises:
            BenchmarkError: it is not ready within `START_SECONDS`; the message has its last log line.
        """
        self.name = name
        environment = {**base_environment(WORK), **environment}
        self._child = Child(pinned(command, where), environment, WORK / "logs" / f"{name}.log")
        deadline = time.monotonic() + START_SECONDS
        while not answers(ready_url):
            if self._child.exit_code() is not None or time.monotonic() > deadline:
                line = self._child.last_log_line()
                self._child.stop(1)
                raise BenchmarkError(f"{name} did not start: {line} (log: {self._child.log})")
            time.sleep(0.1)
        self.process = psutil.Process(self._child.pid)

    def cpu_seconds(self) -> float:
        """Processor seconds of the process and its children so far."""
        found = [self.process, *self.process.children(recursive=True)]
        times = [process.cpu_times() for process in found]
        return float(sum(spent.user + spent.system for spent in times))

    def rss_mb(self) -> float:
        """Resident memory of the process and its children, in MiB."""
        found = [self.process, *self.process.children(recursive=True)]
        return float(sum(process.memory_info().rss for process in found)) / 1024**2

    def stop(self) -> None:
        """Stop the server; it is killed after `STOP_SECONDS`."""
        self._child.stop(STOP_SECONDS)


def python(module: str, *arguments: str) -> list[str]:
    """Command that runs one of our modules with this Python."""
    return [sys.executable, "-m", module, *arguments]


def run_load(
    plan: Plan,
    environment: Mapping[str, str] | None = None,
    where: Sequence[int] | None = None,
    max_error_share: float = 0.01,
) -> LoadResult:
    """Run a plan in a process of its own.

    Args:
        plan: requests to send.
        environment: variables beside those that every process gets.
        where: cores of the process; `other_cores` by default.
        max_error_share: share of wrong answers that is accepted.

    Raises:
        BenchmarkError: the load generator failed, or more answers were wrong.
    """
    done = subprocess.run(
        pinned(python("benchmarks.load"), where or other_cores()),
        input=json.dumps(asdict(plan)),
        env={**base_environment(WORK), **(environment or {})},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"The load generator failed: {done.stderr.strip().splitlines()[-1:]}")
    result = LoadResult(**json.loads(done.stdout))
    wrong = sum(result.errors.values())
    if not result.total_ms or wrong > plan.requests * max_error_share:
        raise BenchmarkError(f"{wrong} of {plan.requests} answers of {plan.url}{plan.path} were wrong: {result.errors}")
    return result


def free_folder(name: str) -> Path:
    """An empty folder of that name in the benchmarks' work folder; an existing one is deleted."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
