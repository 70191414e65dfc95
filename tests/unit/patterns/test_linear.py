"""No regular expression takes more than linear time: documents, questions and bodies come from strangers.

Python's matcher backtracks. A part that can match at every place and fails late costs the square of the text's length,
or worse, and a request of some kilobytes then stops a whole process.
"""

from __future__ import annotations

import re
import time

import pytest

from .patterns import Found, every_pattern, texts

SHORT, LONG = 1_500, 6_000
NOTICED_SECONDS = 0.004
"""What is quicker on the long text is linear enough: a thousandth of a second is noise."""
HOPELESS_SECONDS = 0.1
"""A pattern that takes this long for the short text is not given the long one, which could take hours."""
MOST_GROWTH = 8.0
"""For four times the text: a linear pattern takes 4 times as long, a quadratic one 16 times."""
ROUNDS = 3

EVERY = {found.place: found for found in every_pattern()}


def seconds(found: Found, text: str) -> float:
    """Processor time of the search for all matches; the least of some rounds, since a busy machine only adds."""
    least = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        if found.anchored:
            found.pattern.match(text), found.pattern.fullmatch(text)
        else:
            for _ in found.pattern.finditer(text):
                pass
        least = min(least, time.thread_time() - started)
        if least < NOTICED_SECONDS:
            break
    return least


def growth(found: Found) -> float:
    """How many times longer a text takes that is four times as long; of the first text that takes too long."""
    for short, long in zip(texts(found.pattern, SHORT), texts(found.pattern, LONG), strict=True):
        before = seconds(found, short)
        if before >= HOPELESS_SECONDS:
            return float("inf")
        if (took := seconds(found, long)) >= NOTICED_SECONDS and took / before >= MOST_GROWTH:
            return took / before
    return 0.0


@pytest.mark.parametrize("place", sorted(EVERY))
def test_a_pattern_takes_linear_time(place: str) -> None:
    assert growth(EVERY[place]) < MOST_GROWTH


@pytest.mark.parametrize(
    "slow",
    [
        # The kinds that are looked for: white space that may be skipped, openers without an end, optional parts in a
        # repeat, and two neighbours that both take the same characters.
        r"<(?=\s*/?\s*(?:context|document)\b)",
        r"<!--.*?-->",
        r"\[\d+(?:\s*,\s*\d*)*\]",
        r"[.!?]+[\"')]*\s+(?=[A-Z])",
        r"(\w+)\s*=\s*(\w+)$",
    ],
)
def test_the_harness_finds_slow_patterns(slow: str) -> None:
    assert growth(Found("here", re.compile(slow, re.DOTALL))) >= MOST_GROWTH


@pytest.mark.parametrize(
    "linear", [r"<(?=\s*+/?+\s*+(?:context|document)\b)", r"(?<!\w)\w++@\w++", r"[a-z]{1,63}\.net"]
)
def test_the_harness_lets_linear_patterns_pass(linear: str) -> None:
    assert growth(Found("here", re.compile(linear))) < MOST_GROWTH


def test_patterns_of_every_package_are_found() -> None:
    assert len(EVERY) > 90
    assert {place.split("/")[0] for place in EVERY} == {"services", "twin", "localcloud"}
