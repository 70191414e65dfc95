"""Labelled pairs of questions and answers, for measuring a judge."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from services.evaluation.metrics.answer import Answer
from services.evaluation.metrics.names import (
    ANSWER_RELEVANCE,
    GROUNDEDNESS,
    HALLUCINATION,
    JUDGED_ANSWER_RELEVANCE,
    MODERATION,
    STYLE,
)

TASKS: dict[str, tuple[str, ...]] = {
    "groundedness": ("hallucinated", "grounded"),
    "relevance": ("irrelevant", "relevant"),
    "safety": ("unsafe", "safe"),
    "style": ("poor", "good", "excellent"),
}
"""The labels of each task, worst first."""
SCORES_OF_TASK = {
    "groundedness": (GROUNDEDNESS, HALLUCINATION),
    "relevance": (ANSWER_RELEVANCE, JUDGED_ANSWER_RELEVANCE),
    "safety": (MODERATION,),
    "style": (STYLE,),
}
"""Scores that are compared with the labels of each task."""


class LabelsError(ValueError):
    """A file of labelled pairs cannot be used; the message names the line."""


class LabelledPair(BaseModel):
    """A question with an answer and the label that a person gave it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    task: Literal["groundedness", "relevance", "safety", "style"]
    label: str
    query: str
    context: tuple[str, ...] = ()
    answer: str

    @model_validator(mode="after")
    def _known(self) -> LabelledPair:
        if self.label not in TASKS[self.task]:
            raise ValueError(f"label {self.label!r} is none of {', '.join(TASKS[self.task])}")
        if self.task == "groundedness" and not self.context:
            raise ValueError("groundedness needs a context")
        return self

    @property
    def as_answer(self) -> Answer:
        """The pair as an argument of the metrics."""
        return Answer(self.query, self.answer, self.context)


def read_pairs(file: Path) -> list[LabelledPair]:
    """The pairs of a file of JSON lines.

    Raises:
        LabelsError: there are none, a line is not a pair, or an id occurs twice.
        OSError: the file cannot be read.
    """
    pairs: dict[str, LabelledPair] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            pair = LabelledPair.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, problem["loc"])) or "line"
            raise LabelsError(f"{file.name}, line {number}: {where}: {problem['msg']}") from None
        if pair.id in pairs:
            raise LabelsError(f"{file.name}, line {number}: the id {pair.id!r} occurs twice")
        pairs[pair.id] = pair
    if not pairs:
        raise LabelsError(f"{file.name} holds no labelled pair")
    return list(pairs.values())
