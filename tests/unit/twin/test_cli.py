"""Exit codes and sentences of the command line, as a shell sees them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.program import TWIN
from tests.sigint import restore_sigint

ROOT = Path(__file__).resolve().parents[3]


def environment(state_root: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    files = {name: str(state_root / "none") for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")}
    return {**kept, **files, "TWIN_STATE_ROOT": str(state_root), "AWS_EC2_METADATA_DISABLED": "true"}


def twin(state_root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [TWIN, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(state_root), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ask", "hi"), "make local-start"),
        (("evaluate",), "make local-start"),
        (("delete",), "make local-start"),
        (("ask", "hi", "--stage", "Bad!"), "is not a stage name"),
        (("ask", "hi", "--stage", "dev"), "set AWS_REGION"),
    ],
)
def test_a_refusal_is_a_sentence_and_exit_code_1(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = twin(tmp_path, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_fails_without_credentials(tmp_path: Path) -> None:
    done = twin(tmp_path, "doctor", "--stage", "dev", "--json")
    assert done.returncode == 1
    assert "AWS credentials" in done.stdout


def test_an_unknown_option_is_exit_code_2(tmp_path: Path) -> None:
    done = twin(tmp_path, "ask", "--nothing")
    assert done.returncode == 2


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [TWIN, "local-start"],
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_sigint,
    )
    log = tmp_path / ".local" / "logs" / "supervisor.log"
    deadline = time.monotonic() + 30
    while not log.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in said
    assert not (tmp_path / ".local" / "state.json").exists()
