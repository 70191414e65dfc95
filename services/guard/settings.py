"""Settings of the cost limits' Lambdas, read from the environment once per process."""

from __future__ import annotations

from pydantic import Field, field_validator

from services.common.settings import StackListSettings


class ExpireSettings(StackListSettings):
    """Settings of `expire`."""

    stage: str = Field(description="Deployment stage.")
    stack_names: str = Field(description="Stacks to delete, comma separated, in this order.")
    component_name: str | None = Field(
        None, description="Inference component that is parked before. Empty: the endpoint cannot be parked."
    )

    @field_validator("stack_names")
    @classmethod
    def _at_least_one(cls, value: str) -> str:
        if not [name for name in value.split(",") if name.strip()]:
            raise ValueError("name at least one stack")
        return value


class StopSpendingSettings(ExpireSettings):
    """Settings of `stop_spending`."""

    budget_name: str = Field(description="Budget whose notice stops the model.")
    alerts_topic_arn: str = Field(description="Topic of the alerts.")
