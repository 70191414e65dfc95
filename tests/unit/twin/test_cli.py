"""Exit codes and sentences of the command line, as a shell sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
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
        (("ask", "hi", "--stage", "dve"), "No AWS region is known for stage dve. Stage 'dve' has no settings"),
        (("secrets", "set", "opic", "--stage", "dev"), "There is no secret 'opic'"),
        (("init", "--stage", "local", "--yes"), "cannot be set up"),
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


def test_default_files_are_the_checkouts_and_relative_ones_the_callers(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text((ROOT / "examples" / "judge_pairs.jsonl").read_text().splitlines()[0])
    command = [TWIN, "evaluate-judges", "--json"]
    shipped = str(ROOT / "examples" / "judge_pairs.jsonl")
    for arguments, file, pairs in ((), shipped, 124), (("mine.jsonl",), "mine.jsonl", 1):
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["file"], report["pairs"]) == (file, pairs)


def test_a_shell_completes_commands_from_any_folder(tmp_path: Path) -> None:
    def completed(words: str) -> list[str]:
        asked = {"_TWIN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            [TWIN], cwd=tmp_path, env={**environment(tmp_path), **asked}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert completed("twin de") == ["demo", "deploy", "delete"]
    assert completed("twin account ") == ["bootstrap", "trust", "connect"]
    assert completed("twin ask --no-s") == ["--no-sample"]


def test_the_help_fits_80_columns_with_one_sentence_a_command(tmp_path: Path) -> None:
    kept = {**environment(tmp_path), "COLUMNS": "80"}
    done = subprocess.run([TWIN, "--help"], cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=60)
    lines = done.stdout.split("Commands", 1)[1].splitlines()[1:]
    rows = [line.strip("│ ") for line in lines if line.startswith("│")]
    assert len(rows) > 20 and max(map(len, done.stdout.splitlines())) <= 80
    # A sentence that needs a second line has a row without a command.
    assert [row for row in rows if not row.endswith(".")] == []


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


@pytest.mark.parametrize(
    "module", ["twin.target.parking", "twin.target.waking", "twin.deploy.deploy", "twin.ask.ingest"]
)
def test_commands_that_synthesize_nothing_do_not_start_the_cdk(module: str) -> None:
    """Importing it starts Node, which takes seconds."""
    look = f"import sys; import {module}; sys.exit('aws_cdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=False).returncode == 0
