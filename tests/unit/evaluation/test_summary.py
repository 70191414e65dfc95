from __future__ import annotations

import pytest

from services.evaluation.metrics.summary import ItemScores, summarise


def test_means_percentiles_and_worst() -> None:
    items = [
        ItemScores(f"t{number}", {"groundedness": number / 10, "answer_relevance": 0.9}) for number in range(1, 11)
    ]
    summary = summarise(items)
    assert (summary.scored, summary.failed) == (10, 0)
    assert summary.means == {"groundedness": 0.55, "answer_relevance": 0.9}
    assert summary.p10["groundedness"] == pytest.approx(0.19)
    assert [item["trace_id"] for item in summary.worst] == ["t1", "t2", "t3"]
    assert summary.worst[0] == {"trace_id": "t1", "groundedness": 0.1, "answer_relevance": 0.9}


def test_failed_scores_are_counted_and_do_not_move_the_mean() -> None:
    summary = summarise(
        [
            ItemScores("good", {"groundedness": 0.8, "answer_relevance": 0.6}),
            ItemScores("half", {"answer_relevance": 0.4}, ("groundedness",)),
            ItemScores("bad", {}, ("groundedness", "answer_relevance")),
        ]
    )
    assert (summary.scored, summary.failed) == (2, 3)
    assert summary.means == {"groundedness": 0.8, "answer_relevance": 0.5}
    assert [item["trace_id"] for item in summary.worst] == ["half", "good"]


def test_metric_without_any_score_has_no_mean() -> None:
    assert summarise([ItemScores("plain", {"answer_relevance": 0.4})]).means == {"answer_relevance": 0.4}
    empty = summarise([])
    assert (empty.scored, empty.failed, empty.means, empty.p10, empty.worst) == (0, 0, {}, {}, [])
