"""A job of GitHub Actions, read from its environment variables and event file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin.target.errors import TwinError

API = "https://api.github.com"


@dataclass(frozen=True)
class Job:
    """The running job.

    Attributes:
        api: base URL of GitHub's REST API.
        repository: OWNER/NAME.
        token: the job's own token.
        event: the event that started the workflow, as GitHub wrote it; empty without one.
    """

    api: str
    repository: str
    token: str
    event: Mapping[str, Any]

    @classmethod
    def read(cls) -> Job:
        """The job of this process.

        Raises:
            TwinError: naming what is missing, or why the event cannot be read.
        """
        missing = [name for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if not os.environ.get(name)]
        if missing:
            raise TwinError(f"{' and '.join(missing)} must be set, as GitHub Actions does in a job.")
        return cls(
            api=os.environ.get("GITHUB_API_URL", API).rstrip("/"),
            repository=os.environ["GITHUB_REPOSITORY"],
            token=os.environ["GITHUB_TOKEN"],
            event=_event(os.environ.get("GITHUB_EVENT_PATH", "")),
        )

    @property
    def pull_request(self) -> int:
        """Number of the pull request that the event is about.

        Raises:
            TwinError: the event is about none.
        """
        number = (self.event.get("pull_request") or {}).get("number")
        if not isinstance(number, int):
            raise TwinError("The event is about no pull request: GITHUB_EVENT_PATH must name a pull_request event.")
        return number


def set_output(name: str, value: str) -> None:
    """Set an output of this step for later steps; does nothing outside of GitHub Actions.

    Raises:
        TwinError: the value has several lines and could smuggle in further outputs.
    """
    if "\n" in value or "\r" in value:
        raise TwinError(f"The output {name} has several lines.")
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")


def append_step_summary(markdown: str) -> None:
    """Add Markdown to the page of the run; does nothing outside of GitHub Actions."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{markdown}\n")


def _event(path: str) -> Mapping[str, Any]:
    if not path:
        return {}
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TwinError(f"The event in GITHUB_EVENT_PATH ({path}) cannot be read: {error}") from None
    return event if isinstance(event, dict) else {}
