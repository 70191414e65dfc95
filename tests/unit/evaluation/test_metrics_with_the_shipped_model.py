"""The metrics distinguish supported from invented answers, with the embedding model that is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.embedding import Embedder
from services.evaluation.judges.labels import read_pairs
from services.evaluation.metrics.embedding_metrics import answer_relevance, groundedness
from tests.unit.evaluation.pairs import PAIRS


@pytest.fixture(scope="module")
def embedder(embedding_model: Path) -> Embedder:
    return Embedder(embedding_model)


def auc(positives: list[float], negatives: list[float]) -> float:
    """Probability that a supported answer scores higher than an invented one; ties count half."""
    wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


def test_grounded_answers_score_higher_than_invented_ones(embedder: Embedder) -> None:
    grounded = [groundedness(pair.grounded, pair.context, embedder.embed) or 0.0 for pair in PAIRS]
    invented = [groundedness(pair.invented, pair.context, embedder.embed) or 0.0 for pair in PAIRS]
    assert len(PAIRS) >= 12
    assert auc(grounded, invented) >= 0.9
    assert sum(grounded) / len(grounded) > 0.75
    assert sum(invented) / len(invented) < 0.25


def test_quoted_answers_are_fully_grounded(embedder: Embedder) -> None:
    for pair in PAIRS:
        assert groundedness(pair.context[0], pair.context, embedder.embed) == pytest.approx(1.0)


def test_answers_to_the_question_are_more_relevant_than_answers_to_another(embedder: Embedder) -> None:
    own = [answer_relevance(pair.question, pair.grounded, embedder.embed) for pair in PAIRS]
    other = [
        answer_relevance(pair.question, following.grounded, embedder.embed)
        for pair, following in zip(PAIRS, PAIRS[1:] + PAIRS[:1], strict=True)
    ]
    assert auc(own, other) >= 0.9


def test_groundedness_separates_the_shipped_pairs(embedder: Embedder) -> None:
    scores: dict[str, list[float]] = {"grounded": [], "hallucinated": []}
    for pair in read_pairs(Path("examples/judge_pairs.jsonl")):
        if pair.task == "groundedness":
            value = groundedness(pair.answer, pair.context, embedder.embed)
            assert value is not None
            scores[pair.label].append(value)
    assert min(map(len, scores.values())) >= 20
    assert auc(scores["grounded"], scores["hallucinated"]) >= 0.85


def test_a_swapped_number_costs_more_than_another_wording(embedder: Embedder) -> None:
    context = ("The service holds at most 64 requests for at most 600 seconds.",)
    reworded = groundedness("No more than 64 requests are held, for 600 seconds at most.", context, embedder.embed)
    swapped = groundedness("The service holds at most 640 requests for at most 60 seconds.", context, embedder.embed)
    assert reworded is not None and swapped is not None
    assert reworded > 0.75 > 0.3 > swapped
