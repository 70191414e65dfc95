"""Where traces go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.settings_groups.base import Group, OpikUrl, SecretArn, ServiceUrl


class MonitoringSettings(Group):
    """Where traces go."""

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
    sentry_dsn_secret_arn: SecretArn | None = Field(
        None, description="Secret that holds the Sentry DSN of the business service; unexpected errors then go there."
    )
