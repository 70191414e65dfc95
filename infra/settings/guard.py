"""Cost limits."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, time
from typing import Literal, get_args

from pydantic import AwareDatetime, Field, field_validator, model_validator

from infra.settings.base import Group

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class OfficeHours(Group):
    """Hours in which the LLM may run."""

    days: tuple[Day, ...] = Field(
        ("mon", "tue", "wed", "thu", "fri"), description="Days of the week.", min_length=1, max_length=7
    )
    start: time = Field(time(8), description="Start of the hours in which the LLM may run; whole minutes, hh:mm.")
    end: time = Field(
        time(18), description="End of the hours, when the LLM is stopped; later than start on the same day, hh:mm."
    )
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

    def contains(self, moment: datetime) -> bool:
        """Whether a moment with a time zone lies within the hours.

        Raises:
            zoneinfo.ZoneInfoNotFoundError: this machine does not know their time zone.
        """
        there = moment.astimezone(zoneinfo.ZoneInfo(self.time_zone))
        today = get_args(Day)[there.weekday()]
        return today in self.days and self.start <= there.time() < self.end

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        # Without a time zone database the check is left to AWS.
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
    """Cost limits."""

    enabled: bool = Field(True, description="Park the model, and later delete the LLM stack, at the end of its time.")
    ttl_hours: int = Field(
        8,
        description="Hours after the last deployment until the model is parked: no copy runs, no question wakes it. A "
        "real-time endpoint cannot be parked and is deleted then.",
        ge=1,
        le=720,
    )
    delete_after_hours: int = Field(
        168,
        description="Hours after the last deployment until the LLM stack is deleted, and the endpoint's image cache "
        "with it; at least ttl_hours. With expires_at, as much later than that as it is than ttl_hours.",
        ge=1,
        le=8760,
    )
    expires_at: AwareDatetime | None = Field(
        None, description="Fixed time of parking instead of ttl_hours, with a time zone."
    )
    monthly_budget_usd: float | None = Field(
        None,
        description="Limit in US dollars per calendar month; alerts at 80 % spent and when 100 % are forecast. Empty: "
        "no budget.",
        gt=0,
        le=1_000_000,
    )
    budget_of: Literal["account", "stage"] = Field(
        "account",
        description="Costs that the budget counts. `stage` counts resources with the stage's tag, and nothing at all "
        "until the tag `stage` is activated for cost allocation.",
    )
    kill_switch: bool = Field(
        False,
        description="Park the model (delete the LLM stack where that is impossible) when 100 % of monthly_budget_usd "
        "are spent, besides the alert. The budget may count the whole account (budget_of): not for a stage that must "
        "keep running.",
    )

    office_hours: OfficeHours | None = Field(
        None,
        description="Hours in which the LLM may run; outside them it stays stopped. Empty: always.",
    )

    @model_validator(mode="after")
    def _switches_on_a_budget(self) -> GuardSettings:
        if self.kill_switch and self.monthly_budget_usd is None:
            raise ValueError("kill_switch needs monthly_budget_usd: the budget triggers it")
        return self

    @model_validator(mode="after")
    def _deletes_after_parking(self) -> GuardSettings:
        if self.enabled and self.delete_after_hours < self.ttl_hours:
            raise ValueError(
                f"delete_after_hours ({self.delete_after_hours}) must be at least ttl_hours ({self.ttl_hours})"
            )
        return self
