"""Direction in which a score is better."""

from __future__ import annotations

LOW_IS_GOOD = frozenset(
    {
        "hallucination",
        "hallucination_metric",
        "moderation",
        "moderation_metric",
        "refusal",
        "prompt_injection",
        "length_drift",
        "language_drift",
    }
)
"""Scores of this project and of Opik's metrics that are better when lower; every other score is better when higher."""


def low_is_good(name: str) -> bool:
    """Whether a lower score is better; case does not matter."""
    return name.lower() in LOW_IS_GOOD


def gain(name: str, difference: float) -> float:
    """A difference with its sign changed where low is good, so that positive means better."""
    return -difference if low_is_good(name) else difference
