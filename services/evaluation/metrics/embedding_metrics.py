"""Groundedness and answer relevance from sentence embeddings.

Both are proxies that need no language model: they measure whether an answer has the *subject* of the context (or of the
question). Embeddings hardly change with a swapped number or a foreign term, so groundedness looks for those in the
sources as well. Neither recognises a negation; a judge does, and costs money. Groundedness is made for answers in the
language of their sources. Change `METRIC_VERSION` whenever a score of the same texts changes, because scores of
different versions must not be compared.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.common.text import split_sentences
from services.evaluation.metrics.support import Evidence

METRIC_VERSION = "embedding-2"

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
"""Texts -> float32 array (n, dimension), L2-normalised."""

# Cosine of all-MiniLM-L6-v2 between an answer's sentence and its best piece of context: below the floor it is no better
# than unrelated text of the same field, above the ceiling it is a paraphrase or a quotation. Linear in between.
GROUNDED_FLOOR = 0.35
GROUNDED_CEILING = 0.85
# Factor of a sentence none of whose numbers is in the sources: not 0, because a sum or a rounding may be right.
UNSUPPORTED_NUMBERS = 0.25

_CITATION = re.compile(
    r"(?<!\s)\s*+\[(?:\d++(?:\s*+[,;\u2013-]\s*+\d++)*+|source[^\[\]]*+|document[^\[\]]*+)\]", re.IGNORECASE
)
_WORD = re.compile(r"\w+")
_MIN_WORDS = 3  # "Yes." and "Sure, gladly" claim nothing that could be grounded


def groundedness(answer: str, context: Sequence[str], embed: Embed) -> float | None:
    """How well each sentence of the answer is supported by the context, 0..1.

    Per sentence: c is the highest cosine to any sentence of the context or any window of two, mapped from
    `GROUNDED_FLOOR`..`GROUNDED_CEILING` to 0..1; t the share of its content words and n the share of its numbers that
    occur in the context. The sentence scores sqrt(c t) (u + (1 - u) n) with u = `UNSUPPORTED_NUMBERS`. The score is the
    mean over the sentences, so one invented sentence among four costs a quarter. Citations such as `[1]` are removed
    first; sentences under three words are left out unless there are no others.

    Returns:
        The score, or None when there is no context: then the metric is not defined.

    Raises:
        ValueError: the answer has no text.
    """
    claims = _claims(answer)
    evidence = [unit for text in context for unit in _units(text)]
    if not evidence:
        return None
    vectors = embed([*claims, *evidence])
    cosines = vectors[: len(claims)] @ vectors[len(claims) :].T
    close = np.clip((cosines.max(axis=1) - GROUNDED_FLOOR) / (GROUNDED_CEILING - GROUNDED_FLOOR), 0.0, 1.0)
    sources = Evidence(context)
    terms = np.array([sources.term_support(claim) for claim in claims])
    numbers = np.array([sources.number_support(claim) for claim in claims])
    scores = np.sqrt(close * terms) * (UNSUPPORTED_NUMBERS + (1 - UNSUPPORTED_NUMBERS) * numbers)
    return float(scores.mean())


def answer_relevance(query: str, answer: str, embed: Embed) -> float:
    """Similarity of the answer to the question, 0..1.

    The cosine of the query to the whole answer or to its best sentence, whichever is higher (an embedding of a long
    answer blurs), with negative values at 0.

    Raises:
        ValueError: the query or the answer has no text.
    """
    if not query.strip():
        raise ValueError("the query has no text")
    claims = _claims(answer)
    vectors = embed([query, " ".join(claims), *claims])
    return float(np.clip(vectors[1:] @ vectors[0], 0.0, 1.0).max())


def strip_citations(text: str) -> str:
    """The text without markers such as `[1]`, `[1, 2]` or `[source: notes]`."""
    return _CITATION.sub("", text)


def _claims(answer: str) -> list[str]:
    sentences = [sentence.strip() for sentence in split_sentences(strip_citations(answer)) if sentence.strip()]
    if not sentences:
        raise ValueError("the answer has no text")
    return [sentence for sentence in sentences if len(_WORD.findall(sentence)) >= _MIN_WORDS] or sentences


def _units(text: str) -> list[str]:
    """Sentences and windows of two: an answer often joins what the source says in two sentences."""
    sentences = [sentence.strip() for sentence in split_sentences(text) if sentence.strip()]
    return sentences + [f"{first} {second}" for first, second in itertools.pairwise(sentences)]
