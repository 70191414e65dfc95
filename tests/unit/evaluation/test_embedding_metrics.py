"""The arithmetic of the metrics, with an embedding that can be computed by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from services.evaluation.metrics.embedding_metrics import answer_relevance, groundedness, strip_citations

VOCABULARY = ["cats", "dogs", "eat", "fish", "meat", "planes", "fly", "high", "sleep", "long"]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Bag of words over a small vocabulary, L2-normalised: the cosine is the share of common words."""
    vectors = np.zeros((len(texts), len(VOCABULARY)), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            if word in VOCABULARY:
                vectors[row, VOCABULARY.index(word)] += 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def test_quoted_answer_is_fully_grounded_and_foreign_one_not_at_all() -> None:
    context = ["Cats eat fish. Dogs eat meat.", "Cats sleep long."]
    assert groundedness("Dogs eat meat.", context, embed) == pytest.approx(1.0)
    assert groundedness("Planes fly high.", context, embed) == 0.0


def test_each_sentence_has_its_share() -> None:
    context = ["Cats eat fish. Dogs eat meat."]
    assert groundedness("Cats eat fish. Planes fly high.", context, embed) == pytest.approx(0.5)


def test_a_sentence_may_join_two_of_the_source() -> None:
    apart = groundedness("Cats eat fish and dogs eat meat.", ["Cats eat fish.", "Dogs eat meat."], embed)
    joined = groundedness("Cats eat fish and dogs eat meat.", ["Cats eat fish. Dogs eat meat."], embed)
    assert apart is not None and joined is not None
    assert joined == pytest.approx(1.0)
    assert apart < joined


def test_score_joins_cosine_and_terms() -> None:
    # "cats eat fish" against "cats eat meat": cosine 2/3, linear between floor and ceiling, and two of three terms.
    expected = math.sqrt((2 / 3 - 0.35) / 0.5 * 2 / 3)
    assert groundedness("Cats eat fish.", ["Cats eat meat."], embed) == pytest.approx(expected, abs=1e-5)


def test_number_that_no_source_holds_costs_three_quarters() -> None:
    context = ["Cats eat five fish. Dogs eat 1,030 fish."]
    assert groundedness("Cats eat 5 fish.", context, embed) == pytest.approx(1.0)
    assert groundedness("Cats eat 6 fish.", context, embed) == pytest.approx(0.25)
    assert groundedness("Dogs eat 1030 fish.", context, embed) == pytest.approx(1.0)


def test_citations_and_fillers_do_not_count() -> None:
    context = ["Cats eat fish."]
    assert groundedness("Sure! Cats eat fish [1, 2].", context, embed) == pytest.approx(1.0)
    assert strip_citations("It scales [1]. It stops [2, 3] [source: notes]. a[i] stays.") == (
        "It scales. It stops. a[i] stays."
    )


def test_groundedness_is_not_defined_without_context() -> None:
    assert groundedness("Cats eat fish.", [], embed) is None
    assert groundedness("Cats eat fish.", [" "], embed) is None


@pytest.mark.parametrize("answer", ["", "  \n", "[1]"])
def test_answer_without_text_has_no_score(answer: str) -> None:
    with pytest.raises(ValueError, match="no text"):
        groundedness(answer, ["Cats eat fish."], embed)
    with pytest.raises(ValueError, match="no text"):
        answer_relevance("What do cats eat?", answer, embed)


def test_relevance_takes_the_best_sentence() -> None:
    question = "What do cats eat?"
    assert answer_relevance(question, "Planes fly high.", embed) == 0.0
    long_answer = "Planes fly high. Dogs sleep long. Cats eat, eat, eat."
    whole = float(embed([question])[0] @ embed([long_answer])[0])
    assert answer_relevance(question, long_answer, embed) > whole


def test_question_without_text_has_no_score() -> None:
    with pytest.raises(ValueError, match="query has no text"):
        answer_relevance(" ", "Cats eat fish.", embed)
