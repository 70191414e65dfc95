"""Settings of each Lambda, read from its environment once per process."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.common.settings import ServiceSettings, StackListSettings
from services.evaluation.judges.settings import JudgeSettings


class OpikSettings(ServiceSettings):
    """Settings of every function that calls Opik."""

    stage: str = Field(description="Deployment stage; dimension of every metric.")
    dataset_name: str = Field(description="Opik dataset that holds the sampled answers.")
    opik_url_override: str = Field(pattern=r"^https?://", description="Address of Opik's API, with `/api`.")
    opik_workspace: str = Field(description="Opik workspace.")
    opik_project_name: str = Field(description="Opik project.")
    opik_api_key_secret_arn: str = Field(description="Secrets Manager secret that holds the Opik API key.")


class CollectSettings(OpikSettings):
    """Settings of `collect_samples`."""

    state_table_name: str = Field(description="DynamoDB table of the functions' state.")
    evaluate_function_name: str = Field(description="Function that judges samples.")
    evaluate_every: int = Field(ge=1, description="New samples after which an evaluation is started.")


class EvaluateSettings(OpikSettings, JudgeSettings):
    """Settings of `evaluate_monitoring`, `judge_shard` and `finish_run`."""

    state_table_name: str = Field(description="DynamoDB table of the functions' state.")
    shard_size: int = Field(default=300, ge=1, le=500, description="Samples that one call judges.")
    state_machine_arn: str = Field(default="", description="State machine that judges several shards at a time.")
    evaluate_function_name: str = Field(default="", description="Function that looks for samples after a long run.")
    embedding_model_dir: Path = Field(description="Folder of the sentence embedding model.")
    metric_namespace: str = Field(description="CloudWatch namespace of the quality metrics.")
    watermark_parameter_name: str = Field(
        default="", description="SSM parameter with the creation time of the last judged item; a shard needs none."
    )
    llm_model_id: str = Field(description="Model that the pipeline serves now; recorded with the experiment.")


class ExpireSamplesSettings(OpikSettings):
    """Settings of `expire_samples`."""

    retention_days: dict[str, int] = Field(description="JSON: days that the items of each dataset are kept.")


class NotifySettings(StackListSettings):
    """Settings of `notify`."""

    stage: str = Field(description="Deployment stage, named in the message.")
    release: str = Field(default="", description="Release that runs, named in the message.")
    stack_names: str = Field(default="", description="Stacks whose last deployment is named, comma separated.")
    state_table_name: str = Field(description="DynamoDB table of the functions' state.")
    trace_url: str = Field(pattern=r"^https?://.*\{trace_id\}", description="Page of a trace.")
    messages_per_hour: int = Field(
        default=30, ge=1, description="Messages in an hour, beyond which they are held back."
    )
    slack_webhook_secret_arn: str = Field(description="Secrets Manager secret that holds the webhook's address.")
    runbook_url: str = Field(default="", description="Page of the runbook; empty: its file is named.")
    opik_page_url: str = Field(description="Page of the experiments.")
