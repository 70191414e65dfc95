"""`twin cost` as a shell sees it: output, exit codes, one sentence for what a user can fix."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.program import TWIN

ROOT = Path(__file__).resolve().parents[4]
Make = Callable[..., dict[str, Any]]
WriteAssembly = Callable[..., Path]


def twin(state_root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TWIN_"))}
    files = {name: str(state_root / "none") for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")}
    environment = {**kept, **files, "TWIN_STATE_ROOT": str(state_root), "AWS_EC2_METADATA_DISABLED": "true"}
    command = [TWIN, "cost", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(write_assembly: WriteAssembly, make: Make) -> Path:
    variables = {"Variables": {"QDRANT_URL": "https://qdrant.example.com:6333"}}
    function = make("Lambda::Function", Environment=variables)
    return write_assembly({"twin-x-one": {"Key": make("KMS::Key"), "Role": make("IAM::Role"), "F": function}})


def test_tables_for_people(tmp_path: Path, folder: Path) -> None:
    done = twin(tmp_path, "--assembly", str(folder))
    assert done.returncode == 0
    assert "per month" in done.stdout
    assert "IAM is free" in done.stdout
    assert "Billed by others and not in the sums: qdrant.example.com." in done.stdout


def test_one_document_for_machines(tmp_path: Path, folder: Path) -> None:
    done = twin(tmp_path, "--assembly", str(folder), "--json", "--assume", "answer_tokens=300")
    document = json.loads(done.stdout)
    assert document["sums"]["idle"]["monthly"].startswith("1.00")
    assert document["assumptions"]["answer_tokens"] == "300"
    assert done.returncode == 0


def test_a_difference_as_markdown(tmp_path: Path, folder: Path, write_assembly: WriteAssembly, make: Make) -> None:
    base = write_assembly({"twin-y-one": {"Key": make("KMS::Key"), "Address": make("EC2::EIP")}})
    done = twin(tmp_path, "--assembly", str(folder), "--diff", str(base), "--markdown")
    assert done.returncode == 0
    assert "| one | EC2::EIP | Public IPv4 address | -3.65 | -3.65 | -3.65 |" in done.stdout
    assert "\x1b[" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--stage", "nowhere"), "Stage 'nowhere' has no settings"),
        (("--stage", "Bad!"), "has no settings"),
        (("--assembly", "missing.out"), "missing.out is no cloud assembly"),
        (("--assembly", "FOLDER", "--diff", "missing.out"), "missing.out is no cloud assembly"),
        (("--assembly", "FOLDER", "--assume", "x=1"), "x is no assumption"),
        (("--assembly", "FOLDER", "--refresh-prices"), "Unable to locate credentials"),
    ],
)
def test_a_refusal_is_a_sentence_and_exit_code_1(
    tmp_path: Path, folder: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = twin(tmp_path, *(str(folder) if argument == "FOLDER" else argument for argument in arguments))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
