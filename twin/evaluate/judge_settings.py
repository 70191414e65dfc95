"""Which judge an evaluation on this machine asks, and with which client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.evaluation.judges.settings import JudgeSettings
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.stage import Stage, connect

API_KEY_VARIABLE = "JUDGE_API_KEY"
"""Never an option: options are seen by every process of the machine and kept by the shell."""


def judge_settings(
    names: Mapping[str, str], *, prices: tuple[float, float], concurrency: int, stage: str
) -> tuple[JudgeSettings, Any]:
    """The settings of the judge that `names` describes, and the client of the stage's SageMaker (None for the others).

    Without an endpoint's name, the judge on SageMaker is the stage's own model.

    Args:
        names: fields of `JudgeSettings`; empty ones are left out.
        prices: US dollars per million tokens read and written.
        concurrency: judgements at the same time.
        stage: whose SageMaker is asked.

    Raises:
        TwinError: an option is wrong, or the stage is needed and not deployed.
    """
    given = {name: value for name, value in names.items() if value}
    client = None
    if names["judge_provider"] == "sagemaker":
        target = connect(stage)
        client = target.client("sagemaker-runtime", max_pool_connections=concurrency)
        if not names["judge_endpoint_name"]:
            given |= _own_endpoint(target)
    try:
        settings = JudgeSettings.model_validate(
            {
                **given,
                "judge_input_price": prices[0],
                "judge_output_price": prices[1],
                "judge_concurrency": concurrency,
            }
        )
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        raise TwinError(f"--{str(problem['loc'][0]).removeprefix('judge_')} is wrong: {problem['msg']}.") from None
    return settings, client


def _own_endpoint(stage: Stage) -> dict[str, str]:
    found = outputs(stage)
    return {
        "judge_endpoint_name": found["EndpointName"],
        "judge_inference_component_name": found.get("InferenceComponentName", ""),
    }
