"""Starts, pins, watches and stops the processes of a benchmark."""

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
    """A benchmark cannot be carried out; the message says why."""


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def server_core() -> list[int]:
    """The core of the server under test."""
    return cores()[:1]


def other_cores() -> list[int]:
    """The cores of everything else; shared with the server when the machine has only one."""
    return cores()[1:] or cores()


def pinned(command: Sequence[str], where: Sequence[int]) -> list[str]:
    """The command on these cores only, where the system can do that."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", ",".join(map(str, where)), *command] if taskset else list(command)


class Server:
    """A process that serves, with the means to see what it costs."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        ready_url: str,
        where: Sequence[int],
    ) -> None:
        """Start it and wait until `ready_url` answers.

        Raises:
            BenchmarkError: it does not start.
        """
        self.name = name
        environment = {**base_environment(WORK), **environment}
        self._child = Child(pinned(command, where), environment, WORK / "logs" / f"{name}.log")
        deadline = time.monotonic() + START_SECONDS
        while not answers(ready_url):
            if self._child.exit_code() is not None or time.monotonic() > deadline:
                words = self._child.last_log_line()
                self._child.stop(1)
                raise BenchmarkError(f"{name} did not start: {words} (log: {self._child.log})")
            time.sleep(0.1)
        self.process = psutil.Process(self._child.pid)

    def cpu_seconds(self) -> float:
        """Processor time of the process and those it started."""
        found = [self.process, *self.process.children(recursive=True)]
        times = [process.cpu_times() for process in found]
        return float(sum(spent.user + spent.system for spent in times))

    def rss_mb(self) -> float:
        """Resident memory of the process and those it started, in MiB."""
        found = [self.process, *self.process.children(recursive=True)]
        return float(sum(process.memory_info().rss for process in found)) / 1024**2

    def stop(self) -> None:
        """End it."""
        self._child.stop(STOP_SECONDS)


def python(module: str, *arguments: str) -> list[str]:
    """Command of one of our own modules."""
    return [sys.executable, "-m", module, *arguments]


def run_load(
    plan: Plan,
    environment: Mapping[str, str] | None = None,
    where: Sequence[int] | None = None,
    most_wrong: float = 0.01,
) -> LoadResult:
    """Carry out a plan in a process of its own, on the cores beside the server or those given.

    Raises:
        BenchmarkError: the load generator failed, or more than this share of the answers was wrong.
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
    if not result.total_ms or wrong > plan.requests * most_wrong:
        raise BenchmarkError(f"{wrong} of {plan.requests} answers of {plan.url}{plan.path} were wrong: {result.errors}")
    return result


def free_folder(name: str) -> Path:
    """An empty folder of that name under the benchmark's own."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
