"""The settings of stage `local` that are known only once the local cloud runs: addresses, and the model's place."""

from __future__ import annotations

import json

from localcloud.state import State
from twin.project import EMBEDDING_MODEL
from twin.stages import Stage, address

QUOTING_ENGINE = "extractive"
DRILL_ENGINE = "confabulating"
"""The bad release of the alarm drill: it ignores the context and makes things up."""


def deployment_overrides(stage: Stage, engine: str = QUOTING_ENGINE) -> dict[str, str]:
    """Environment for `cdk`: the stage's AWS environment and, locally, the `TWIN_` settings of this machine."""
    if stage.local is None:
        return dict(stage.environment)
    return {**stage.environment, **_local(stage.local, engine)}


def _local(state: State, engine: str) -> dict[str, str]:
    model = str(EMBEDDING_MODEL)
    return {
        "TWIN_VECTORS__URL": address(state, "qdrant"),
        "TWIN_MONITORING__OPIK_URL": f"{address(state, 'opik')}/api",
        "TWIN_EMBEDDING__MODEL_DIR": model,
        "TWIN_LLM__ENVIRONMENT": json.dumps({"LLM_ENGINE": engine, "EMBEDDING_MODEL_DIR": model}),
    }
