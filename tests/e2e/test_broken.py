"""A start that cannot succeed or is interrupted: one sentence, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from localcloud.process import ROOT_MARKER
from tests.e2e.checkout import environment
from tests.e2e.conftest import ROOT
from tests.sigint import restore_sigint

LEFT_OUT = shutil.ignore_patterns(".venv", "node_modules", ".git", ".local", "cdk.out", "tests", "*_cache")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the project that may be broken; the installed packages are the ones of this checkout."""
    copy = tmp_path / "clone"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    (copy / "node_modules").symlink_to(ROOT / "node_modules")
    environment(copy / ".venv")
    (copy / ".local").mkdir()
    for name in ("models", "jsii"):
        (ROOT / ".local" / name).mkdir(exist_ok=True)
        (copy / ".local" / name).symlink_to(ROOT / ".local" / name)
    return copy


def twin(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(root / ".venv" / "bin" / "twin"), *arguments],
        cwd=root,
        env={**{k: v for k, v in os.environ.items() if k != "TWIN_STATE_ROOT"}, "CI": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=restore_sigint,
    )


def test_a_misspelt_variable_is_named_with_its_resource(clone: Path) -> None:
    stack = clone / "infra" / "stacks" / "rag.py"
    text = stack.read_text()
    assert text.count('"QDRANT_URL"') == 1
    stack.write_text(text.replace('"QDRANT_URL"', '"QDRANT_URI"'))
    said, _ = (process := twin(clone, "local-start")).communicate(timeout=200)
    assert process.returncode == 1
    # The deployment itself fails, with the resource and the last words of its container.
    assert "Error: " in said
    assert "AWS::ECS::Service" in said
    assert "Circuit Breaker was triggered" in said
    assert "environment variable QDRANT_URL is not set" in said
    assert "means:  The container refuses its settings" in said
    assert "Traceback" not in said
    assert left_of(clone) == []


@pytest.mark.parametrize(
    ("shown", "program"), [("AWS::", "cdk deploy --all"), ("Ingest examples/corpus", "services.rag.ingest")]
)
def test_ctrl_c_in_the_demo_leaves_nothing(clone: Path, shown: str, program: str) -> None:
    process = twin(clone, "demo")
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if shown in line:
            break
    else:
        pytest.fail("".join(said)[-3000:])
    deadline = time.monotonic() + 30
    while not any(program in command for command in left_of(clone)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "Interrupted." in rest
    assert "Traceback" not in rest
    assert left_of(clone) == []
    assert not (clone / ".local" / "state.json").exists()
    assert not (clone / ".local" / "data").exists()


def left_of(root: Path) -> list[str]:
    """Processes of the local cloud of this folder, or that run in it."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(ROOT_MARKER) == str(root) or Path(process.cwd()).is_relative_to(root)
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found
