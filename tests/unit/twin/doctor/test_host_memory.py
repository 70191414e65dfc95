"""What the preflight says about the host memory that a copy of the model reserves."""

from __future__ import annotations

from typing import Any

import pytest

from infra.settings.deployment import load_settings
from infra.settings.llm import LlmSettings
from twin.doctor import fit
from twin.doctor.check import run
from twin.doctor.context import Context
from twin.doctor.finding import Finding, Status
from twin.doctor.host_memory import CHECKS, HOST_GIB, host_mb
from twin.target.stage import Stage


def look(**llm: Any) -> list[Finding]:
    settings = load_settings("dev").model_copy(update={"llm": LlmSettings.model_validate(llm)})
    return run(CHECKS, Context(Stage("dev", "us-east-1"), settings))


@pytest.mark.parametrize(
    ("instance", "megabytes", "status"),
    [
        # As measured and published by others.
        ("ml.g5.xlarge", 1024, Status.OK),
        ("ml.g5.xlarge", 4096, Status.FAILED),
        ("ml.g6.2xlarge", 4096, Status.OK),
        ("ml.g5.2xlarge", 10_000, Status.OK),
        # The former default.
        ("ml.g6.2xlarge", 16_384, Status.WARNING),
        ("ml.g6.xlarge", 16_384, Status.FAILED),
        ("ml.g6.2xlarge", 32_768, Status.FAILED),
        ("ml.x9.2xlarge", 4096, Status.WARNING),
    ],
)
def test_a_reservation_must_find_a_place(instance: str, megabytes: int, status: Status) -> None:
    (found,) = look(instance_type=instance, memory_mb=megabytes)
    assert found.status is status
    assert bool(found.fix) is (status is not Status.OK)


def test_the_default_is_placed_on_the_default_instance() -> None:
    assert [found.status for found in look()] == [Status.OK]


def test_every_instance_type_is_looked_at() -> None:
    found = look(fallback_instance_types=["ml.g5.xlarge"])
    assert [each.status for each in found] == [Status.OK, Status.FAILED]
    assert "ml.g5.xlarge" in found[1].seen and "`memory_mb = 1024`" in found[1].fix


def test_a_real_time_endpoint_reserves_nothing() -> None:
    (found,) = look(mode="real-time", instance_type="ml.g5.xlarge")
    assert found.status is Status.SKIPPED


def test_the_memory_of_every_family_with_known_gpus_is_known() -> None:
    assert set(HOST_GIB) == set(fit.GPUS)
    assert host_mb("ml.g6e.xlarge") == 32 * 1024
