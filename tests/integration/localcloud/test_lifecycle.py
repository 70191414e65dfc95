"""Starting and stopping a local cloud, and what a person sees when it cannot start."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from localcloud import lifecycle
from localcloud.errors import LocalCloudError
from localcloud.platform import PARTS, Platform
from localcloud.ports import free_port
from localcloud.process import ROOT_MARKER
from localcloud.state import State
from tests.integration.localcloud.conftest import START_SECONDS
from tests.program import TWIN

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose local cloud each test starts, unless the one before has left it running."""
    folder = tmp_path_factory.mktemp("root")
    yield folder
    lifecycle.stop(folder)


def alive(state: State) -> list[int]:
    pids = [state.pid, *(process.pid for process in state.processes if process.pid)]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def open_ports(state: State) -> list[int]:
    found = []
    for port in state.ports.values():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                found.append(port)
    return found


def test_everything_listens_on_loopback_only(root: Path) -> None:
    state = lifecycle.start(root, START_SECONDS)
    wanted = set(state.ports.values())
    listening = [c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening if address.port in wanted} == {"127.0.0.1"}


def test_a_killed_supervisor_takes_its_processes_along_and_the_next_start_works(root: Path) -> None:
    state = lifecycle.start(root, START_SECONDS)
    os.kill(state.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while alive(state):
        assert time.monotonic() < deadline, alive(state)
        time.sleep(0.1)
    again = lifecycle.start(root, START_SECONDS)
    assert again.pid != state.pid
    assert httpx.get(f"http://127.0.0.1:{again.ports['opik']}/api/is-alive/ping", trust_env=False).is_success


def test_two_folders_side_by_side_and_each_stops_alone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    try:
        first, second = lifecycle.start(root, START_SECONDS), lifecycle.start(other, START_SECONDS)
        assert not set(first.ports.values()) & set(second.ports.values())
        assert lifecycle.start(root, START_SECONDS).pid == first.pid
        lifecycle.stop(other)
        assert alive(second) == []
        assert open_ports(second) == []
        assert sorted(open_ports(first)) == sorted(first.ports.values())
    finally:
        lifecycle.stop(other)
    lifecycle.stop(root)
    assert alive(first) == []
    assert open_ports(first) == []
    assert lifecycle.status(root) is None


@pytest.mark.parametrize("part", [part.port_name for part in PARTS])
def test_a_taken_port_is_named_with_the_part_that_wanted_it(tmp_path: Path, part: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {name.port_name: free_port() for name in PARTS} | {"sagemaker_runtime": free_port()}
        ports[part] = taken.getsockname()[1]
        platform = Platform(tmp_path, ports)
        try:
            with pytest.raises(LocalCloudError) as refused:
                platform.start()
        finally:
            platform.stop()
    assert f"localcloud.{'emulator' if part == 'aws' else part} cannot listen on port" in str(refused.value)
    assert "in use" in str(refused.value)


def test_a_corrupt_state_file_is_a_sentence_and_stopping_fixes_it(tmp_path: Path) -> None:
    path = tmp_path / ".local" / "state.json"
    path.parent.mkdir(parents=True)
    path.write_text("{ not json")
    with pytest.raises(LocalCloudError, match="state"):
        lifecycle.start(tmp_path, START_SECONDS)
    lifecycle.stop(tmp_path)
    assert not path.exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounting a small disk needs root and unshare"
)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    mounted = 'mount -t tmpfs -o size=64k none . && exec "$@"'
    command = [TWIN, "local-start"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"cd {tmp_path} && {mounted}", "sh", *command],
        env={**os.environ, "TWIN_STATE_ROOT": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "mount:" in done.stderr:
        pytest.skip(f"this machine does not let a test mount a disk: {done.stderr.strip()}")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    marked = [p for p in psutil.process_iter() if _mark(p) == str(tmp_path)]
    assert marked == []


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(ROOT_MARKER)
    except psutil.Error:
        return None
