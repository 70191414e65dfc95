"""Scores of judged answers, and their JSON form in the state table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from services.evaluation.judges.session import JudgingReport
from services.evaluation.metrics.drift import Profile
from services.evaluation.metrics.summary import ItemScores


@dataclass(frozen=True)
class ScoredItem:
    """The scores of an answer, and the model that gave it.

    Attributes:
        scores: by metric; see `ItemScores`.
        model_id: the model that answered; "unknown" when the sample does not say.
        is_answer: False for a request that failed: it has no answer to judge.
    """

    scores: ItemScores
    model_id: str
    is_answer: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        scores = self.scores
        return {
            "trace_id": scores.trace_id,
            "values": {name: round(value, 4) for name, value in scores.values.items()},
            "failed": list(scores.failed),
            "model_id": self.model_id,
            "is_answer": self.is_answer,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ScoredItem:
        """Read the JSON form."""
        scores = ItemScores(value["trace_id"], value["values"], tuple(value["failed"]))
        return cls(scores, value["model_id"], value["is_answer"])


@dataclass(frozen=True)
class ScoredShard:
    """Result of judging one shard.

    Attributes:
        experiment: its name in Opik.
        items: the answers with their scores, without reasons.
        judging: calls and cost of the judge; None without a judge.
        profile: of the answers' texts; None without any.
    """

    experiment: str
    items: list[ScoredItem]
    judging: JudgingReport | None
    profile: Profile | None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "experiment": self.experiment,
            "items": [item.as_dict() for item in self.items],
            "judging": asdict(self.judging) if self.judging else None,
            "profile": self.profile.as_dict() if self.profile else None,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ScoredShard:
        """Read the JSON form."""
        return cls(
            value["experiment"],
            [ScoredItem.from_dict(item) for item in value["items"]],
            JudgingReport(**value["judging"]) if value["judging"] else None,
            Profile.from_dict(value["profile"]) if value["profile"] else None,
        )
