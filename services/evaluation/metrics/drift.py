"""Drift of the length and the language of answers, compared with earlier answers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.evaluation.metrics.language import language_of
from services.evaluation.state import State

# Older answers lose half of their weight with every so many new ones, so that the profile follows slow changes.
HALF_LIFE_ANSWERS = 500.0
# With fewer answers a profile is too uncertain to call a difference drift.
MIN_ANSWERS = 20.0
# Standardised shift of the mean log length (Cohen's d) that counts as complete drift.
FULL_SHIFT = 2.0
KEPT_SECONDS = 400 * 86400.0
_MIN_SPREAD = 0.25
_UNKNOWN = "unknown"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Drift:
    """How far the new answers are from the profile, each 0 (as before) to 1 (nothing in common)."""

    length: float
    language: float


@dataclass(frozen=True)
class Profile:
    """Statistics of the length and language of answers.

    Attributes:
        answers: number of answers, fractional because old ones lose weight.
        mean: mean of the natural logarithm of the number of words.
        variance: of the same.
        languages: share by language, "unknown" included.
    """

    answers: float
    mean: float
    variance: float
    languages: Mapping[str, float]

    @classmethod
    def of(cls, answers: Sequence[str]) -> Profile | None:
        """The profile of answers, None when none has a word."""
        words = [(text, len(_WORD.findall(text))) for text in answers]
        logs = [math.log(count) for _, count in words if count]
        if not logs:
            return None
        mean = sum(logs) / len(logs)
        variance = sum((value - mean) ** 2 for value in logs) / len(logs)
        counts = Counter(language_of(text) or _UNKNOWN for text, count in words if count)
        return cls(len(logs), mean, variance, {name: count / len(logs) for name, count in sorted(counts.items())})

    def followed_by(self, later: Profile) -> Profile:
        """The sum of two profiles; the older one loses weight by the number of the later answers."""
        return replace(self, answers=self.answers * 0.5 ** (later.answers / HALF_LIFE_ANSWERS)).combined_with(later)

    def combined_with(self, later: Profile) -> Profile:
        """The sum of two profiles, each with the weight of its answers."""
        total = self.answers + later.answers
        share = later.answers / total
        mean = (1 - share) * self.mean + share * later.mean
        spread = (1 - share) * (self.variance + (self.mean - mean) ** 2) + share * (
            later.variance + (later.mean - mean) ** 2
        )
        names = sorted({*self.languages, *later.languages})
        shares = {
            name: (1 - share) * self.languages.get(name, 0.0) + share * later.languages.get(name, 0.0) for name in names
        }
        return Profile(total, mean, spread, shares)

    def drift(self, later: Profile) -> Drift | None:
        """How far `later` is from this profile, None while this one has too few answers.

        Length: the shift of the mean log length in standard deviations, `FULL_SHIFT` of them being 1. Language: total
        variation distance of the shares, of the answers whose language is known.
        """
        if self.answers < MIN_ANSWERS:
            return None
        spread = max(math.sqrt(self.variance), _MIN_SPREAD)
        before, now = _known(self.languages), _known(later.languages)
        distance = sum(abs(before.get(name, 0.0) - now.get(name, 0.0)) for name in {*before, *now}) / 2
        return Drift(
            length=min(abs(later.mean - self.mean) / spread / FULL_SHIFT, 1.0),
            language=distance if before and now else 0.0,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON form, some hundred characters."""
        return {
            "answers": round(self.answers, 2),
            "mean": round(self.mean, 5),
            "variance": round(self.variance, 5),
            "languages": {name: round(share, 4) for name, share in self.languages.items()},
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Profile:
        """Read the JSON form."""
        return cls(value["answers"], value["mean"], value["variance"], value["languages"])


def measure_drift(state: State, dataset_name: str, now: Profile) -> Drift | None:
    """Compare new answers with the profile of those before, then add them to it.

    Returns:
        The drift; None while the profile has too few answers.

    Raises:
        botocore.exceptions.ClientError: the table may not be read or written.
    """
    key = f"profile/{dataset_name}"
    known = state.read(key)
    before = Profile.from_dict(known) if known else None
    state.write(key, (before.followed_by(now) if before else now).as_dict(), KEPT_SECONDS)
    return before.drift(now) if before else None


def _known(shares: Mapping[str, float]) -> dict[str, float]:
    known = {name: share for name, share in shares.items() if name != _UNKNOWN and share > 0}
    total = sum(known.values())
    return {name: share / total for name, share in known.items()}
