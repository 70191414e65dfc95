"""Protection of the purse."""

from __future__ import annotations

import zoneinfo
from datetime import time
from typing import Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from infra.settings.base import Group

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class OfficeHours(Group):
    """When the LLM may be awake."""

    days: tuple[Day, ...] = Field(
        ("mon", "tue", "wed", "thu", "fri"), description="Days of the week.", min_length=1, max_length=7
    )
    start: time = Field(time(8), description="From then on the LLM may wake; whole minutes, hh:mm.")
    end: time = Field(time(18), description="From then on it sleeps; later than start on the same day, hh:mm.")
    time_zone: str = Field(
        "UTC",
        description="IANA time zone of both, like Europe/Berlin; AWS follows its daylight saving time.",
        pattern=r"^[A-Za-z][\w+-]*(/[\w+-]+)*$",
    )
    wake_at_start: bool = Field(
        False,
        description="Start one copy at the beginning of the hours and keep it until their end, instead of at the first "
        "question.",
    )

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        # A machine without a time zone database cannot say; AWS then does.
        known = zoneinfo.available_timezones()
        if known and value not in known:
            raise ValueError(f"{value} is no IANA time zone")
        return value

    @model_validator(mode="after")
    def _is_within_a_day(self) -> OfficeHours:
        for moment in (self.start, self.end):
            if moment.tzinfo or moment.second or moment.microsecond:
                raise ValueError("start and end are whole minutes without a zone, hh:mm")
        if self.start >= self.end:
            raise ValueError("end must be later than start on the same day")
        if len(set(self.days)) != len(self.days):
            raise ValueError("each day can be named once")
        return self


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

    office_hours: OfficeHours | None = Field(
        None, description="When the LLM may be awake; outside it sleeps, whoever asks. Empty: always."
    )

    @model_validator(mode="after")
    def _switches_on_a_budget(self) -> GuardSettings:
        if self.kill_switch and self.monthly_budget_usd is None:
            raise ValueError("kill_switch needs monthly_budget_usd: the budget pulls it")
        return self
