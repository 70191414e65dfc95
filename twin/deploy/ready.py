"""Waits after a deployment until what it is responsible for works, without waking the model."""

from __future__ import annotations

from typing import Any

from localcloud import lifecycle
from twin.target.api_client import ApiClient
from twin.target.deployment import is_untouched
from twin.target.errors import TwinError
from twin.target.model_copies import model_copies
from twin.target.paths import STATE_ROOT
from twin.target.stage import Stage

READY_SECONDS = 45.0
POLL_SECONDS = 0.3
LLM, STORE = "llm", "qdrant"
STORE_KEY = "QdrantApiKeySecretArn"
UNFILLED = "API key of Qdrant"
"""Description of the secret of a store elsewhere, which is created with a placeholder."""


def wait_until_ready(stage: Stage, found: dict[str, str], seconds: float | None = None) -> list[str]:
    """Wait for `/readyz` through the load balancer; locally what cannot get ready by itself ends the wait.

    A model without copies is not asked, since that would wake it: on AWS a wake takes minutes, in which every
    invocation fails, and costs the GPU's time.
    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html

    Args:
        found: the stage's outputs.
        seconds: how long; `READY_SECONDS` where CloudFormation has waited already.

    Returns:
        Sentences on what does not serve yet although the deployment is done.

    Raises:
        TwinError: naming the resource and what is wrong with it.
    """
    copies = model_copies(stage)
    asleep = copies is not None and copies.current == 0
    seconds = READY_SECONDS if seconds is None else seconds
    deadline = stage.clock.deadline(seconds)
    with ApiClient(stage, found) as api:
        while True:
            state = api.readiness(wake=not asleep)
            missing = _missing(state)
            if missing is not None:
                if missing.get(LLM) == "asleep":
                    del missing[LLM]
                    asleep = True
                if not missing:
                    return [_sleeps(stage)] if asleep else []
                if missing.keys() == {STORE} and _is_unfilled(stage, found):
                    return [*([_sleeps(stage)] if asleep else []), _to_fill(stage)]
            if stage.is_local:
                refuse_failed_processes()
            if deadline.passed:
                raise TwinError(f"The RAG service is not ready after {seconds:.0f} s: {state}")
            stage.clock.sleep(POLL_SECONDS)


def _missing(state: dict[str, Any]) -> dict[str, str] | None:
    """State of each dependency that is not ok; None for an answer that is none of `/readyz`."""
    dependencies = state.get("dependencies")
    if not isinstance(dependencies, dict):
        return None
    return {name: str(each.get("state")) for name, each in dependencies.items() if each.get("state") != "ok"}


def _is_unfilled(stage: Stage, found: dict[str, str]) -> bool:
    """Whether the store's key is still the placeholder that it was created with."""
    described = stage.client("secretsmanager").describe_secret(SecretId=found[STORE_KEY])
    return described.get("Description") == UNFILLED and is_untouched(described)


def _sleeps(stage: Stage) -> str:
    return (
        f"The model of stage {stage.name} is asleep or waking: a question wakes it, and waits for it. "
        f"`twin ask --wait --stage {stage.name} ...` waits as long as it takes."
    )


def _to_fill(stage: Stage) -> str:
    return (
        "The key of the vector store was never filled, so that every search is refused: "
        f"`twin secrets set qdrant --stage {stage.name}`. The service takes the new key by itself."
    )


def refuse_failed_processes() -> None:
    """Raise when a declared resource has failed for good: what is still tried may get ready within the wait.

    Raises:
        TwinError: naming the resource and the reason.
    """
    state = lifecycle.status(STATE_ROOT)
    failed = [p for p in (state.processes if state else ()) if p.status == "failed"]
    if failed:
        raise TwinError("; ".join(f"{p.resource}: {p.reason}" for p in failed))
