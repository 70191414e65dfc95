"""Assumptions behind an estimate that no template contains, each with its default and reason."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.target.errors import TwinError


class Assumptions(BaseModel):
    """Every number can be set by `--assume name=value`. Volumes are upper estimates; free tiers are never deducted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hours_per_month: Decimal = Field(Decimal(730), description="Hours of a month: 365 x 24 / 12.", gt=0, le=744)
    office_hours_per_month: Decimal | None = Field(
        None,
        description="Hours a month in which people ask and the GPU is awake; empty: those of the stage's office hours, "
        "else 195 (9 x 5 x 52 / 12).",
        ge=0,
        le=744,
    )
    wakes_per_month: Decimal = Field(
        Decimal("21.7"), description="Times a month that the GPU wakes: once a working day (5 x 52 / 12).", ge=0
    )
    quiet_minutes: Decimal = Field(
        Decimal(27),
        description="Minutes that an instance is paid after the last question of each wake: 15 until scaling takes the "
        "copy away, up to 12 more until SageMaker ends the instance.",
        ge=0,
    )
    office_answers_per_hour: Decimal = Field(Decimal(60), description="Answers in one office hour.", ge=0, le=1_000_000)
    full_answers_per_hour: Decimal | None = Field(
        None,
        description="Answers per hour at full load; empty: what the template's copies of the model can give.",
        ge=0,
    )
    prompt_tokens: int = Field(1500, description="Tokens of a prompt: question, five documents, instructions.", ge=1)
    answer_tokens: int = Field(250, description="Tokens of an answer.", ge=1)
    prefill_tokens_per_second: Decimal = Field(
        Decimal(2500), description="Prompt tokens that one busy copy reads per second. Not measured.", gt=0
    )
    decode_tokens_per_second: Decimal = Field(
        Decimal(120),
        description="Answer tokens that one busy copy writes per second, all its requests together. Not measured.",
        gt=0,
    )
    answer_kilobytes: Decimal = Field(
        Decimal(16), description="What an answer moves through the load balancer and to the LLM, in kB.", ge=0
    )
    outbound_kilobytes: Decimal = Field(
        Decimal(50), description="What the service sends out of AWS per answer: traces, vector queries, in kB.", ge=0
    )
    answer_log_kilobytes: Decimal = Field(Decimal(4), description="Log lines of the service per answer, in kB.", ge=0)
    llm_log_kilobytes: Decimal = Field(Decimal(1), description="Log lines of the LLM per answer, in kB.", ge=0)
    idle_log_megabytes: Decimal = Field(
        Decimal(50), description="What a log group takes in a month without questions, in MB.", ge=0
    )
    flow_log_gigabytes: Decimal = Field(Decimal(1), description="Flow logs of a VPC in a month, in GB.", ge=0)
    background_gigabytes: Decimal = Field(
        Decimal(2),
        description="What a NAT gateway or interface endpoint moves in a month without questions, in GB.",
        ge=0,
    )
    image_gigabytes: Decimal = Field(
        Decimal("0.6"), description="Compressed image that a task definition keeps in the registry, in GB.", ge=0
    )
    stored_gigabytes: Decimal = Field(Decimal(5), description="What a bucket of the stage holds, in GB.", ge=0)
    weights_gigabytes: Decimal = Field(
        Decimal("15.3"),
        description="Staged weights of the model in their bucket, in GB: 7.6 billion parameters of two bytes.",
        ge=0,
    )
    secret_calls_per_hour: Decimal = Field(
        Decimal(60), description="Reads of one secret per hour; the API keys are read once a minute of use.", ge=0
    )
    function_seconds: Decimal = Field(Decimal(10), description="Run time of one call of a function.", ge=0)
    function_calls: Decimal = Field(
        Decimal(30), description="Calls a month of a function that neither a schedule nor a queue calls.", ge=0
    )
    run_metrics: int = Field(3, description="Metrics of an evaluation that found nothing new.", ge=0)
    score_metrics: int = Field(
        49, description="Further metrics of one that found answers: free scores, of the stage and of one model.", ge=0
    )
    task_metrics: int = Field(11, description="Metrics that a task with a METRIC_NAMESPACE publishes.", ge=0)
    machine_metrics: int = Field(2, description="Metrics that a machine with a METRIC_NAMESPACE publishes.", ge=0)
    insight_metrics: int = Field(
        30, description="Metrics that Container Insights keeps for one cluster with one service.", ge=0
    )

    @property
    def quiet_hours_per_month(self) -> Decimal:
        """Hours a month that an instance which may sleep is paid after the last question."""
        return self.wakes_per_month * self.quiet_minutes / 60

    @property
    def seconds_per_answer(self) -> Decimal:
        """Seconds of one copy that an answer takes, other requests running beside it."""
        reading = self.prompt_tokens / self.prefill_tokens_per_second
        return reading + self.answer_tokens / self.decode_tokens_per_second


def parse(settings: Iterable[str]) -> Assumptions:
    """Assumptions from `name=value` arguments.

    Raises:
        TwinError: for an argument of another form, an unknown name or a value out of bounds.
    """
    values: dict[str, str] = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise TwinError(f"--assume {setting}: write name=value, like --assume answer_tokens=300.")
        values[name.strip()] = value.strip()
    unknown = sorted(set(values) - set(Assumptions.model_fields))
    if unknown:
        known = ", ".join(Assumptions.model_fields)
        raise TwinError(f"{', '.join(unknown)} is no assumption: use one of {known}.")
    try:
        return Assumptions.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        sentences = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
        raise TwinError(f"An assumption does not fit: {sentences}.") from None
