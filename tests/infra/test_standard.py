"""The profile `standard` passes what the other stages pass, with one synthesis of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT, Synthesize, Templates, only, read, resources
from .test_templates import violations


@pytest.fixture(scope="module")
def folder(synthesize: Synthesize) -> Path:
    # Any variable spares the CDK's second look at the schemas: cfn-lint has them as well.
    return synthesize("standard", {"TWIN_RELEASE": "0.1.0"})


@pytest.fixture(scope="module")
def standard(folder: Path) -> Templates:
    return read(folder, "standard")


def test_rules_and_lint_find_nothing(folder: Path) -> None:
    assert [rule for rule, severity in violations(folder) if severity == "error"] == []
    files = [str(file) for file in sorted(folder.glob("*.template.json"))]
    command = [str(ROOT / ".venv/bin/cfn-lint"), "--ignore-checks", "W3005", "W3010", "--", *files]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_is_what_its_file_promises(standard: Templates) -> None:
    assert resources(standard["network"], "EC2::NatGateway") == {}
    assert only(standard["business"], "ApplicationAutoScaling::ScalableTarget")["MinCapacity"] == 2
    (copies,) = (
        found["Properties"] for found in resources(standard["llm"], "ApplicationAutoScaling::ScalableTarget").values()
    )
    assert (copies["MinCapacity"], copies["MaxCapacity"]) == (0, 2)
    assert only(standard["guard"], "Scheduler::Schedule")["State"] == "DISABLED"
    assert resources(standard["guard"], "Budgets::Budget") == {}
