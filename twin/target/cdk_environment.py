"""Environment of a deployment that only the stage itself knows: local addresses, and the number of awake copies."""

from __future__ import annotations

import json
import os

from infra.settings.deployment import SettingsError, load_settings
from localcloud.state import State
from twin.target import local_llm
from twin.target.errors import TwinError
from twin.target.kept_copies import copies_to_pass
from twin.target.paths import EMBEDDING_MODEL
from twin.target.stage import Stage, address

DRILL_ENGINE = "confabulating"
"""The bad release of the alarm drill: it ignores the context and makes things up."""
CONTAINER_ENVIRONMENT = "TWIN_LLM__ENVIRONMENT"
MODEL_NAME = "TWIN_LLM__SERVED_MODEL_NAME"


def deployment_overrides(stage: Stage, engine: str | None = None) -> dict[str, str]:
    """Environment for `cdk`: `stage_environment`, and the number of the model's copies of this moment.

    Raises:
        TwinError: when the stage's settings are wrong.
    """
    known = stage_environment(stage, engine)
    return {**known, **copies_to_pass(stage, known)}


def stage_environment(stage: Stage, engine: str | None = None) -> dict[str, str]:
    """The stage's AWS environment and the `TWIN_` settings that are read from the stage.

    Args:
        stage: to be deployed.
        engine: of the local LLM; None takes the server that was chosen with the local cloud's start, else what the
            settings say.

    Raises:
        TwinError: when the stage's settings are wrong.
    """
    addresses = {} if stage.local is None else {**_addresses(stage.local), **_llm(stage, engine)}
    return {**stage.environment, **addresses}


def _addresses(state: State) -> dict[str, str]:
    return {
        "TWIN_VECTORS__URL": address(state, "qdrant"),
        "TWIN_MONITORING__OPIK_URL": f"{address(state, 'opik')}/api",
        "TWIN_EMBEDDING__MODEL_DIR": str(EMBEDDING_MODEL),
        # The CDK's check against CloudFormation's schemas is half of a synthesis. `make synth` and the tests make it
        # for every stage, this one included; here the emulator refuses what it does not know.
        "CDK_VALIDATION": "false",
    }


def _llm(stage: Stage, engine: str | None) -> dict[str, str]:
    """The LLM container's environment over that of the settings, and the name of the model that it makes of it.

    Raises:
        TwinError: when the stage's settings are wrong.
    """
    try:
        declared = load_settings(stage.name).llm.environment
    except SettingsError as error:
        raise TwinError(str(error)) from None
    server = local_llm.remembered() if engine is None else None
    chosen = {} if engine is None else {"LLM_ENGINE": engine}
    container = {
        "EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL),
        **declared,
        **(server.environment() if server else {}),
        **chosen,
    }
    name = os.environ.get(MODEL_NAME) or local_llm.model_name(container)
    return {CONTAINER_ENVIRONMENT: json.dumps(container), MODEL_NAME: name}
