"""`twin drill faults` over the deployed pipeline: its promises, that it can fail, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import ROOT, SLOW_TO_WAKE, Twin
from tests.program import TWIN
from tests.sigint import restore_sigint

EVERY = "TWIN_EVERY_FAULT"
FEW = ("--callers", "4", "--seconds", "3")
# The command with promises that no stage can keep.
IMPOSSIBLE = """
from dataclasses import replace
from twin.local.faults import promises
promises.PROMISES = tuple(replace(each, answers=frozenset(), back_seconds=0.0) for each in promises.PROMISES)
from twin.app import main
main()
"""


@pytest.mark.parametrize("only", ["qdrant:disk full", "opik:kill"])
def test_a_fault_under_load_keeps_its_promise(only: str, twin: Twin, started: dict[str, Any]) -> None:
    before = platform_pids(twin)
    (row,) = twin.json("drill", "faults", "--only", only, *FEW)["faults"]
    assert row["broken"] == []
    assert row["seen"]["answers"]["whole"] > 0
    assert not any(row["seen"]["lost"].values())
    killed = {"opik"} if only == "opik:kill" else set()
    assert {name for name, pid in platform_pids(twin).items() if before[name] != pid} == killed
    assert disturbed(twin) == []


def test_a_promise_that_is_broken_ends_with_1_and_is_marked(twin: Twin, started: dict[str, Any]) -> None:
    command = [sys.executable, "-c", IMPOSSIBLE, "drill", "faults", "--only", "qdrant:kill", *FEW]
    done = subprocess.run(command, cwd=ROOT, env=environment(twin), capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr
    assert "BROKEN" in done.stdout
    assert "no whole answer within 0 s after it" in " ".join(done.stdout.replace("│", " ").split())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_ctrl_c_lets_everything_run_on(twin: Twin, started: dict[str, Any]) -> None:
    store = psutil.Process(twin.process("platform", "qdrant")["pid"])
    command = [TWIN, "drill", "faults", "--only", "qdrant:hang", "--callers", "2", "--seconds", "60"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(twin), stderr=subprocess.PIPE, text=True, preexec_fn=restore_sigint
    )
    deadline = time.monotonic() + 90
    while store.status() != psutil.STATUS_STOPPED:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert disturbed(twin) == []
    keys = twin.client("secretsmanager").get_secret_value(SecretId=started["outputs"]["ApiKeysSecretArn"])
    assert "drill-faults" not in keys["SecretString"]


def test_faults_are_made_on_this_machine_only(twin: Twin) -> None:
    refused = twin.run("drill", "faults", "--stage", "dev", env={"AWS_REGION": "us-east-1"})
    assert refused.returncode == 1
    assert "on the local cloud only" in refused.stderr


@pytest.mark.skipif(not os.environ.get(EVERY), reason=f"takes five minutes; {EVERY}=1 runs it")
@pytest.mark.timeout(900)
def test_every_fault_keeps_its_promise(twin: Twin, started: dict[str, Any]) -> None:
    found = twin.json("drill", "faults", timeout=850)
    assert [(row["part"], row["fault"], row["broken"]) for row in found["faults"] if row["broken"]] == []
    assert disturbed(twin) == []


def environment(twin: Twin) -> dict[str, str]:
    return {**os.environ, **SLOW_TO_WAKE, "TWIN_STATE_ROOT": str(twin.state_root), "CI": "1"}


def platform_pids(twin: Twin) -> dict[str, int]:
    return {process["name"]: process["pid"] for process in twin.state()["processes"] if process["kind"] == "platform"}


def disturbed(twin: Twin) -> list[str]:
    """Processes of the local cloud that are suspended or may not write."""
    found = []
    for process in map(psutil.Process, [twin.state()["pid"], *platform_pids(twin).values()]):
        limited = sys.platform == "linux" and process.rlimit(psutil.RLIMIT_FSIZE)[0] == 0
        if limited or process.status() == psutil.STATUS_STOPPED:
            found.append(" ".join(process.cmdline()))
    return found
