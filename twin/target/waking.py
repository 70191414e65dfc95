"""Waits until the stage's service can answer with its model awake."""

from __future__ import annotations

from twin.target.api_client import ApiClient
from twin.target.errors import TwinError
from twin.target.parking import is_parked, parked
from twin.target.progress import Progress
from twin.target.stage import Stage

WAKE_SECONDS = 1800.0
"""As long as a new instance may take from zero copies to its first answer.

A model of 0.6 billion parameters on one of AWS's machines took 9 minutes 24 seconds, in July 2026:
https://github.com/huggingface/skills/blob/main/skills/hf-cloud-sagemaker-production-defaults/SKILL.md
"""


def await_service(stage: Stage, api: ApiClient, progress: Progress) -> None:
    """Wait until the service can answer; a sleeping model is woken.

    Raises:
        TwinError: it cannot be reached, something else than its model is missing, or the model is parked.
    """
    # First, since the service knows for some seconds only what the model was before.
    if is_parked(stage):
        raise TwinError(f"The model of stage {stage.name} is {parked(stage)}.")
    state = api.readiness(wake=True)
    if state.get("status") == "ready":
        return
    if "error" in state:
        raise TwinError(f"The RAG service cannot be reached: {state['error']}.")
    failing = {name: found for name, found in (state.get("dependencies") or {}).items() if found.get("state") != "ok"}
    if set(failing) != {"llm"}:
        reasons = "; ".join(f"{name}: {found.get('detail') or 'down'}" for name, found in failing.items())
        raise TwinError(f"The RAG service is not ready: {reasons or state}.")
    progress("waiting for the model to wake")
    api.wait_until_awake(WAKE_SECONDS)
