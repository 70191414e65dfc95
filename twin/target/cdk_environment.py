"""Environment of a deployment that only the stage itself knows: local addresses, and the number of awake copies."""

from __future__ import annotations

import json

from localcloud.state import State
from twin.target.kept_copies import copies_to_pass
from twin.target.paths import EMBEDDING_MODEL
from twin.target.stage import Stage, address

QUOTING_ENGINE = "extractive"
DRILL_ENGINE = "confabulating"
"""The bad release of the alarm drill: it ignores the context and makes things up."""


def deployment_overrides(stage: Stage, engine: str = QUOTING_ENGINE) -> dict[str, str]:
    """Environment for `cdk`: the stage's AWS environment and the `TWIN_` settings that are read from the stage.

    Raises:
        TwinError: when the stage's settings are wrong.
    """
    addresses = {} if stage.local is None else _local(stage.local, engine)
    known = {**stage.environment, **addresses}
    return {**known, **copies_to_pass(stage, known)}


def _local(state: State, engine: str) -> dict[str, str]:
    model = str(EMBEDDING_MODEL)
    return {
        "TWIN_VECTORS__URL": address(state, "qdrant"),
        "TWIN_MONITORING__OPIK_URL": f"{address(state, 'opik')}/api",
        "TWIN_EMBEDDING__MODEL_DIR": model,
        "TWIN_LLM__ENVIRONMENT": json.dumps({"LLM_ENGINE": engine, "EMBEDDING_MODEL_DIR": model}),
        # The CDK's check against CloudFormation's schemas is half of a synthesis. `make synth` and the tests make it
        # for every stage, this one included; here the emulator refuses what it does not know.
        "CDK_VALIDATION": "false",
    }
