"""The environment contract: variables that templates declare are those that services read, without any import."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.settings import ServiceSettings
from services.evaluation.settings import (
    CollectSettings,
    EvaluateSettings,
    ExpireSamplesSettings,
    NotifySettings,
)
from services.guard.settings import ExpireSettings, StopSpendingSettings
from services.llm.settings import LlmSettings
from services.rag.settings import RagSettings
from tests.infra.conftest import STAGES, Templates, resources

OPIK_SDK = frozenset(
    {"OPIK_SENTRY_ENABLE", "OPIK_ANALYTICS_ENABLE", "OPIK_DEFAULT_FLUSH_TIMEOUT", "OPIK_LOG_START_TRACE_SPAN"}
)
"""Read by the Opik SDK itself."""
LAMBDAS: dict[str, type[ServiceSettings]] = {
    "collect_samples": CollectSettings,
    "evaluate_monitoring": EvaluateSettings,
    "judge_shard": EvaluateSettings,
    "finish_run": EvaluateSettings,
    "expire_samples": ExpireSamplesSettings,
    "notify": NotifySettings,
    "expire": ExpireSettings,
}


GUARD = {"expire", "stop_spending"}
"""Handlers of `services.guard`; the others are of `services.evaluation`."""

SOMETIMES: dict[str, type[ServiceSettings]] = {"stop_spending": StopSpendingSettings}
"""Of stages with a kill switch."""


def required(settings: type[ServiceSettings]) -> set[str]:
    return {name.upper() for name, field in settings.model_fields.items() if field.is_required()}


def known(settings: type[ServiceSettings]) -> set[str]:
    return {name.upper() for name in settings.model_fields}


def compare(declared: set[str], settings: type[ServiceSettings], besides: frozenset[str] = frozenset()) -> None:
    assert required(settings) - declared == set()
    assert declared - besides - known(settings) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_the_rag_service_gets_what_it_reads(stage: str, templates: dict[str, Templates]) -> None:
    (task,) = resources(templates[stage]["business"], "ECS::TaskDefinition").values()
    (container,) = task["Properties"]["ContainerDefinitions"]
    declared = {pair["Name"] for pair in (*container["Environment"], *container["Secrets"])}
    compare(declared, RagSettings)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", [*LAMBDAS, *SOMETIMES])
def test_each_lambda_gets_what_it_reads(stage: str, name: str, templates: dict[str, Templates]) -> None:
    package = "guard" if name in GUARD else "evaluation"
    functions: list[dict[str, Any]] = [
        found["Properties"]
        for stack in ("evaluation", "guard")
        for found in resources(templates[stage][stack], "Lambda::Function").values()
        if found["Properties"]["Handler"] == f"services.{package}.handlers.{name}.handler"
    ]
    assert len(functions) == (0 if name in SOMETIMES and stage == "prod" else 1)
    for function in functions:
        compare(set(function["Environment"]["Variables"]), {**LAMBDAS, **SOMETIMES}[name], OPIK_SDK)


def test_the_local_llm_container_gets_what_it_reads(templates: dict[str, Templates]) -> None:
    (model,) = resources(templates["local"]["llm"], "SageMaker::Model").values()
    declared = set(model["Properties"]["PrimaryContainer"]["Environment"])
    assert {name for name in declared if not name.startswith(("SM_VLLM_", "HF_"))} - known(LlmSettings) == set()
