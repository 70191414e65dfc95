"""Where traces go, and what people look at."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.settings.base import Group, OpikUrl, SecretArn, ServiceUrl


class MonitoringSettings(Group):
    """Where traces go, and what people look at."""

    opik_url: OpikUrl = Field(
        description="Opik's API address. Its API key is put into Secrets Manager after deployment."
    )
    workspace: str = Field("default", description="Opik workspace.", min_length=1, max_length=150)
    project: str = Field("llm-twin", description="Opik project.", min_length=1, max_length=150)
    traces_per_second: float = Field(10, description="Tracing budget of one process.", gt=0, le=1000)
    trace_content: bool = Field(True, description="Whether traces hold questions, prompts, documents and answers.")
    anonymise: tuple[Literal["email", "phone", "key"], ...] = Field(
        ("email", "phone", "key"), description="What is removed from traces, samples and debug logs."
    )
    anonymise_patterns: dict[str, str] = Field(
        {}, description="Further regular expressions to remove: name, which replaces what matches, to pattern."
    )
    page_url: ServiceUrl | None = Field(
        None, description="Opik's page for people, linked in alerts; derived from opik_url if empty."
    )
    log_retention_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365] = Field(14, description="How long logs are kept.")
    dashboard: bool = Field(True, description="Whether the stage has a CloudWatch dashboard, at 3 US dollars a month.")
    usd_per_instance_hour: float | None = Field(
        None,
        description="What an hour of the endpoint's instance costs, for the dashboard; empty takes the list price of "
        "us-east-1 where it is known.",
        gt=0,
        le=1000,
    )
    gpu_memory_percent: float = Field(
        # vLLM takes 90 % for itself when it starts (its gpu_memory_utilization): only what comes on top tells anything.
        97,
        description="Alarm when the memory of the model's GPUs is fuller.",
        gt=0,
        lt=100,
    )
    disk_percent: float = Field(
        85, description="Alarm when the disk of the endpoint's instance is fuller.", gt=0, lt=100
    )
    sentry_dsn_secret_arn: SecretArn | None = Field(
        None, description="Secret that holds the Sentry DSN of the RAG service; unexpected errors then go there."
    )
