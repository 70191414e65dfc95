"""Settings of each Lambda, read from its environment once per process."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from services.common.settings import ServiceSettings


class OpikSettings(ServiceSettings):
    """What a Lambda needs to talk to Opik."""

    stage: str = Field(description="Deployment stage; dimension of every metric.")
    dataset_name: str = Field(description="Opik dataset that holds the sampled answers.")
    opik_url_override: str = Field(pattern=r"^https?://", description="Address of Opik's API, with `/api`.")
    opik_workspace: str = Field(description="Opik workspace.")
    opik_project_name: str = Field(description="Opik project.")
    opik_api_key_secret_arn: str = Field(description="Secrets Manager secret that holds the Opik API key.")


class CollectSettings(OpikSettings):
    """Settings of `collect_samples`."""


class EvaluateSettings(OpikSettings):
    """Settings of `evaluate_monitoring`."""

    embedding_model_dir: Path = Field(description="Folder of the sentence embedding model.")
    metric_namespace: str = Field(description="CloudWatch namespace of the quality metrics.")
    watermark_parameter_name: str = Field(description="SSM parameter with the creation time of the last judged item.")
    llm_model_id: str = Field(description="Model that the pipeline serves now; recorded with the experiment.")


class NotifySettings(ServiceSettings):
    """Settings of `notify`."""

    stage: str = Field(description="Deployment stage, named in the message.")
    slack_webhook_secret_arn: str = Field(description="Secrets Manager secret that holds the webhook's address.")
    runbook_url: str = Field(description="Page that says what to do about an alarm.")
    opik_page_url: str = Field(description="Page of the experiments.")


class ExpireSettings(ServiceSettings):
    """Settings of `expire`."""

    stage: str = Field(description="Deployment stage.")
    stack_names: str = Field(description="Stacks to delete, comma separated, in this order.")

    @field_validator("stack_names")
    @classmethod
    def _names(cls, value: str) -> str:
        if not [name for name in value.split(",") if name.strip()]:
            raise ValueError("name at least one stack")
        return value

    @property
    def stacks(self) -> list[str]:
        """The stack names in deletion order."""
        return [name.strip() for name in self.stack_names.split(",") if name.strip()]
