"""The alarm drill: a bad release of the LLM, noticed by monitoring, announced, and rolled back."""

from __future__ import annotations

import time
from typing import Any

import httpx

from twin import cdk
from twin.cdk import Progress
from twin.errors import TwinError
from twin.overrides import deployment_overrides
from twin.stages import Stage, address


def release_llm(stage: Stage, engine: str, progress: Progress) -> None:
    """Update the LLM stack to another engine by a real `cdk deploy`."""
    overrides = deployment_overrides(stage, engine)
    cdk.synth(stage.name, overrides)
    cdk.deploy([stage.stack("llm")], overrides, progress, exclusively=True)


def messages(stage: Stage) -> list[dict[str, Any]]:
    """Every message that arrived at the local webhook sink, oldest first."""
    if stage.local is None:
        raise TwinError("The drill reads the local webhook sink: it runs in stage local only.")
    response = httpx.get(f"{address(stage.local, 'sink')}/messages", timeout=10, trust_env=False)
    response.raise_for_status()
    return list(response.json()["messages"])


def wait_for_message(stage: Stage, seen: int, seconds: float) -> dict[str, Any]:
    """The first message after the `seen` ones that were there before.

    Raises:
        TwinError: when none arrives in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = messages(stage)
        if len(found) > seen:
            return found[seen]
        if time.monotonic() > deadline:
            raise TwinError(f"No alarm message arrived at the webhook within {seconds:.0f} s.")
        time.sleep(0.3)
