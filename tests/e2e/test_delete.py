"""The end of the story: what a delete leaves behind, and what the commands say once it is done."""

from __future__ import annotations

import subprocess
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.conftest import Twin


def test_delete_leaves_no_resource_no_process_and_no_port(twin: Twin, started: dict[str, Any]) -> None:
    state = twin.state()
    deleted = twin.json("delete", timeout=290)
    assert deleted["survivors"] == []
    pids = [state["pid"], *(p["pid"] for p in state["processes"])]
    assert [pid for pid in pids if pid and psutil.pid_exists(pid)] == []
    for port in state["ports"].values():
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=2, trust_env=False)


def test_commands_without_a_local_cloud_say_how_to_start_it(twin: Twin) -> None:
    refused: subprocess.CompletedProcess[str] = twin.run("ask", "Is anyone there?")
    assert refused.returncode == 1
    assert "make local-start" in refused.stderr
    assert "Traceback" not in refused.stderr
