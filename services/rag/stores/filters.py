"""Filters of a search."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Filters:
    """Conditions on documents; the empty one lets every document of the tenant through.

    Attributes:
        authors: only documents of these authors; empty means of any author.
        after: only documents of this day or later.
        before: only documents from before this day.
    """

    authors: tuple[str, ...] = ()
    after: date | None = None
    before: date | None = None

    @property
    def dated(self) -> bool:
        """Whether there is a condition on the date; documents without a date do not meet it."""
        return self.after is not None or self.before is not None

    def described(self) -> dict[str, object]:
        """For traces."""
        return {
            "authors": list(self.authors),
            "after": self.after.isoformat() if self.after else None,
            "before": self.before.isoformat() if self.before else None,
        }
