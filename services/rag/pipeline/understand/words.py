"""Keywords of a text: its words without function words."""

from __future__ import annotations

import re
from importlib import resources

WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")

# Function words and the verbs that questions are built with: they say nothing about the topic.
STOP_WORDS = frozenset(
    (resources.files("services.rag") / "pipeline" / "understand" / "stop_words.txt").read_text(encoding="utf-8").split()
)


def keywords(text: str) -> list[str]:
    """The words of a text, as they are written there, without function words."""
    return [word for word in WORD.findall(text) if word.casefold() not in STOP_WORDS]
