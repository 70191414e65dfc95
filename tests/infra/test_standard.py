"""The profile `standard` passes the checks of the other stages, in a separate synthesis."""

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


def test_it_has_what_its_file_describes(standard: Templates) -> None:
    assert resources(standard["network"], "EC2::NatGateway") == {}
    assert only(standard["business"], "ApplicationAutoScaling::ScalableTarget")["MinCapacity"] == 2
    (copies,) = (
        found["Properties"] for found in resources(standard["llm"], "ApplicationAutoScaling::ScalableTarget").values()
    )
    assert (copies["MinCapacity"], copies["MaxCapacity"]) == (0, 2)
    assert resources(standard["guard"], "Scheduler::Schedule") == {}
    assert resources(standard["guard"], "Budgets::Budget") == {}
