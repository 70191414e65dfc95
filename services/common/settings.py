"""Typed settings for services: environment variables only, validated once at start."""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

SettingsT = TypeVar("SettingsT", bound="ServiceSettings")


class ConfigurationError(ValueError):
    """A service cannot start with the environment it was given; the message says what to set."""


class ServiceSettings(BaseSettings):
    """Base of every service's settings: field `qdrant_url` is read from the variable `QDRANT_URL`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    @classmethod
    def load(cls: type[SettingsT]) -> SettingsT:
        """Read and validate the process environment.

        Raises:
            ConfigurationError: naming each variable that is missing or wrong and what it accepts, never its value.
        """
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(_sentence(cls, error)) from None


class StackListSettings(ServiceSettings):
    """Settings of a function that is given stacks."""

    stack_names: str = Field(default="", description="Names of stacks, comma separated.")

    @property
    def stacks(self) -> list[str]:
        """The stack names, in the order given."""
        return [name.strip() for name in self.stack_names.split(",") if name.strip()]


def _sentence(settings: type[ServiceSettings], error: ValidationError) -> str:
    problems = []
    for detail in error.errors(include_input=False, include_url=False):
        field = str(detail["loc"][0])
        info = settings.model_fields.get(field)
        meaning = f" ({info.description})" if info and info.description else ""
        what = "is not set" if detail["type"] == "missing" else f"is wrong: {detail['msg']}"
        problems.append(f"environment variable {field.upper()} {what}{meaning}")
    return "; ".join(problems)
