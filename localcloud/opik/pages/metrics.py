"""Which direction of a score is good."""

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
"""Scores of this project, and of Opik's own metrics, that are better when lower; of any other, high is good."""


def low_is_good(name: str) -> bool:
    """Whether a lower score is the better one."""
    return name.lower() in LOW_IS_GOOD


def gain(name: str, difference: float) -> float:
    """A difference, positive when it is one for the better."""
    return -difference if low_is_good(name) else difference
