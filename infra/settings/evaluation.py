"""Collection and evaluation of sampled answers, and alarms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra.settings.base import Group


class Threshold(Group):
    """Alarm thresholds of one quality metric."""

    mean: float | None = Field(None, description="Alarm below this mean.", gt=0, lt=1)
    p10: float | None = Field(None, description="Alarm when a tenth of the answers scores below this.", gt=0, lt=1)


class EvaluationSettings(Group):
    """Collection and evaluation of sampled answers, and alarms."""

    dataset: str = Field(
        "LLMTwinMonitoringDataset", description="Opik dataset of sampled answers.", min_length=1, max_length=150
    )
    metric_namespace: str = Field("LLMTwin", description="CloudWatch namespace.", pattern=r"^[A-Za-z][\w./#-]{0,200}$")
    runtime: Literal["python3.12", "python3.13", "python3.14"] = Field("python3.14", description="Lambda runtime.")
    batch_size: int = Field(50, description="Samples per call of the collector.", ge=1, le=50)
    batch_window_seconds: int = Field(
        60, description="Longest wait of the collector to fill a batch; more than 10 samples need one.", ge=0, le=300
    )
    interval_minutes: int = Field(60, description="Time between two evaluations.", ge=5, le=1440)
    collect_timeout_seconds: int = Field(120, description="Longest run of the collector.", ge=10, le=900)
    evaluate_timeout_seconds: int = Field(900, description="Longest run of an evaluation.", ge=30, le=900)
    memory_mb: int = Field(1024, description="Memory of a function.", ge=256, le=10240)
    evaluate_every: int = Field(
        50, description="New samples that start an evaluation before the interval is over.", ge=1, le=100_000
    )
    shard_size: int = Field(
        300, description="Samples that one call judges; larger runs go through the state machine.", ge=1, le=500
    )
    shard_concurrency: int = Field(8, description="Shards that the state machine judges in parallel.", ge=1, le=100)
    retention_days: dict[str, Annotated[int, Field(ge=1, le=3650)]] = Field(
        {"LLMTwinMonitoringDataset": 90}, description="Days that the items of each dataset are kept."
    )
    quality: dict[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,60}$")], Threshold] = Field(
        {
            "Groundedness": Threshold(mean=0.6, p10=0.2),
            "AnswerRelevance": Threshold(mean=0.4, p10=0.15),
        },
        description="Thresholds by metric.",
    )
    queue_age_seconds: int = Field(
        900, description="Alarm when a sample waits longer to be collected.", ge=60, le=345_600
    )
    latency_p99_seconds: float = Field(30, description="Alarm when the model's p99 latency is higher.", gt=0, le=300)
    alert_emails: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")], ...] = Field(
        (), description="Addresses that also get every alert by e-mail; each must confirm its subscription."
    )
    messages_per_hour: int = Field(
        30, description="Chat messages per hour; further alerts go by e-mail only.", ge=1, le=1000
    )
    trace_url: str | None = Field(
        None,
        description="Page of a trace, with `{trace_id}` in it; empty derives it from the address of Opik.",
        pattern=r"^https?://\S*\{trace_id\}\S*$",
    )
    alarm_period_seconds: int = Field(
        3600,
        description="Window of the quality alarms; at least the time between two evaluations.",
        ge=60,
        le=86400,
        multiple_of=60,
    )
    missing_data: Literal["breaching", "notBreaching", "ignore"] = Field(
        "breaching",
        description="How the quality alarms count a window without scores; `breaching`: no evaluation is an alarm.",
    )
    platform_has_dependencies: bool = Field(
        False,
        description="Whether the platform's interpreter has the functions' dependencies; then no layer is built.",
    )
    runbook_url: str | None = Field(
        None,
        description="Page of the runbook, to whose sections alerts link. Empty: docs/runbook.md of "
        "`delivery.repository`, or its path where no repository is named.",
        pattern=r"^https?://\S+$",
    )

    @model_validator(mode="after")
    def _a_large_batch_has_a_window(self) -> EvaluationSettings:
        # Of BatchSize and MaximumBatchingWindowInSeconds:
        # https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
        if self.batch_size > 10 and not self.batch_window_seconds:
            raise ValueError(
                "Lambda gathers more than 10 samples within a window only: batch_window_seconds of 1 or more"
            )
        return self
