"""Traces, logs, dashboard."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.settings.base import Group, OpikUrl, SecretArn, ServiceUrl


class MonitoringSettings(Group):
    """Traces, logs, dashboard."""

    opik_url: OpikUrl = Field(
        description="Opik's API address. Its API key is put into Secrets Manager after deployment."
    )
    workspace: str = Field("default", description="Opik workspace.", min_length=1, max_length=150)
    project: str = Field("llm-twin", description="Opik project.", min_length=1, max_length=150)
    traces_per_second: float = Field(10, description="Traces per second and process at most.", gt=0, le=1000)
    trace_content: bool = Field(True, description="Whether traces hold questions, prompts, documents and answers.")
    anonymise: tuple[Literal["email", "phone", "key"], ...] = Field(
        ("email", "phone", "key"),
        description="Kinds of personal data that are removed from traces, samples and debug logs.",
    )
    anonymise_patterns: dict[str, str] = Field(
        {}, description="Further regular expressions to remove: name, which replaces what matches, to pattern."
    )
    page_url: ServiceUrl | None = Field(
        None, description="Opik's web page, linked in alerts; empty: derived from opik_url."
    )
    log_retention_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365] = Field(14, description="Days that logs are kept.")
    dashboard: bool = Field(True, description="Whether the stage has a CloudWatch dashboard, at 3 US dollars a month.")
    usd_per_instance_hour: float | None = Field(
        None,
        description="Price of the endpoint's instance per hour, for the dashboard; empty: the list price of "
        "us-east-1, where it is known.",
        gt=0,
        le=1000,
    )
    gpu_memory_percent: float = Field(
        # vLLM reserves 90 % when it starts (its gpu_memory_utilization): only more than that is a sign.
        97,
        description="Alarm when more of the memory of the model's GPUs is used.",
        gt=0,
        lt=100,
    )
    disk_percent: float = Field(
        85, description="Alarm when more of the disk of the endpoint's instance is used.", gt=0, lt=100
    )
    sentry_dsn_secret_arn: SecretArn | None = Field(
        None,
        description="Secret that holds the Sentry DSN of the RAG service; unexpected errors are then reported there.",
    )
