"""Thresholds of `twin evaluate-rag`, and how its table reads."""

from __future__ import annotations

from typing import Any

import pytest

from twin.evaluate import view
from twin.evaluate.retrieval import missed
from twin.evaluate.thresholds import thresholds
from twin.target.errors import TwinError


def report(**means: float) -> dict[str, Any]:
    difference = {"mean": 0.0625, "low": -0.01, "high": 0.125}
    return {
        "queries": 86,
        "reranker_id": "blend",
        "ndcg_at": 10,
        "confidence": 0.95,
        "resamples": 10_000,
        "seed": 1,
        "modes": {
            "dense": {"means": {"ndcg@10": 0.7}, "against_dense": {}, "degraded": 0},
            **{
                name: {"means": {"ndcg@10": 0.7}, "against_dense": {"ndcg@10": difference}, "degraded": 0}
                for name in ("sparse", "hybrid", "hybrid+rerank")
            },
            "service": {"means": means, "against_dense": {"ndcg@10": difference}, "degraded": 3},
        },
    }


def test_thresholds_are_about_what_callers_get() -> None:
    least = thresholds(["ndcg@10=0.75", "mrr=.5"], "--at-least", "ndcg@10=0.75")
    assert least == {"ndcg@10": 0.75, "mrr": 0.5}
    assert missed(report(**{"ndcg@10": 0.8, "mrr": 0.5}), least) == []
    assert missed(report(**{"ndcg@10": 0.7, "mrr": 0.6}), least) == ["ndcg@10 is 0.7000, below 0.75"]


@pytest.mark.parametrize("wrong", ["ndcg@10", "ndcg@10>0.7", "=1", "mrr=high", "mrr=-1"])
def test_a_threshold_that_is_none_is_shown_how_to_write_one(wrong: str) -> None:
    with pytest.raises(TwinError, match="is not of the form NAME=VALUE, for example mrr"):
        thresholds([wrong], "--at-least", "mrr=0.5")


def test_a_figure_that_nobody_measured_is_refused() -> None:
    with pytest.raises(TwinError, match=r"There is no figure recall@7: use one of mrr\."):
        missed(report(mrr=1.0), {"recall@7": 0.5})


def test_the_table_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    view.show_retrieval(report(**{"ndcg@10": 0.7625}))
    shown = capsys.readouterr().out
    assert "86 questions" in shown and "+0.062" in shown and "-0.010" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
