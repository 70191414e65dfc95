"""The model that judges answers."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from infra.settings.base import Group, ServiceUrl

PROFILE = re.compile(r"^(us|eu|apac|jp|au|us-gov|global)\.(?P<model>.+)$")
"""Cross-region inference profiles: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html"""


class JudgeSettings(Group):
    """The model that judges answers besides the free scores, and its cost limit."""

    provider: Literal["none", "sagemaker", "bedrock", "openai"] = Field(
        "none", description="Provider of the judge; `openai` is any OpenAI-compatible address."
    )
    model: str | None = Field(
        None, description="openai and bedrock: the model, or inference profile, that judges.", max_length=200
    )
    endpoint_name: str | None = Field(
        None,
        description="sagemaker: the endpoint, of this account; empty: the twin's own, which judging wakes.",
        pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$",
    )
    inference_component_name: str | None = Field(
        None,
        description="sagemaker: the endpoint's inference component.",
        pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$",
    )
    url: ServiceUrl | None = Field(None, description="openai: base address of the API, usually with `/v1`.")
    input_price: float = Field(0, description="US dollars per million input tokens of the judge.", ge=0)
    output_price: float = Field(0, description="US dollars per million output tokens of the judge.", ge=0)
    monthly_cap_usd: float = Field(10, description="US dollars per calendar month after which judging stops.", ge=0)
    concurrency: int = Field(8, description="Parallel calls of the judge.", ge=1, le=64)

    @model_validator(mode="after")
    def _has_what_the_provider_needs(self) -> JudgeSettings:
        needs = {"none": set[str](), "sagemaker": set[str](), "bedrock": {"model"}, "openai": {"model", "url"}}
        allowed = needs[self.provider] | (
            {"endpoint_name", "inference_component_name"} if self.provider == "sagemaker" else set()
        )
        given = {name for name in ("model", "endpoint_name", "inference_component_name", "url") if getattr(self, name)}
        if missing := needs[self.provider] - given:
            raise ValueError(f"provider {self.provider} needs {' and '.join(sorted(missing))}")
        if surplus := given - allowed:
            raise ValueError(f"provider {self.provider} does not use {' and '.join(sorted(surplus))}")
        if self.inference_component_name and not self.endpoint_name:
            raise ValueError("inference_component_name belongs to an endpoint_name: set both or neither")
        return self
