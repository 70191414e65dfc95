"""Base class of all groups of settings, and types of values that several of them use."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _service_url(value: str) -> str:
    """Accept https anywhere, and plain http to loopback only: keys travel with these requests."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an http(s) URL with a host is needed")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError(
            "plain http is allowed to 127.0.0.1 only, because an API key travels with each request; use https"
        )
    return value.rstrip("/")


def _opik_url(value: str) -> str:
    url = _service_url(value)
    if "/api" not in urlsplit(url).path:
        raise ValueError("the Opik SDK needs a URL whose path holds /api, like https://www.comet.com/opik/api")
    return url


def _environment_names(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            raise ValueError(f"{name!r} is not the name of an environment variable")
        if any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "API_KEY")):
            raise ValueError(f"{name} looks like a secret; a template is no place for it (use hub_token_secret_arn)")
    return value


ServiceUrl = Annotated[str, AfterValidator(_service_url)]
OpikUrl = Annotated[str, AfterValidator(_opik_url)]
Environment = Annotated[dict[str, str], AfterValidator(_environment_names)]
SecretArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+$")]
AbsolutePath = Annotated[str, Field(pattern=r"^/", max_length=400)]


class Group(BaseModel):
    """A table of settings: unknown keys are errors, values cannot change after load."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _choice_of_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """The environment holds text; pydantic turns it into an int, but not into a choice of ints."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, str) and get_origin(kind) is Literal:
            return next((choice for choice in get_args(kind) if str(choice) == value), value)
        return value
