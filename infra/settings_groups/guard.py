"""Protection of the purse."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field, model_validator

from infra.settings_groups.base import Group


class GuardSettings(Group):
    """Protection of the purse."""

    enabled: bool = Field(True, description="Delete the LLM stack when its time is up.")
    ttl_hours: int = Field(8, description="Life of the LLM stack since its last deployment.", ge=1, le=720)
    expires_at: AwareDatetime | None = Field(
        None, description="Fixed end of life instead of ttl_hours, with a time zone."
    )
    monthly_budget_usd: float | None = Field(
        None,
        description="US dollars in a calendar month: people are told at 80 % spent and when 100 % are foreseen. Empty: "
        "no budget.",
        gt=0,
        le=1_000_000,
    )
    budget_of: Literal["account", "stage"] = Field(
        "account",
        description="Whose costs the budget counts. `stage` counts what carries the stage's tag, and nothing at all "
        "until the tag `stage` is activated for cost allocation.",
    )
    kill_switch: bool = Field(
        False,
        description="Delete the LLM stack when 100 % of monthly_budget_usd are spent, not only tell people. The budget "
        "may count the whole account (budget_of): not for a stage that must not go away.",
    )

    @model_validator(mode="after")
    def _switches_on_a_budget(self) -> GuardSettings:
        if self.kill_switch and self.monthly_budget_usd is None:
            raise ValueError("kill_switch needs monthly_budget_usd: the budget pulls it")
        return self
