"""The end of the story: what the commands say once everything is deleted."""

from __future__ import annotations

import subprocess

from tests.e2e.conftest import Twin


def test_commands_without_a_local_cloud_say_how_to_start_it(twin: Twin) -> None:
    refused: subprocess.CompletedProcess[str] = twin.run("ask", "Is anyone there?")
    assert refused.returncode == 1
    assert "make local-start" in refused.stderr
    assert "Traceback" not in refused.stderr
