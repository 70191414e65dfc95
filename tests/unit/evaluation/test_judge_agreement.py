"""Agreement, kappa and confusion of hand-made ratings, and the shipped pairs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from services.evaluation.judges.agreement import cohens_kappa, measure
from services.evaluation.judges.labels import TASKS, LabelsError, read_pairs
from services.evaluation.metrics.names import GROUNDEDNESS, HALLUCINATION, STYLE

SHIPPED = Path("examples/judge_pairs.jsonl")


def test_kappa_of_a_table_computed_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o = 0.7, p_e = 0.5 x 0.6 + 0.5 x 0.4 = 0.5.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(first, second) == pytest.approx(0.4)
    assert cohens_kappa(first, first) == pytest.approx(1.0)
    assert cohens_kappa(["yes", "no"], ["no", "yes"]) == pytest.approx(-1.0)
    assert cohens_kappa(["yes"] * 3, ["yes"] * 3) is None
    assert cohens_kappa([], []) is None


def test_two_labels_with_a_threshold() -> None:
    scored = {"a": ("grounded", 0.9), "b": ("grounded", 0.55), "c": ("hallucinated", 0.6), "d": ("hallucinated", 0.1)}
    found = measure("groundedness", TASKS["groundedness"], GROUNDEDNESS, scored, failed=1)
    assert (found.pairs, found.failed, found.agreement, found.kappa) == (4, 1, 0.75, 0.5)
    assert found.auc == 0.75
    assert found.confusion == {
        "hallucinated": {"hallucinated": 1, "grounded": 1},
        "grounded": {"hallucinated": 0, "grounded": 2},
    }
    assert found.wrong == ["c"]
    strict = measure("groundedness", TASKS["groundedness"], GROUNDEDNESS, scored, failed=0, threshold=0.7)
    assert strict.wrong == ["b"]
    assert (found.best_threshold, found.best_kappa) == (pytest.approx(0.325), 0.5)


def test_scores_where_high_is_bad_are_turned_around() -> None:
    scored = {"a": ("grounded", 0.0), "b": ("hallucinated", 1.0)}
    found = measure("groundedness", TASKS["groundedness"], HALLUCINATION, scored, failed=0)
    assert (found.agreement, found.auc, found.wrong) == (1.0, 1.0, [])


def test_three_labels_are_divided_between_the_points() -> None:
    scored = {"a": ("poor", 0.0), "b": ("good", 0.5), "c": ("excellent", 1.0), "d": ("excellent", 0.5)}
    found = measure("style", TASKS["style"], STYLE, scored, failed=0)
    assert found.thresholds == (0.25, 0.75)
    assert (found.agreement, found.auc, found.best_threshold) == (0.75, None, None)
    assert found.confusion["excellent"] == {"poor": 0, "good": 1, "excellent": 1}


def test_the_shipped_pairs_cover_every_label() -> None:
    counts = Counter((pair.task, pair.label) for pair in read_pairs(SHIPPED))
    assert sum(counts.values()) >= 60
    assert set(counts) == {(task, label) for task, labels in TASKS.items() for label in labels}
    assert min(counts.values()) >= 8


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1"),
        ('{"id": "a", "task": "style", "label": "fine", "query": "q", "answer": "a"}', "none of poor, good, excellent"),
        ('{"id": "a", "task": "groundedness", "label": "grounded", "query": "q", "answer": "a"}', "needs a context"),
        ("", "no labelled pair"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(LabelsError, match=problem):
        read_pairs(file)
