"""The emulator as a process: where it listens, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from localcloud.ports import LOOPBACK
from tests.aws import SERVER
from tests.integration.emulator.cases import ACCOUNT, CASES
from tests.integration.emulator.conftest import ROOT, Emulator, Stacks, command, eventually, running
from tests.integration.emulator.functions import deploy

STOP_SECONDS = 60
"""It takes a few seconds on an idle machine. The busy functions take ten times as long."""


def test_it_listens_on_loopback_only_and_stops_with_its_workers(tmp_path: Path) -> None:
    with running(tmp_path) as emulator, ThreadPoolExecutor(1) as callers:
        functions = emulator.client("lambda")
        deploy(functions, "idle", "def handler(event, context): return event")
        assert json.load(functions.invoke(FunctionName="idle", Payload=b"1")["Payload"]) == 1
        started = tmp_path / "started"
        started.mkdir()
        busy = f"""
            import pathlib, signal, time
            def handler(event, context):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                pathlib.Path({str(started)!r}, event["how"]).touch()
                time.sleep(600)
        """
        deploy(functions, "busy", busy, timeout=600)
        functions.invoke(FunctionName="busy", InvocationType="Event", Payload=b'{"how": "left alone"}')
        # A function that a caller waits for must not keep the emulator running either.
        waiting = callers.submit(functions.invoke, FunctionName="busy", Payload=b'{"how": "waited for"}')
        eventually(lambda: len(list(started.iterdir())) == 2, "the busy functions have not started")

        itself = psutil.Process(emulator.process.pid)
        workers = itself.children(recursive=True)
        assert len(workers) >= 3
        connections = [found for process in (itself, *workers) for found in process.net_connections("inet")]
        listening = {found.laddr for found in connections if found.status == psutil.CONN_LISTEN}
        assert listening == {(LOOPBACK, emulator.port)}

        emulator.process.terminate()
        emulator.process.wait(STOP_SECONDS)
        _, left = psutil.wait_procs(workers, timeout=STOP_SECONDS)
        assert left == []
        assert "FunctionError" in waiting.result(STOP_SECONDS)
        assert emulator.process.returncode == 0
        assert list((tmp_path / "tmp").iterdir()) == []


def test_ctrl_c_ends_it_and_frees_its_port(tmp_path: Path) -> None:
    with running(tmp_path) as emulator:
        emulator.process.send_signal(signal.SIGINT)
        assert emulator.process.wait(STOP_SECONDS) == 0
        with socket.create_server((LOOPBACK, emulator.port)):
            pass


def test_two_run_side_by_side_and_know_nothing_of_each_other(emulator: Emulator, tmp_path: Path) -> None:
    with running(tmp_path) as other:
        emulator.client("sqs").create_queue(QueueName="mine")
        other.client("sqs").create_queue(QueueName="theirs")
        mine, theirs = (
            [url.rpartition("/")[2] for url in each.client("sqs").list_queues()["QueueUrls"]]
            for each in (emulator, other)
        )
    assert (mine, theirs) == (["mine"], ["theirs"])
    emulator.client("sqs").delete_queue(QueueUrl=f"{emulator.url}/{ACCOUNT}/mine")


def test_what_was_deployed_survives_a_restart_when_state_is_kept(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.type == "AWS::ApplicationAutoScaling::ScalingPolicy")
    with running(tmp_path, PERSIST_STATE="1") as first:
        stacks = Stacks(first.client("cloudformation"))
        assert stacks.create("kept", case.resources(case.before)) == "CREATE_COMPLETE", stacks.failures("kept")
        policy = stacks.physical_id("kept", "Subject")
    with running(tmp_path, PERSIST_STATE="1") as second:
        stacks = Stacks(second.client("cloudformation"))
        assert stacks.status("kept") == "CREATE_COMPLETE"
        assert case.read(second.client, policy) == case.before.shown
        stacks.delete("kept")
        assert case.read(second.client, policy) is None


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            command(port, tmp_path), cwd=ROOT, env={**os.environ, **SERVER}, capture_output=True, text=True, timeout=60
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"The emulator cannot listen on {LOOPBACK}:{port}: Address already in use."
    assert "Traceback" not in ended.stderr
