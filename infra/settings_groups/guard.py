"""Protection of the purse."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from infra.settings_groups.base import Group


class GuardSettings(Group):
    """Protection of the purse."""

    enabled: bool = Field(True, description="Delete the LLM stack when its time is up.")
    ttl_hours: int = Field(8, description="Life of the LLM stack since its last deployment.", ge=1, le=720)
    expires_at: AwareDatetime | None = Field(
        None, description="Fixed end of life instead of ttl_hours, with a time zone."
    )
