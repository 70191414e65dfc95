"""What is known about one answer after it was judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.evaluation.metrics.summary import ItemScores


@dataclass(frozen=True)
class JudgedItem:
    """The scores of an answer and who gave it.

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
            "values": dict(scores.values),
            "failed": list(scores.failed),
            "model_id": self.model_id,
            "is_answer": self.is_answer,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> JudgedItem:
        """Read the JSON form."""
        scores = ItemScores(value["trace_id"], value["values"], tuple(value["failed"]))
        return cls(scores, value["model_id"], value["is_answer"])
