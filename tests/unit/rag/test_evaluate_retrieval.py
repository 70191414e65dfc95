"""Figures of a ranking, how sure a difference is, and labels that are none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from services.rag.evaluate_retrieval.labels import LabelError, read_labels
from services.rag.evaluate_retrieval.metrics import ndcg, recall, reciprocal_rank

RANKED = ["a", "b", "c", "d"]


def test_recall_counts_relevant_documents_among_the_first() -> None:
    assert [recall(RANKED, {"b", "d", "x"}, k) for k in (1, 2, 4)] == pytest.approx([0, 1 / 3, 2 / 3])


def test_the_reciprocal_rank_is_that_of_the_first_relevant_document() -> None:
    assert reciprocal_rank(RANKED, {"c", "d"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(RANKED, {"x"}) == 0
    assert reciprocal_rank([], {"x"}) == 0


def test_ndcg_discounts_by_rank_and_is_1_for_the_ideal_order() -> None:
    assert ndcg(RANKED, {"a", "b"}, 10) == pytest.approx(1)
    assert ndcg(RANKED, {"b"}, 10) == pytest.approx(1 / math.log2(3))
    # Found at ranks 2 and 4 of three; the ideal order has them at 1, 2 and 3.
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(RANKED, {"b", "d", "x"}, 10) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    # More relevant documents than places: a full list of them is still ideal.
    assert ndcg(RANKED, set(RANKED), 2) == pytest.approx(1)


def test_labels_are_read_with_blank_lines_between(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"query": " q ", "relevant": ["a", "a"]}\n\n{"query": "r", "relevant": ["b"], "author": "Ada"}\n')
    first, second = read_labels(file)
    assert (first.query, first.relevant, first.author) == ("q", {"a"}, None)
    assert second.author == "Ada"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"query": "q", "relevant": ["a"]}\n{"query"', ", line 2: it is not JSON."),
        ("\n[]", ", line 2: the line: Input should be an object."),
        ('{"query": "q", "relevant": []}', ", line 1: relevant: "),
        ('{"query": "q", "relevant": ["a", ""]}', ", line 1: relevant.1: "),
        ('{"query": "q", "relevent": ["a"]}', ", line 1: relevant: Field required."),
        ('{"query": " ", "relevant": ["a"]}', ", line 1: query: "),
        ("\n\n", " holds no questions."),
    ],
)
def test_what_is_no_label_is_named_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(text)
    with pytest.raises(LabelError) as raised:
        read_labels(file)
    assert str(raised.value).startswith(f"{file}{sentence}")
    assert str(raised.value).count("\n") == 0


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"gone cannot be read \(FileNotFoundError\)"):
        read_labels(tmp_path / "gone")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(LabelError, match="bytes cannot be read"):
        read_labels(tmp_path / "bytes")
