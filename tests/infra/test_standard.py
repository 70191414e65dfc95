"""The profile `standard` passes what the other stages pass, with one synthesis of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Synthesize, Templates, only, read, resources
from .test_templates import violations


@pytest.fixture(scope="module")
def folder(synthesize: Synthesize) -> Path:
    return synthesize("standard")


@pytest.fixture(scope="module")
def standard(folder: Path) -> Templates:
    return read(folder, "standard")


def test_cdk_nag_finds_nothing(folder: Path) -> None:
    assert [rule for rule, severity in violations(folder) if severity == "error"] == []


def test_it_is_what_its_file_promises(standard: Templates) -> None:
    assert resources(standard["network"], "EC2::NatGateway") == {}
    assert only(standard["business"], "ApplicationAutoScaling::ScalableTarget")["MinCapacity"] == 2
    (copies,) = (
        found["Properties"] for found in resources(standard["llm"], "ApplicationAutoScaling::ScalableTarget").values()
    )
    assert (copies["MinCapacity"], copies["MaxCapacity"]) == (0, 2)
    assert only(standard["guard"], "Scheduler::Schedule")["State"] == "DISABLED"
    assert resources(standard["guard"], "Budgets::Budget") == {}
