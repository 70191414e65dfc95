"""Construction of the judge that the settings name."""

from __future__ import annotations

from typing import Any

from services.common.settings import ConfigurationError
from services.evaluation.judges.base import Judge
from services.evaluation.judges.bedrock_judge import BedrockJudge
from services.evaluation.judges.meter import Meter
from services.evaluation.judges.openai_judge import OpenAIJudge
from services.evaluation.judges.sagemaker_judge import SageMakerJudge
from services.evaluation.judges.settings import JudgeSettings

_NEEDED = {
    "sagemaker": ("judge_endpoint_name",),
    "bedrock": ("judge_model",),
    "openai": ("judge_url", "judge_model"),
}


def create_judge(settings: JudgeSettings, meter: Meter, api_key: str | None = None, client: Any = None) -> Judge | None:
    """The judge, None when the settings ask for none.

    Args:
        settings: see `JudgeSettings`.
        meter: counts calls and tokens, and stops at the budget.
        api_key: for `openai`, when the server wants one.
        client: boto3 client of the provider on AWS; by default one from the process's AWS configuration.

    Raises:
        ConfigurationError: the provider needs a setting that is not set.
    """
    provider, concurrency = settings.judge_provider, settings.judge_concurrency
    missing = [name.upper() for name in _NEEDED.get(provider, ()) if not getattr(settings, name)]
    if missing:
        raise ConfigurationError(f"JUDGE_PROVIDER={provider} needs {' and '.join(missing)}")
    if provider == "sagemaker":
        component = settings.judge_inference_component_name or None
        return SageMakerJudge(settings.judge_endpoint_name, component, meter, concurrency, client)
    if provider == "bedrock":
        return BedrockJudge(settings.judge_model, meter, concurrency, client)
    if provider == "openai":
        return OpenAIJudge(settings.judge_url, settings.judge_model, api_key, meter, concurrency)
    return None
