"""What an endpoint runs on a fallback instance type where the first choice's model does not fit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.settings.base import Group

Dtype = Literal["auto", "bfloat16", "float16"]
Quantization = Literal["none", "awq", "gptq", "fp8", "bitsandbytes"]

REGIONS_WITH_POOLS = frozenset(
    {
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ca-central-1",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-2",
    }
)
"""Regions with instance pools: 03-features/capacity-aware-instance-pool/README.md of
aws-samples/sagemaker-genai-hosting-examples @ 80ee5eb (2026-08-06). AWS may have added others since."""


class PoolModel(Group):
    """The model of one fallback instance type; what is empty is as in the rest of `[llm]`."""

    model_id: str = Field(description="Model on the Hugging Face hub.", pattern=r"^[\w.-]+/[\w.-]+$")
    model_revision: str = Field(description="Commit of the model on the hub.", pattern=r"^[0-9a-f]{40}$")
    dtype: Dtype | None = Field(None, description="Number format of the weights.")
    quantization: Quantization = Field("none", description="Quantization of the weights.")
    accelerators: int | None = Field(None, description="GPUs per copy of the model.", ge=1, le=16)
    memory_mb: int | None = Field(None, description="Host memory of a copy.", ge=128, le=2_000_000)
