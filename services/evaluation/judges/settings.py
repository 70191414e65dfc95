"""Settings of the judge: model, prices and budget. Every variable has a default, which is no judge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.common.settings import ServiceSettings


class JudgeSettings(ServiceSettings):
    """Settings of the judge, part of the settings of every program that opens one."""

    judge_provider: Literal["none", "sagemaker", "bedrock", "openai"] = Field(
        "none", description="Provider of the judge: none, sagemaker, bedrock or openai (any OpenAI-compatible address)."
    )
    judge_model: str = Field("", description="Model of the judge (bedrock: model or inference profile).")
    judge_endpoint_name: str = Field("", description="SageMaker endpoint that judges.")
    judge_inference_component_name: str = Field("", description="Inference component of the endpoint, when it has one.")
    judge_url: str = Field("", pattern=r"^(https?://.+)?$", description="Base address of the API, usually with `/v1`.")
    judge_api_key_secret_arn: str = Field(
        "", description="Secrets Manager secret with the API key, when one is needed."
    )
    judge_input_price: float = Field(0.0, ge=0, description="US dollars per million tokens that the judge reads.")
    judge_output_price: float = Field(0.0, ge=0, description="US dollars per million tokens that the judge writes.")
    judge_monthly_cap_usd: float = Field(10.0, ge=0, description="US dollars per calendar month; then judging stops.")
    judge_concurrency: int = Field(8, ge=1, le=64, description="Judgements at the same time.")
