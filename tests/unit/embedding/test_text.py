"""Sentences of Markdown-like prose."""

from __future__ import annotations

import pytest

from services.common.text import estimate_tokens, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One here. Two there! Three? Yes.", ["One here.", "Two there!", "Three?", "Yes."]),
        ("It took 3.5 ms, e.g. On a CPU. Dr. Smith agrees.", ["It took 3.5 ms, e.g. On a CPU.", "Dr. Smith agrees."]),
        ("See https://example.com/a.B?x=1. Then go.", ["See https://example.com/a.B?x=1.", "Then go."]),
        ("Use `a. B` here. Done.", ["Use `a. B` here.", "Done."]),
        ("Fact one. [1] Fact two [2].", ["Fact one. [1]", "Fact two [2]."]),
        (
            "# Title\n\nA line\ngoes on. End.\n- item one\n- item two",
            ["Title", "A line goes on.", "End.", "item one", "item two"],
        ),
        ("Before.\n```python\nx = 1. \nY\n```\nAfter.", ["Before.", "```python\nx = 1. \nY\n```", "After."]),
        ("See No. 5 of J. Doe. No. Really.", ["See No. 5 of J. Doe.", "No.", "Really."]),
        ("```\nnever closed", ["```\nnever closed"]),
        (" \n\n", []),
    ],
)
def test_split_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_estimate_rounds_up() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]
