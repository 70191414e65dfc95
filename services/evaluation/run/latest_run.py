"""The worst answers of the latest run, for the message that tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.evaluation.storage.state import State

KEY = "latest-run"
KEPT_SECONDS = 7 * 86400.0


def remember_worst(state: State, run: str, worst: Sequence[dict[str, Any]]) -> None:
    """Keep the worst answers of a run for a week."""
    state.write(KEY, {"run": run, "worst": list(worst)}, KEPT_SECONDS)


def latest_worst(state: State) -> list[dict[str, Any]]:
    """The worst answers of the latest run; none when nothing was judged for a week."""
    found: list[dict[str, Any]] = (state.read(KEY) or {}).get("worst", [])
    return found
