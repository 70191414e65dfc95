"""Every score: its name, its good direction and its name in CloudWatch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """Properties of a score that do not depend on its value.

    Attributes:
        name: in Opik and in reports.
        cloudwatch: in CloudWatch; p10 and p90 append to it.
        higher_is_better: the direction of a good answer.
        ranks: whether a bad score makes an answer one of the worst; an attack in the question does not.
        judged: whether it needs a judge.
    """

    name: str
    cloudwatch: str
    higher_is_better: bool = True
    ranks: bool = True
    judged: bool = False

    def badness(self, value: float) -> float:
        """0 (best) to 1 (worst)."""
        return 1 - value if self.higher_is_better else value


GROUNDEDNESS = "groundedness"
ANSWER_RELEVANCE = "answer_relevance"
LANGUAGE_MATCH = "language_match"
REFUSAL = "refusal"
PROMPT_INJECTION = "prompt_injection"
HALLUCINATION = "hallucination"
MODERATION = "moderation"
JUDGED_ANSWER_RELEVANCE = "judged_answer_relevance"
STYLE = "style"
CONTEXT_PRECISION = "context_precision"

METRICS = {
    metric.name: metric
    for metric in (
        Metric(GROUNDEDNESS, "Groundedness"),
        Metric(ANSWER_RELEVANCE, "AnswerRelevance"),
        Metric(LANGUAGE_MATCH, "LanguageMatch"),
        Metric(REFUSAL, "Refusal", higher_is_better=False, ranks=False),
        Metric(PROMPT_INJECTION, "PromptInjection", higher_is_better=False, ranks=False),
        Metric(HALLUCINATION, "Hallucination", higher_is_better=False, judged=True),
        Metric(MODERATION, "Moderation", higher_is_better=False, judged=True),
        Metric(JUDGED_ANSWER_RELEVANCE, "JudgedAnswerRelevance", judged=True),
        Metric(STYLE, "Style", ranks=False, judged=True),
        Metric(CONTEXT_PRECISION, "ContextPrecision", ranks=False, judged=True),
    )
}
